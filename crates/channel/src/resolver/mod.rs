//! Names: what a target stands for, asked of the hands and kept up to date.
//!
//! A [`Resolver`] is stepped, as a policy is: it hears of answers and of time, and asks for what it wants through a
//! [`Helper`], which collects. Names of DNS have one here, and so has a target whose addresses stand in it; a user's
//! resolver that answers by itself is asked by [`Query::Custom`], and one that is a state machine is given to
//! [`Channel::resolved_by`](crate::Channel::resolved_by).

mod bell;
mod choices;
mod custom;
mod dns;
mod fixed;
mod helper;
mod names;
mod polling;

use std::{collections::BTreeSet, fmt, net::SocketAddr, sync::Arc, time::Instant};

pub use bell::Doorbell;
pub use choices::{Client, choose};
pub use helper::Helper;
pub(crate) use helper::Outcome;
pub use names::Hop;
pub(crate) use names::Names;

use crate::{Address, ConfigSelector, ServiceConfig};

/// Names a query.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueryId(pub u64);

/// What the hands look up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// The addresses of a host, as the system finds them, with this port: [`Answer::addresses`]. The host is a name, or an
    /// address that only the system can read (`fe80::1%eth0`).
    Host {
        /// The name.
        host: String,
        /// The port to put into the addresses.
        port: u16,
    },
    /// Records of the DNS, which [`Lookup`](crate::dns::Lookup) asks name servers for.
    Records(Question),
    /// What the channel's own resolver says of this target.
    Custom(Arc<str>),
}

/// Records of the DNS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Of this name.
    pub name: String,
    /// Of this kind.
    pub kind: Records,
    /// The name server to ask, whose names are whole ones; `None`: those of the system, with its search list.
    pub server: Option<SocketAddr>,
}

/// Kinds of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Records {
    /// A and AAAA, as addresses with this port: [`Answer::addresses`].
    Addresses(u16),
    /// SRV (RFC 2782): [`Answer::Services`]. That there are none is no error.
    Services,
    /// TXT: [`Answer::Texts`]. That there are none is no error.
    Texts,
}

/// What a query has found.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Endpoints.
    Found(Found),
    /// SRV records.
    Services(Vec<Service>),
    /// TXT records; the strings of each have been joined.
    Texts(Vec<String>),
}

impl Answer {
    /// Each of these addresses is an endpoint, once: a name may list one twice, which gets no greater share for that.
    pub fn addresses(addresses: impl IntoIterator<Item = Address>) -> Answer {
        let mut seen = BTreeSet::new();
        let once = addresses.into_iter().filter(|address| seen.insert(address.clone()));
        Answer::Found(Found::new(once.map(Endpoint::from)))
    }
}

impl From<Found> for Answer {
    fn from(found: Found) -> Answer {
        Answer::Found(found)
    }
}

/// An SRV record: a server of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Servers of a greater number are not used while there are ones of a lesser.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
}

/// What a resolver has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// The endpoints.
    pub endpoints: Arc<[Endpoint]>,
    /// The service config that came with them, or what is wrong with it: then the one before it counts (gRFC A21). `None`:
    /// there is none, and the channel's own counts.
    pub service_config: Option<Result<Arc<ServiceConfig>, String>>,
    /// Says of each call what is asked of it, in place of the service config.
    pub selector: Option<Arc<dyn ConfigSelector>>,
}

impl Found {
    /// These endpoints, and no service config.
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Found {
        Found { endpoints: endpoints.into_iter().collect(), service_config: None, selector: None }
    }

    /// With a service config, or what is wrong with it.
    #[must_use]
    pub fn with_service_config(mut self, service_config: Result<Arc<ServiceConfig>, String>) -> Found {
        self.service_config = Some(service_config);
        self
    }

    /// With a selector.
    #[must_use]
    pub fn with_selector(mut self, selector: Arc<dyn ConfigSelector>) -> Found {
        self.selector = Some(selector);
        self
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
    /// Which of their named children policies like `priority` give it to, from the root of the policies down (gRFC A56).
    /// Default: none, and each child gets it.
    pub path: Arc<[Arc<str>]>,
    /// What places it on the ring of `ring_hash` (gRFC A76). Default: its first address.
    pub hash_key: Option<Arc<str>>,
}

impl Endpoint {
    /// A server at these addresses.
    pub fn new(addresses: Vec<Address>) -> Endpoint {
        Endpoint { addresses, weight: 1, path: [].into(), hash_key: None }
    }

    /// A server at one address of TCP.
    pub fn at(address: SocketAddr) -> Endpoint {
        Endpoint::from(Address::Ip(address))
    }

    /// With this share among others.
    #[must_use]
    pub fn with_weight(mut self, weight: u32) -> Endpoint {
        self.weight = weight;
        self
    }
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Endpoint {
        Endpoint::new(vec![address])
    }
}

/// Says what a target stands for.
///
/// It must not block or take locks: it runs while its channel is locked.
pub trait Resolver: fmt::Debug + Send {
    /// The channel leaves IDLE: somebody wants to know. What is known already may be said at once.
    fn start(&mut self, helper: &mut Helper);

    /// The channel is IDLE: nobody wants to know. The queries under way are stopped for it.
    fn stop(&mut self);

    /// What was found may be out of date: a connection was lost, or cannot be made. It decides itself how often it asks.
    fn resolve_again(&mut self, helper: &mut Helper);

    /// The last answer to a query.
    fn handle_answer(&mut self, id: QueryId, answer: Result<Answer, String>, helper: &mut Helper);

    /// An answer to a query that goes on.
    fn handle_update(&mut self, id: QueryId, answer: Answer, helper: &mut Helper) {
        let _ = (id, answer, helper);
    }

    /// What it has found last cannot be used, for this reason.
    fn handle_rejected(&mut self, why: &str, helper: &mut Helper);

    /// Somebody has rung the channel's [`Doorbell`].
    fn handle_bell(&mut self, helper: &mut Helper) {
        let _ = helper;
    }

    /// The time of [`poll_timeout`](Resolver::poll_timeout) has come.
    fn handle_timeout(&mut self, helper: &mut Helper) {
        let _ = helper;
    }

    /// When [`handle_timeout`](Resolver::handle_timeout) must be called.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
