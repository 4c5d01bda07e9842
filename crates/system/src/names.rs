//! Looks up names, for hands whose threads may wait: hosts by the system, and records of the DNS at name servers.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    time::{Duration, Instant},
};

use farcall_channel::{
    Address,
    dns::{Exchange, LONGEST_DATAGRAM, Lookup, NameServers, Over, Step, TIMED_OUT},
    resolver::{Answer, Query, Question},
};

use crate::socket::os_text;

/// This machine's name, if it has one that can be read.
pub fn host_name() -> Option<String> {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").ok();
}

/// Where the system says whom to ask.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a query finds. Waits for as long as that takes.
///
/// # Errors
/// Why there is nothing, for people.
pub fn look_up(query: Query) -> Result<Answer, String> {
    match query {
        Query::Host { host, port } => match (host.as_str(), port).to_socket_addrs() {
            Ok(found) => Ok(Answer::addresses(found.map(Address::Ip))),
            Err(_) => Err("Domain name not found".to_owned()),
        },
        Query::Records(question) => records(question),
        Query::Custom(target) => Err(format!("there is no resolver for {target:?}")),
    }
}

fn records(question: Question) -> Result<Answer, String> {
    // A file that is not there says nothing, as an empty one.
    let servers = NameServers::of_resolv_conf(&fs::read_to_string(RESOLV_CONF).unwrap_or_default());
    // Keyed from the system's random bits.
    let mut lookup = Lookup::new(question, servers, RandomState::new().hash_one(0));
    loop {
        let exchange = match lookup.poll() {
            Step::Done(answer) => return answer,
            Step::Ask(exchange) => exchange,
        };
        match make(&exchange, &mut lookup) {
            Ok(()) => {}
            Err(error) if is_late(&error) => lookup.handle_failed(TIMED_OUT),
            Err(error) => lookup.handle_failed(&format!("Could not contact DNS servers: {}", os_text(&error))),
        }
    }
}

/// Brings a message to a name server, and what it answers to the look-up.
fn make(exchange: &Exchange, lookup: &mut Lookup) -> io::Result<()> {
    let clock = Clock(Instant::now() + exchange.timeout);
    match exchange.over {
        Over::Udp => {
            // A port that the system chooses, and that takes nothing from others.
            let socket = UdpSocket::bind(any(exchange.server))?;
            socket.connect(exchange.server)?;
            socket.send(&exchange.message)?;
            let mut message = [0; LONGEST_DATAGRAM];
            loop {
                socket.set_read_timeout(Some(clock.left()?))?;
                let length = socket.recv(&mut message)?;
                if lookup.handle_received(message.get(..length).unwrap_or_default()) {
                    return Ok(());
                }
            }
        }
        Over::Tcp => {
            let mut stream = TcpStream::connect_timeout(&exchange.server, clock.left()?)?;
            stream.set_write_timeout(Some(clock.left()?))?;
            stream.write_all(&exchange.message)?;
            let mut length = [0; 2];
            clock.fill(&mut stream, &mut length)?;
            let mut message = vec![0; u16::from_be_bytes(length).into()];
            clock.fill(&mut stream, &mut message)?;
            lookup.handle_received(&message);
            Ok(())
        }
    }
}

/// When an exchange must be over.
struct Clock(Instant);

impl Clock {
    fn left(&self) -> io::Result<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    /// Reads until the buffer is full, however slowly it comes.
    fn fill(&self, stream: &mut TcpStream, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            stream.set_read_timeout(Some(self.left()?))?;
            match stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => buffer = buffer.get_mut(length..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

fn any(server: SocketAddr) -> SocketAddr {
    let ip = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    (ip, 0).into()
}
