use std::{net::IpAddr, sync::Arc, time::Instant};

use super::{
    Answer, Doorbell, Endpoint, Helper, Outcome, QueryId, Resolver,
    custom::Custom,
    dns::{self, Dns},
    fixed::Fixed,
    polling::Polling,
};
use crate::{
    Address, Config, Proxy, Target,
    random::Random,
    target::{self, Asked},
};

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

/// A target's resolver, and what it has asked for.
#[derive(Debug)]
pub(crate) struct Names {
    resolver: Box<dyn Resolver>,
    helper: Helper,
    pub(crate) hop: Option<Arc<Hop>>,
    running: bool,
    /// Service configs or selectors may come from it.
    configures: bool,
}

impl Names {
    /// Of a target that is reached through a proxy, or without.
    pub(crate) fn of(target: &Target, config: &Config, random: &mut Random, now: Instant) -> Names {
        let mut polling = || {
            let backoff = config.backoff.fresh(random.next());
            Polling::new(config.min_resolution_interval, config.refresh_interval, backoff)
        };
        let hop = config.proxy.as_ref().and_then(|proxy| {
            let (host, port) = target.host_and_port()?;
            Some(Arc::new(Hop { proxy: proxy.clone(), host, port }))
        });
        let resolver: Box<dyn Resolver> = match (&hop, &target.endpoint) {
            // The target's name is the proxy's to look up, and so are its service configs nobody's.
            (Some(hop), _) => host(&hop.proxy.host, hop.proxy.port, Asked::Host, target, config, polling()),
            (None, target::Endpoint::Dns { host: name, port, asked }) => {
                host(name, *port, *asked, target, config, polling())
            }
            (None, target::Endpoint::Addresses(addresses)) => {
                Box::new(Fixed(addresses.iter().cloned().map(Endpoint::from).collect()))
            }
            (None, target::Endpoint::Custom { target, .. }) => Box::new(Custom::new(target, polling())),
        };
        let configures = match (&hop, &target.endpoint) {
            (None, target::Endpoint::Dns { host, asked, .. }) => {
                let is_name = host.parse::<IpAddr>().is_err() && *asked != Asked::Host;
                is_name && config.dns.service_config.is_some()
            }
            (None, target::Endpoint::Custom { .. }) => true,
            _ => false,
        };
        Names { configures, ..Names::by(resolver, hop, random.next(), now) }
    }

    /// Of a resolver of its own.
    pub(crate) fn by(resolver: Box<dyn Resolver>, hop: Option<Arc<Hop>>, seed: u64, now: Instant) -> Names {
        Names { resolver, helper: Helper::new(seed, now), hop, running: false, configures: true }
    }

    /// Whether what is asked of calls may come from it.
    pub(crate) fn configures(&self) -> bool {
        self.configures
    }

    /// Somebody wants to know.
    pub(crate) fn start(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.running, true) {
            self.resolver.start(self.helper.at(now));
        }
    }

    /// Nobody wants to know any more.
    pub(crate) fn stop(&mut self) {
        if std::mem::take(&mut self.running) {
            self.resolver.stop();
            self.helper.stop_all();
        }
    }

    /// What was found may be out of date.
    pub(crate) fn resolve_again(&mut self, now: Instant) {
        if self.running {
            self.resolver.resolve_again(self.helper.at(now));
        }
    }

    pub(crate) fn handle_answer(&mut self, id: QueryId, answer: Result<Answer, String>, now: Instant) {
        if self.helper.hears(id, true) {
            self.resolver.handle_answer(id, answer, self.helper.at(now));
        }
    }

    pub(crate) fn handle_update(&mut self, id: QueryId, answer: Answer, now: Instant) {
        if self.helper.hears(id, false) {
            self.resolver.handle_update(id, answer, self.helper.at(now));
        }
    }

    /// What was found is of no use.
    pub(crate) fn reject(&mut self, why: &str, now: Instant) {
        self.resolver.handle_rejected(why, self.helper.at(now));
    }

    pub(crate) fn handle_bell(&mut self, now: Instant) {
        if self.helper.doorbell().take() && self.running {
            self.resolver.handle_bell(self.helper.at(now));
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.resolver.handle_timeout(self.helper.at(now));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.helper.left_since() {
            Some(then) => Some(then),
            None if self.running => self.resolver.poll_timeout(),
            None => None,
        }
    }

    pub(crate) fn doorbell(&self) -> &Arc<Doorbell> {
        self.helper.doorbell()
    }

    pub(crate) fn poll(&mut self) -> Option<Outcome> {
        self.helper.poll()
    }
}

/// A host by name, or by address.
fn host(host: &str, port: u16, asked: Asked, target: &Target, config: &Config, polling: Polling) -> Box<dyn Resolver> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Box::new(Fixed([Endpoint::from(Address::Ip((ip, port).into()))].into()));
    }
    let label = match &target.endpoint {
        target::Endpoint::Dns { host, port, .. } if !target.authority.contains(':') => format!("{host}:{port}"),
        _ => target.authority.clone(),
    };
    let is_whole = !matches!(asked, Asked::Host);
    let names = dns::Names {
        host: host.to_owned(),
        port,
        server: if let Asked::Server(server) = asked { Some(server) } else { None },
        service: config.dns.service.clone().filter(|_| is_whole),
        texts: config.dns.service_config.clone().filter(|_| is_whole),
        registry: Arc::clone(&config.registry),
        most_services: config.limits.services,
        label,
    };
    Box::new(Dns::new(names, polling))
}
