use std::{net::IpAddr, sync::Arc};

use super::{Endpoint, Query};
use crate::{Address, Proxy, Target, target};

/// An HTTP CONNECT proxy before a target, and what it connects to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hop {
    /// The proxy, which a connection's address is one of.
    pub proxy: Proxy,
    /// Whom the proxy connects to.
    pub host: String,
    /// On which port.
    pub port: u16,
}

/// Where the endpoints of a target come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Fixed(Arc<[Endpoint]>),
    Ask(Query),
}

/// What a target says of names.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) source: Source,
    pub(crate) hop: Option<Arc<Hop>>,
    /// The target, as texts about resolving name it.
    pub(crate) label: String,
}

impl Names {
    /// Of a target that is reached through a proxy, or without.
    pub(crate) fn of(target: &Target, proxy: Option<&Proxy>) -> Names {
        let hop = proxy.and_then(|proxy| {
            let (host, port) = target.host_and_port()?;
            Some(Arc::new(Hop { proxy: proxy.clone(), host, port }))
        });
        let source = match (&hop, &target.endpoint) {
            // The target's name is the proxy's to look up.
            (Some(hop), _) => Source::host(&hop.proxy.host, hop.proxy.port),
            (None, target::Endpoint::Dns { host, port }) => Source::host(host, *port),
            (None, target::Endpoint::Addresses(addresses)) => {
                Source::Fixed(addresses.iter().cloned().map(Endpoint::from).collect())
            }
        };
        let label = match &target.endpoint {
            target::Endpoint::Dns { host, port } if !target.authority.contains(':') => format!("{host}:{port}"),
            _ => target.authority.clone(),
        };
        Names { source, hop, label }
    }
}

impl Source {
    fn host(host: &str, port: u16) -> Source {
        match host.parse::<IpAddr>() {
            Ok(ip) => Source::Fixed([Endpoint::from(Address::Ip((ip, port).into()))].into()),
            Err(_) => Source::Ask(Query::Host { host: host.to_owned(), port }),
        }
    }
}
