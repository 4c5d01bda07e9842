//! Names: what a target stands for, asked of the hands and kept up to date.

mod names;
mod polling;

use std::{collections::BTreeSet, sync::Arc};

pub use names::Hop;
pub(crate) use names::Names;
pub(crate) use polling::{Found, Outcome, Polling};

use crate::{Address, ServiceConfig};

/// Names a query.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueryId(pub u64);

/// What the hands look up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// The addresses of a host, as the system finds them, with this port. The host is a name, or an address that only the
    /// system can read (`fe80::1%eth0`).
    Host {
        /// The name.
        host: String,
        /// The port to put into the addresses.
        port: u16,
    },
}

/// What a query has found.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The service config that came with them, or what is wrong with it. `None`: there is none, and the channel's own counts.
    pub service_config: Option<Result<Arc<ServiceConfig>, String>>,
}

impl Answer {
    /// Each of these addresses is an endpoint, once: a name may list one twice, which gets no greater share for that.
    pub fn addresses(addresses: impl IntoIterator<Item = Address>) -> Answer {
        let mut seen = BTreeSet::new();
        let once = addresses.into_iter().filter(|address| seen.insert(address.clone()));
        Answer { endpoints: once.map(Endpoint::from).collect(), service_config: None }
    }
}

/// One server, which may have several addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its addresses, at least one.
    pub addresses: Vec<Address>,
    /// Its share among others, where a policy weighs them. Default 1.
    pub weight: u32,
}

impl Endpoint {
    /// A server at these addresses.
    pub fn new(addresses: Vec<Address>) -> Endpoint {
        Endpoint { addresses, weight: 1 }
    }
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Endpoint {
        Endpoint::new(vec![address])
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use crate::Address;

    #[test]
    fn an_address_counts_once() {
        let addresses =
            ["10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:2"].map(|text| Address::Ip(text.parse().unwrap()));
        let found = Answer::addresses(addresses.clone()).endpoints;
        let found: Vec<_> = found.into_iter().flat_map(|endpoint| endpoint.addresses).collect();
        let [second, first, _, other] = addresses;
        assert_eq!(found, [second, first, other]);
    }
}
