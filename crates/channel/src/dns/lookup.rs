use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use simple_dns::{TYPE, rdata::RData};

use super::{
    NameServers,
    message::{self, Said},
};
use crate::{
    Address,
    random::Random,
    resolver::{Answer, Question, Records, Service},
};

/// Exchanges that one look-up may take: two minutes at five seconds each, as grpcio waits for c-ares.
const MOST_EXCHANGES: usize = 24;

/// One question, until name servers have answered it.
///
/// Each server is asked in turn, and all again as often as `resolv.conf` says, for each name that the search list makes.
#[derive(Debug)]
pub struct Lookup {
    kind: Records,
    servers: NameServers,
    names: Vec<String>,
    types: &'static [TYPE],
    at: At,
    /// How many have been begun.
    exchanges: usize,
    over: Over,
    id: u16,
    random: Random,
    found: Vec<Record>,
    failure: Option<String>,
}

/// Which name, which type of records, and how often servers have been asked for them.
#[derive(Clone, Copy, Default, Debug)]
struct At {
    name: usize,
    kind: usize,
    asked: usize,
}

#[derive(Debug)]
enum Record {
    Address(Address),
    Service(Service),
    Text(String),
}

/// What a look-up wants next.
#[derive(Debug)]
pub enum Step {
    /// This exchange; then [`Lookup::handle_received`] or [`Lookup::handle_failed`].
    Ask(Exchange),
    /// Nothing: this is its answer, or why there is none, for people.
    Done(Result<Answer, String>),
}

/// A message to a name server, and one back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// To whom.
    pub server: SocketAddr,
    /// By what.
    pub over: Over,
    /// What is sent; over TCP with its length before it.
    pub message: Vec<u8>,
    /// How long the answer is waited for, the connecting included.
    pub timeout: Duration,
}

/// What carries messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// Datagrams, from a port of this exchange's own that takes none from elsewhere.
    Udp,
    /// A connection, on which each message has its length before it, in two bytes, the greater first.
    Tcp,
}

impl Lookup {
    /// Asks these servers, unless the question says whom. The seed is for the numbers of messages: one that others can guess
    /// lets them answer.
    pub fn new(question: Question, servers: NameServers, seed: u64) -> Lookup {
        let Question { name, kind, server } = question;
        let servers = server.map_or(servers, NameServers::at);
        let mut lookup = Lookup {
            kind,
            names: servers.candidates(&name),
            servers,
            types: match kind {
                Records::Addresses(_) => &[TYPE::AAAA, TYPE::A],
                Records::Services => &[TYPE::SRV],
                Records::Texts => &[TYPE::TXT],
            },
            at: At::default(),
            exchanges: 0,
            over: Over::Udp,
            id: 0,
            random: Random::new(seed),
            found: Vec::new(),
            failure: None,
        };
        lookup.renew();
        lookup
    }

    /// What comes next.
    pub fn poll(&mut self) -> Step {
        loop {
            let Some((name, kind)) = self.current() else { return Step::Done(self.answer()) };
            if self.exchanges > MOST_EXCHANGES {
                let failure = self.failure.take();
                return Step::Done(Err(failure.unwrap_or_else(|| "Too many queries".to_owned())));
            }
            let servers = &self.servers.servers;
            let server = servers.get(self.at.asked % servers.len().max(1)).copied();
            match (message::query(self.id, name, kind), server) {
                (Ok(message), Some(server)) => {
                    let message = match (self.over, u16::try_from(message.len())) {
                        (Over::Tcp, Ok(length)) => [&length.to_be_bytes()[..], &message].concat(),
                        _ => message,
                    };
                    return Step::Ask(Exchange { server, over: self.over, message, timeout: self.servers.timeout });
                }
                (Err(why), _) => {
                    self.failure = Some(why);
                    self.next_name();
                }
                (Ok(_), None) => self.next_name(),
            }
        }
    }

    /// A message has come from the server; whether it is the answer. Others are passed over: whoever forges answers sends them.
    pub fn handle_received(&mut self, message: &[u8]) -> bool {
        let Some((name, kind)) = self.current() else { return true };
        match message::read(message, self.id, name, kind) {
            // Over a connection nobody else can answer.
            None if self.over == Over::Tcp => self.handle_failed("Misformatted DNS reply"),
            None => return false,
            Some(Said::Truncated) if self.over == Over::Tcp => self.handle_failed("Misformatted DNS reply"),
            Some(Said::Truncated) => {
                self.renew();
                self.over = Over::Tcp;
            }
            Some(Said::Records(records)) => {
                let records: Vec<Record> = records.into_iter().filter_map(|record| self.record(record)).collect();
                self.found.extend(records);
                self.next_type();
            }
            Some(Said::NoName) => self.next_name(),
            Some(Said::Fault(why)) => self.handle_failed(why),
        }
        true
    }

    /// No answer has come, for this reason.
    pub fn handle_failed(&mut self, why: &str) {
        self.failure = Some(why.to_owned());
        self.at.asked += 1;
        if self.at.asked >= self.servers.servers.len() * self.servers.attempts {
            self.next_type();
        } else {
            self.renew();
        }
    }

    fn current(&self) -> Option<(&str, TYPE)> {
        Some((self.names.get(self.at.name)?, *self.types.get(self.at.kind)?))
    }

    fn next_type(&mut self) {
        self.at = At { kind: self.at.kind + 1, asked: 0, ..self.at };
        if self.at.kind < self.types.len() {
            self.renew();
        } else if self.found.is_empty() {
            self.next_name();
        } else {
            self.names.clear();
        }
    }

    fn next_name(&mut self) {
        self.at = At { name: self.at.name + 1, ..At::default() };
        self.renew();
    }

    /// Another exchange begins.
    fn renew(&mut self) {
        self.exchanges += 1;
        self.over = Over::Udp;
        let [first, second, ..] = self.random.next().to_be_bytes();
        self.id = u16::from_be_bytes([first, second]);
    }

    fn record(&self, record: RData<'_>) -> Option<Record> {
        match (record, self.kind) {
            (RData::A(a), Records::Addresses(port)) => {
                Some(Record::Address(Address::Ip((Ipv4Addr::from(a.address), port).into())))
            }
            (RData::AAAA(aaaa), Records::Addresses(port)) => {
                Some(Record::Address(Address::Ip((Ipv6Addr::from(aaaa.address), port).into())))
            }
            (RData::SRV(srv), Records::Services) => {
                let (host, port) = (srv.target.to_string(), srv.port);
                Some(Record::Service(Service { host, port, priority: srv.priority, weight: srv.weight }))
            }
            // What is no UTF-8 is no service config.
            (RData::TXT(text), Records::Texts) => String::try_from(text).ok().map(Record::Text),
            _ => None,
        }
    }

    fn answer(&mut self) -> Result<Answer, String> {
        let found = std::mem::take(&mut self.found);
        match self.failure.take() {
            Some(why) if found.is_empty() => return Err(why),
            _ => {}
        }
        Ok(match self.kind {
            Records::Addresses(_) if found.is_empty() => return Err("Domain name not found".to_owned()),
            Records::Addresses(_) => Answer::addresses(found.into_iter().filter_map(|record| match record {
                Record::Address(address) => Some(address),
                _ => None,
            })),
            Records::Services => Answer::Services(
                found
                    .into_iter()
                    .filter_map(|record| if let Record::Service(s) = record { Some(s) } else { None })
                    .collect(),
            ),
            Records::Texts => Answer::Texts(
                found
                    .into_iter()
                    .filter_map(|record| if let Record::Text(t) = record { Some(t) } else { None })
                    .collect(),
            ),
        })
    }
}
