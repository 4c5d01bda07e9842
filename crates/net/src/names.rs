//! Looks up names: hosts by the system, records of the DNS at name servers, and what is left by the user's resolver.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use farcall_channel::{
    Address,
    dns::{Exchange, LONGEST_DATAGRAM, Lookup, NameServers, Over, Step, TIMED_OUT},
    resolver::{Answer, Found, Query, Question},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket, lookup_host},
};

use crate::connect::reason;

/// This machine's name, if it has one that can be read.
pub fn host_name() -> Option<String> {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").ok();
}

/// Where the system says whom to ask.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where a look-up that goes on brings what it finds.
pub type Updates = Arc<dyn Fn(Found) + Send + Sync>;

/// What a look-up comes to.
pub type Looked = Pin<Box<dyn Future<Output = Result<Found, String>> + Send>>;

/// A user's resolver.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// What this target stands for. A look-up that goes on brings what is new as an update, and ends when it can say no more; it
    /// is dropped when nobody wants to know.
    fn resolve(&self, target: Arc<str>, updates: Updates) -> Looked;
}

/// What a query finds.
pub(crate) async fn look_up(
    query: Query,
    resolver: Option<Arc<dyn Resolve>>,
    updates: impl FnOnce() -> Updates,
) -> Result<Answer, String> {
    match query {
        Query::Host { host, port } => addresses(&host, port).await.map(Answer::addresses),
        Query::Records(question) => records(question).await,
        Query::Custom(target) => match resolver {
            Some(resolver) => resolver.resolve(target, updates()).await.map(Answer::Found),
            None => Err(format!("there is no resolver for {target:?}")),
        },
    }
}

/// The addresses of a host, in the order of `getaddrinfo`.
async fn addresses(host: &str, port: u16) -> Result<Vec<Address>, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![Address::Ip((ip, port).into())]);
    }
    match lookup_host((host, port)).await {
        Ok(found) => Ok(found.map(Address::Ip).collect()),
        Err(_) => Err("Domain name not found".to_owned()),
    }
}

async fn records(question: Question) -> Result<Answer, String> {
    // A file that is not there says nothing, as an empty one.
    let servers = tokio::task::spawn_blocking(|| std::fs::read_to_string(RESOLV_CONF).unwrap_or_default());
    let servers = NameServers::of_resolv_conf(&servers.await.unwrap_or_default());
    // Keyed from the system's random bits.
    let mut lookup = Lookup::new(question, servers, RandomState::new().hash_one(0));
    loop {
        let exchange = match lookup.poll() {
            Step::Done(answer) => return answer,
            Step::Ask(exchange) => exchange,
        };
        let outcome = tokio::time::timeout(exchange.timeout, make(&exchange, &mut lookup)).await;
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => lookup.handle_failed(&format!("Could not contact DNS servers: {}", reason(&error))),
            Err(_) => lookup.handle_failed(TIMED_OUT),
        }
    }
}

/// Brings a message to a name server, and what it answers to the look-up.
async fn make(exchange: &Exchange, lookup: &mut Lookup) -> io::Result<()> {
    match exchange.over {
        Over::Udp => {
            // A port that the system chooses, and that takes nothing from others.
            let socket = UdpSocket::bind(any(exchange.server)).await?;
            socket.connect(exchange.server).await?;
            socket.send(&exchange.message).await?;
            let mut message = vec![0; LONGEST_DATAGRAM];
            loop {
                let length = socket.recv(&mut message).await?;
                if lookup.handle_received(message.get(..length).unwrap_or_default()) {
                    return Ok(());
                }
            }
        }
        Over::Tcp => {
            let mut stream = TcpStream::connect(exchange.server).await?;
            stream.write_all(&exchange.message).await?;
            let length = stream.read_u16().await?;
            let mut message = vec![0; length.into()];
            stream.read_exact(&mut message).await?;
            lookup.handle_received(&message);
            Ok(())
        }
    }
}

fn any(server: SocketAddr) -> SocketAddr {
    let ip = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    (ip, 0).into()
}
