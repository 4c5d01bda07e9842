use std::{
    collections::HashMap,
    fmt,
    future::{Future, pending},
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use farcall_channel::Address;
use farcall_core::MethodPath;
use farcall_engine as engine;
use farcall_net::{Listener, ServerConfig, serve};

use super::{Call, Service};
use crate::{Compression, channel::random_seed, load::Load};

/// A server to be started: its services and settings.
///
/// ```no_run
/// # async fn run(greeter: impl farcall::server::Service) -> std::io::Result<()> {
/// farcall::Server::builder().add_service(greeter).serve("[::1]:50051").await
/// # }
/// ```
pub struct Server {
    services: HashMap<&'static str, Box<dyn Service>>,
    engine: engine::Config,
    handshake_timeout: Duration,
    max_connections: Option<usize>,
    compression: Compression,
    load: Option<Load>,
    #[cfg(feature = "tls")]
    tls: Option<farcall_security::ServerConfig>,
}

impl Server {
    /// A server without services.
    pub fn builder() -> Server {
        let mut engine = engine::Config::server();
        engine.seed = random_seed();
        Server {
            services: HashMap::new(),
            engine,
            handshake_timeout: Duration::from_secs(120),
            max_connections: None,
            compression: Compression::Identity,
            load: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Secures connections (feature `tls`).
    ///
    /// # Errors
    /// [`ConfigError`](crate::tls::ConfigError) says what is wrong with the configuration.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::ServerTls) -> Result<Server, crate::tls::ConfigError> {
        self.tls = Some(tls.build()?);
        Ok(self)
    }

    /// Adds a service; one of the same name that was there is replaced.
    #[must_use]
    pub fn add_service(mut self, service: impl Service) -> Server {
        self.services.insert(service.name(), Box::new(service));
        self
    }

    /// The largest message taken from a client, in bytes. Default 4 MiB. Past it a call fails with
    /// `RESOURCE_EXHAUSTED`.
    #[must_use]
    pub fn max_decoding_message_size(mut self, bytes: usize) -> Server {
        self.engine.limits.max_receive_message_length = Some(bytes);
        self
    }

    /// The largest message sent, in bytes. Default: no limit. Past it a call fails with `RESOURCE_EXHAUSTED`.
    #[must_use]
    pub fn max_encoding_message_size(mut self, bytes: usize) -> Server {
        self.engine.limits.max_send_message_length = Some(bytes);
        self
    }

    /// How many calls one connection may have at a time. Default: no limit.
    #[must_use]
    pub fn max_concurrent_streams(mut self, calls: impl Into<Option<u32>>) -> Server {
        self.engine.limits.max_concurrent_streams = calls.into();
        self
    }

    /// Changes bounds on what the other side may cost, each with its unit and default: [`Limits`](crate::Limits).
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut crate::Limits)) -> Server {
        change(&mut self.engine.limits);
        self
    }

    /// Gives the server a memory budget of its own: so many bytes for messages of all its connections together, from the
    /// first byte that comes of one until its handler takes the next or ends. As it fills, windows become smaller, large
    /// messages wait and compressed ones stay compressed. When small ones that nobody takes overdraw it by an eighth, calls
    /// are refused of clients with many of those. Default: one that all servers and channels of the process share, half of the memory there is (the least of
    /// the machine's, of its control group's and of `ulimit -v`; 1 GiB where the system is not Linux).
    #[must_use]
    pub fn memory_budget(mut self, bytes: usize) -> Server {
        self.engine.budget = Some(Arc::new(engine::Budget::new(bytes)));
        self
    }

    /// What a client may send on one call before its handler takes it, in bytes.
    #[must_use]
    pub fn initial_stream_window_size(mut self, bytes: u32) -> Server {
        (self.engine.limits.initial_stream_window, self.engine.limits.stream_window) = (bytes, bytes);
        self
    }

    /// What a client may send on all calls together before their handlers take it, in bytes.
    #[must_use]
    pub fn initial_connection_window_size(mut self, bytes: u32) -> Server {
        self.engine.limits.connection_window = bytes;
        self
    }

    /// The largest HTTP/2 frame taken from a client, in bytes of payload: 16,384 to 16,777,215. Default 1 MiB.
    #[must_use]
    pub fn max_frame_size(mut self, bytes: u32) -> Server {
        self.engine.limits.max_frame_size = bytes;
        self
    }

    /// How long a client may take from connecting until it has sent its settings. Default 120 s. Past it the connection
    /// is closed.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Server {
        self.handshake_timeout = timeout;
        self
    }

    /// How many connections there may be at a time. One more is closed as soon as it is accepted, so that its client tries
    /// the next address at once. Default: no limit.
    #[must_use]
    pub fn max_connections(mut self, connections: impl Into<Option<usize>>) -> Server {
        self.max_connections = connections.into();
        self
    }

    /// Whether windows grow where they hold a client back, which is found out by PINGs (bandwidth-delay probing). Default
    /// true.
    #[must_use]
    pub fn adaptive_window(mut self, adaptive: bool) -> Server {
        self.engine.bdp_probe = adaptive;
        self
    }

    /// How answers are compressed, messages that get shorter by it, for clients that read it;
    /// [`Response::set_compression`](crate::Response::set_compression) is for one call. Default: not at all. What clients
    /// send may be compressed in any way.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Server {
        self.compression = compression;
        self
    }

    /// Ends each call with what `load` says, and over that what the call's handler says by
    /// [`Request::load`](crate::Request::load), in its trailing metadata (ORCA, gRFC A51). Default: not.
    #[must_use]
    pub fn report_load(mut self, load: Load) -> Server {
        self.load = Some(load);
        self
    }

    /// After this long without a byte from a client it is sent a PING, to see whether it is still there (gRFC A9); `None`
    /// sends none. Default 2 hours.
    ///
    /// On Linux what is sent may then stay unacknowledged no longer than [`keepalive_timeout`](Server::keepalive_timeout)
    /// either (TCP_USER_TIMEOUT, gRFC A18).
    #[must_use]
    pub fn keepalive_time(mut self, time: impl Into<Option<Duration>>) -> Server {
        self.engine.keepalive_time = time.into();
        self
    }

    /// When nothing comes from a client for this long after a keepalive PING, its connection is closed. Default 20 s.
    #[must_use]
    pub fn keepalive_timeout(mut self, timeout: Duration) -> Server {
        self.engine.keepalive_timeout = timeout;
        self
    }

    /// How often a client that has calls may send PINGs (gRFC A8). One that does more often, three times, is disconnected
    /// with `too_many_pings`. Default 5 minutes.
    #[must_use]
    pub fn min_ping_interval(mut self, interval: Duration) -> Server {
        self.engine.limits.min_ping_interval = interval;
        self
    }

    /// Whether clients without calls may send PINGs as often, rather than every 2 hours; and whether keepalive of this
    /// side goes on without calls. Default false.
    #[must_use]
    pub fn keepalive_without_calls(mut self, without_calls: bool) -> Server {
        self.engine.keepalive_without_calls = without_calls;
        self
    }

    /// A connection without calls for this long, give or take a tenth, is closed (gRFC A9). Default: never.
    #[must_use]
    pub fn max_connection_idle(mut self, idle: Duration) -> Server {
        self.engine.max_connection_idle = Some(idle);
        self
    }

    /// A connection this old, give or take a tenth, takes no new calls, and is closed when those it has are over (gRFC
    /// A9): the client makes another, perhaps to another server. Default: no limit.
    #[must_use]
    pub fn max_connection_age(mut self, age: Duration) -> Server {
        self.engine.max_connection_age = Some(age);
        self
    }

    /// How long calls may go on after [`max_connection_age`](Server::max_connection_age); those left then end with
    /// `UNAVAILABLE`. Default: as long as they like.
    #[must_use]
    pub fn max_connection_age_grace(mut self, grace: Duration) -> Server {
        self.engine.max_connection_age_grace = Some(grace);
        self
    }

    /// Listens on an address: `127.0.0.1:50051`, `[::]:50051` (IPv4 too), `localhost:0`, `unix:/path`, or a
    /// [`SocketAddr`]. Port 0 is a free one, told by [`Bound::local_addr`]. Clients can connect from now on, and wait
    /// until it serves.
    ///
    /// # Errors
    /// The system's, with a text that names the address.
    pub async fn bind(self, address: impl fmt::Display) -> io::Result<Bound> {
        let listeners = Listener::bind(&address.to_string()).await?;
        Ok(Bound { listeners, server: self })
    }

    /// Listens and serves until the future is dropped.
    ///
    /// # Errors
    /// Those of [`bind`](Server::bind).
    pub async fn serve(self, address: impl fmt::Display) -> io::Result<()> {
        self.bind(address).await?.serve().await;
        Ok(())
    }

    /// Listens and serves until `signal` is ready, then as [`Bound::serve_with_shutdown`].
    ///
    /// # Errors
    /// Those of [`bind`](Server::bind).
    pub async fn serve_with_shutdown(
        self,
        address: impl fmt::Display,
        signal: impl Future<Output = ()>,
    ) -> io::Result<()> {
        self.bind(address).await?.serve_with_shutdown(signal).await;
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("services", &self.services.keys()).finish_non_exhaustive()
    }
}

/// A server that listens, and does not serve yet.
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<Listener>,
    server: Server,
}

impl Bound {
    /// The IP address and port it listens on, the first if there are several; `None` for other kinds of socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(|listener| match listener.local_address() {
            Ok(Address::Ip(address)) => Some(address),
            _ => None,
        })
    }

    /// Serves until the future is dropped, which closes every connection and drops every handler.
    pub async fn serve(self) {
        self.serve_with_shutdown(pending()).await;
    }

    /// Serves until `signal` is ready; then takes no new calls, tells clients to go elsewhere, and waits for the calls
    /// in flight. Dropping the future stops at once.
    pub async fn serve_with_shutdown(self, signal: impl Future<Output = ()>) {
        let Server { services, engine, handshake_timeout, max_connections, compression, load, .. } = self.server;
        let services = Arc::new(services);
        let route = move |incoming| route(&services, Call::new(incoming, compression, load.as_ref()));
        let config = ServerConfig {
            engine,
            handshake_timeout,
            max_connections,
            #[cfg(feature = "tls")]
            tls: self.server.tls,
        };
        serve(self.listeners, config, route, signal).await;
    }
}

fn route(services: &HashMap<&'static str, Box<dyn Service>>, call: Call) {
    let service = MethodPath::parse(call.path()).ok().and_then(|path| services.get(path.service()));
    match service {
        // One call's panic must not end the connection, and with it all the others. The call answers for itself when it
        // is dropped.
        Some(service) => drop(catch_unwind(AssertUnwindSafe(|| service.call(call)))),
        None => call.unimplemented(),
    }
}
