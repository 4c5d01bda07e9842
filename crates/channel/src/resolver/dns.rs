use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

use super::{
    Answer, Client, Endpoint, Found, Helper, Query, QueryId, Question, Records, Resolver, Service, choose,
    polling::{Polling, Want},
};
use crate::{Address, ServiceConfig, balancer::Registry};

/// Where records of service configs stand (gRFC A2).
const TEXT_PREFIX: &str = "_grpc_config";

/// What such a record begins with.
const TEXT_KEY: &str = "grpc_config=";

/// What is asked of the DNS.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name server; `None`: as the system does it.
    pub(crate) server: Option<SocketAddr>,
    /// The service whose SRV records name the hosts, in place of the host's own addresses: `_grpc._tcp`.
    pub(crate) service: Option<String>,
    /// Who wants a service config from TXT records, if that is wanted.
    pub(crate) texts: Option<Client>,
    /// Policies that it may name.
    pub(crate) registry: Arc<Registry>,
    /// Hosts of a service that are looked up.
    pub(crate) most_services: usize,
    /// The target, as texts name it.
    pub(crate) label: String,
}

/// A name of the DNS.
#[derive(Debug)]
pub(crate) struct Dns {
    names: Names,
    polling: Polling,
    round: Option<Round>,
    found: Option<Found>,
}

/// One time of asking: it ends when all its queries have.
#[derive(Default, Debug)]
struct Round {
    services: Option<QueryId>,
    texts: Option<QueryId>,
    hosts: BTreeMap<QueryId, usize>,
    /// The hosts, in their order.
    servers: Vec<Server>,
    /// Why there is none, in the words of the query that failed last.
    failure: Option<String>,
    config: Option<Result<Arc<ServiceConfig>, String>>,
}

#[derive(Debug)]
struct Server {
    priority: u16,
    weight: u32,
    found: Vec<Endpoint>,
}

impl Dns {
    pub(crate) fn new(names: Names, polling: Polling) -> Dns {
        Dns { names, polling, round: None, found: None }
    }

    fn follow(&mut self, want: Want, helper: &mut Helper) {
        match want {
            Want::Nothing => {}
            Want::Ask => self.ask(helper),
            Want::Repeat => self.found.iter().for_each(|found| helper.update(found.clone())),
        }
    }

    fn ask(&mut self, helper: &mut Helper) {
        let Names { host, port, server, service, texts, .. } = &self.names;
        let mut round = Round::default();
        let records =
            |prefix: &str, kind| Query::Records(Question { name: format!("{prefix}.{host}"), kind, server: *server });
        match service {
            Some(service) => round.services = Some(helper.query(records(service, Records::Services))),
            None => round.ask_for(Server { priority: 0, weight: 1, found: Vec::new() }, (host, *port), *server, helper),
        }
        if texts.is_some() {
            round.texts = Some(helper.query(records(TEXT_PREFIX, Records::Texts)));
        }
        self.round = Some(round);
    }

    fn handle_services(&mut self, mut services: Vec<Service>, helper: &mut Helper) {
        let Some(round) = &mut self.round else { return };
        services.sort_by_key(|service| service.priority);
        // A host `.` says that there is no such service here (RFC 2782).
        services.retain(|service| !matches!(&*service.host, "" | "."));
        let most = self.names.most_services;
        if services.len() > most {
            helper.note(format!(
                "{} servers of {} were found, and the first {most} are used",
                services.len(),
                self.names.label
            ));
            services.truncate(most);
        }
        if services.is_empty() {
            round.failure = Some(self.names.lacks_services("no records"));
        }
        for Service { host, port, priority, weight } in services {
            // A weight of 0 is for servers that are to have hardly any share.
            let server = Server { priority, weight: u32::from(weight).max(1), found: Vec::new() };
            round.ask_for(server, (&host, port), self.names.server, helper);
        }
    }

    fn handle_texts(&mut self, texts: &[String], helper: &mut Helper) {
        let Some(round) = &mut self.round else { return };
        let Some(client) = &self.names.texts else { return };
        let Some(choices) = texts.iter().find_map(|text| text.strip_prefix(TEXT_KEY)) else { return };
        let chosen = choose(choices, client, helper.random(), &self.names.registry);
        round.config = chosen.map(|config| config.map(Arc::new)).transpose();
    }

    /// Says what has been found, once all is.
    fn finish(&mut self, helper: &mut Helper) {
        let Some(round) = self.round.take_if(|round| round.is_over()) else { return };
        let endpoints = round.endpoints(self.names.service.is_some());
        if endpoints.is_empty() {
            self.polling.failed(helper.now());
            let why = round.failure.unwrap_or_else(|| self.names.lacks_addresses("no address"));
            return helper.fail(format!("errors resolving {}: [{why}]", self.names.label));
        }
        let found = Found { endpoints: endpoints.into(), service_config: round.config, selector: None };
        self.polling.found(helper.now(), true);
        self.found = Some(found.clone());
        helper.update(found);
    }
}

impl Names {
    fn lacks_addresses(&self, why: &str) -> String {
        format!("field:hostname lookup error:address lookup failed for {}: {why}", self.label)
    }

    fn lacks_services(&self, why: &str) -> String {
        let service = self.service.as_deref().unwrap_or_default();
        format!("field:service lookup error:SRV lookup failed for {service}.{}: {why}", self.host)
    }
}

impl Round {
    fn ask_for(&mut self, server: Server, (host, port): (&str, u16), at: Option<SocketAddr>, helper: &mut Helper) {
        let host = host.to_owned();
        let query = match at {
            None => Query::Host { host, port },
            Some(_) => Query::Records(Question { name: host, kind: Records::Addresses(port), server: at }),
        };
        self.hosts.insert(helper.query(query), self.servers.len());
        self.servers.push(server);
    }

    fn is_over(&self) -> bool {
        self.services.is_none() && self.texts.is_none() && self.hosts.is_empty()
    }

    /// The endpoints: each address of a host is one, but a server of a service is one with all of its addresses.
    fn endpoints(&self, of_service: bool) -> Vec<Endpoint> {
        let found = || self.servers.iter().filter(|server| !server.found.is_empty());
        let first = found().map(|server| server.priority).min();
        let first = found().filter(|server| Some(server.priority) == first);
        if !of_service {
            return first.flat_map(|server| server.found.iter().cloned()).collect();
        }
        // Two names of one server are one server.
        let mut seen = BTreeSet::new();
        first
            .map(|server| {
                (server.found.iter().flat_map(|endpoint| endpoint.addresses.clone()).collect(), server.weight)
            })
            .filter(|(addresses, _): &(Vec<Address>, u32)| seen.insert(addresses.clone()))
            .map(|(addresses, weight)| Endpoint::new(addresses).with_weight(weight))
            .collect()
    }
}

impl Resolver for Dns {
    fn start(&mut self, helper: &mut Helper) {
        let want = self.polling.start(helper.now());
        self.follow(want, helper);
    }

    fn stop(&mut self) {
        self.polling.stop();
        self.round = None;
    }

    fn resolve_again(&mut self, helper: &mut Helper) {
        let want = self.polling.ask_again(helper.now());
        self.follow(want, helper);
    }

    fn handle_answer(&mut self, id: QueryId, answer: Result<Answer, String>, helper: &mut Helper) {
        let Some(round) = &mut self.round else { return };
        if round.services.take_if(|services| *services == id).is_some() {
            match answer {
                Ok(Answer::Services(services)) => self.handle_services(services, helper),
                Ok(_) => round.failure = Some(self.names.lacks_services("no records")),
                Err(why) => round.failure = Some(self.names.lacks_services(&why)),
            }
        } else if round.texts.take_if(|texts| *texts == id).is_some() {
            match answer {
                Ok(Answer::Texts(texts)) => self.handle_texts(&texts, helper),
                Ok(_) => {}
                Err(why) => {
                    // The name servers' trouble is not the service's: what they said last counts on.
                    round.config = self.found.as_ref().and_then(|found| found.service_config.clone());
                    helper.note(format!("TXT lookup failed for {TEXT_PREFIX}.{}: {why}", self.names.host));
                }
            }
        } else if let Some(index) = round.hosts.remove(&id) {
            match answer {
                Ok(Answer::Found(found)) => {
                    if let Some(server) = round.servers.get_mut(index) {
                        server.found = found.endpoints.to_vec();
                    }
                    round.config = round.config.take().or(found.service_config);
                }
                Ok(_) => {}
                Err(why) => round.failure = Some(self.names.lacks_addresses(&why)),
            }
        }
        self.finish(helper);
    }

    fn handle_rejected(&mut self, _: &str, helper: &mut Helper) {
        self.polling.rejected(helper.now());
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        let want = self.polling.handle_timeout(helper.now());
        self.follow(want, helper);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.polling.poll_timeout()
    }
}
