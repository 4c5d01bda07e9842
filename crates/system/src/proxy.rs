//! Going through an HTTP CONNECT proxy: which one, and the words with it, on a thread that may wait.

use std::{
    env,
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use farcall_channel::{Address, Endpoint, InvalidProxy, Proxy, ProxyChoice, proxy::answer};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::options::ChannelOptions;

/// Variables that name a proxy, and hosts it is not for; the first that is set counts.
const PROXIES: [&str; 3] = ["grpc_proxy", "https_proxy", "http_proxy"];
const EXCEPTIONS: [&str; 2] = ["no_grpc_proxy", "no_proxy"];

/// A way through a proxy.
#[derive(Clone)]
pub struct Proxied {
    /// The proxy.
    pub proxy: Proxy,
    /// Whom the proxy connects to.
    pub host: String,
    /// That host's port.
    pub port: u16,
}

impl Proxied {
    /// The proxy on the way to where a target is, if one is to be used.
    pub fn way(endpoint: &Endpoint, options: &ChannelOptions) -> Result<Option<Proxied>, InvalidProxy> {
        let (host, port) = match endpoint {
            Endpoint::Dns { host, port, .. } => (host.clone(), *port),
            Endpoint::Custom { .. } => return Ok(None),
            Endpoint::Addresses(addresses) => match addresses.first() {
                Some(Address::Ip(address)) => (address.ip().to_string(), address.port()),
                _ => return Ok(None),
            },
        };
        Ok(of(options, &host)?.map(|proxy| Proxied { proxy, host, port }))
    }
}

/// The proxy that a channel to `host` goes through, as its options and the environment have it now.
fn of(options: &ChannelOptions, host: &str) -> Result<Option<Proxy>, InvalidProxy> {
    let first = |names: &[&str]| names.iter().find_map(|name| env::var(name).ok());
    let environment = if options.environment_proxy { first(&PROXIES) } else { None };
    let exceptions = first(&EXCEPTIONS);
    let choice = ProxyChoice {
        option: options.proxy.as_deref(),
        environment: environment.as_deref(),
        exceptions: exceptions.as_deref(),
    };
    choice.proxy_for(host)
}

/// Connects to `host:port` through the proxy at `address`; waits for as long as `patience`. The socket blocks.
///
/// # Errors
/// Of the network, or the proxy refuses.
pub fn connect(proxy: &Proxy, address: &Address, (host, port): (&str, u16), patience: Duration) -> io::Result<Socket> {
    let Address::Ip(address) = address else { return Err(io::Error::other("a proxy has an IP address")) };
    let until = Instant::now() + patience;
    let mut socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
    socket.connect_timeout(&SockAddr::from(*address), patience)?;
    socket.write_all(&proxy.request(host, port))?;
    let mut received = Vec::new();
    loop {
        if answer(&received).map_err(io::Error::other)? {
            return Ok(socket);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        // One byte at a time: what comes after the answer is not for us.
        let mut byte = [0];
        match socket.read(&mut byte) {
            Ok(0) => return Err(io::Error::other("the proxy closed the connection")),
            Ok(_) => received.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
