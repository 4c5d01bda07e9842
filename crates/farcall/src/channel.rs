use std::{
    borrow::Cow,
    collections::BTreeMap,
    error::Error,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use farcall_channel::{
    self as brain, Connectivity, InvalidServiceConfig, InvalidTarget, ServiceConfig, Target,
    balancer::{PolicyFactory, Registry},
    resolver::Client,
};
use farcall_core::{Code, Status as CoreStatus};
use farcall_engine as engine;
use farcall_net::{ChannelConfig, Resolve};

use crate::{
    Compression, Status,
    resolver::{Hosted, Resolver},
};

/// A channel to a server, which connects by itself when the first call is made, and again when a connection is lost.
///
/// Clones are cheap and share the connection. When the last clone is dropped, calls in flight finish, and the
/// connection is closed. Calls need a tokio run time with I/O and time.
///
/// The four kinds of calls are methods of it; generated clients call them.
#[derive(Clone, Debug)]
pub struct Channel {
    pub(crate) net: farcall_net::Channel,
    /// The timeout of calls that set none.
    pub(crate) timeout: Option<Duration>,
    /// How messages of calls are compressed that do not say so themselves.
    pub(crate) compression: Compression,
}

impl Channel {
    /// A channel with default settings, not connected yet.
    ///
    /// # Errors
    /// [`InvalidTarget`] says what is wrong with the target; see [`Channel::builder`] for the forms it may have.
    pub fn new(target: impl Into<String>) -> Result<Channel, InvalidTarget> {
        Channel::builder(target).connect_lazy()
    }

    /// Begins a channel to a target: `http://host:port`, `host:port`, `dns:///host:port`, `dns://server/host:port` (asks the name
    /// server of this IP address), `passthrough:///host:port`, `ipv4:1.2.3.4:5`, `ipv6:[::1]:5`, `unix:path`,
    /// `unix:///absolute/path`, `unix-abstract:name`, `vsock:cid:port`, or a URI whose scheme has a
    /// [`resolver`](Endpoint::resolver). The `ipv4:` and `ipv6:` forms may name several addresses, with commas.
    ///
    /// Without a port, `http://host` means port 80, and every other form port 443.
    pub fn builder(target: impl Into<String>) -> Endpoint {
        Endpoint::new(target.into().into())
    }

    /// [`builder`](Channel::builder) for a target that stands in the program.
    pub fn from_static(target: &'static str) -> Endpoint {
        Endpoint::new(Cow::Borrowed(target))
    }

    /// The connectivity state now.
    pub fn state(&self) -> Connectivity {
        self.net.state()
    }

    /// Waits until the connectivity state is not `last` any more, and tells the new one.
    pub async fn state_changed(&self, last: Connectivity) -> Connectivity {
        self.net.state_changed(last).await
    }
}

/// The settings of a channel to be made.
#[derive(Clone, Debug)]
pub struct Endpoint {
    target: Cow<'static, str>,
    authority: Option<String>,
    timeout: Option<Duration>,
    compression: Compression,
    /// An HTTP proxy's URI.
    proxy: Option<String>,
    environment_proxy: bool,
    channel: brain::Config,
    engine: engine::Config,
    /// By scheme.
    resolvers: BTreeMap<String, MakeResolver>,
    #[cfg(feature = "tls")]
    tls: Option<farcall_net::ClientTls>,
}

/// Makes a resolver as the hands ask it, whose service configs may name these policies.
#[derive(Clone)]
struct MakeResolver(Arc<dyn Fn(Arc<Registry>) -> Arc<dyn Resolve> + Send + Sync>);

impl fmt::Debug for MakeResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MakeResolver")
    }
}

impl Endpoint {
    fn new(target: Cow<'static, str>) -> Endpoint {
        let mut engine = engine::Config::client();
        engine.seed = random_seed();
        let channel = brain::Config::new(random_seed());
        Endpoint {
            target,
            authority: None,
            timeout: None,
            compression: Compression::Identity,
            proxy: None,
            environment_proxy: true,
            channel,
            engine,
            resolvers: BTreeMap::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Secures connections (feature `tls`). The target may be an `https://` URL then, whose port is 443 unless it has one.
    ///
    /// # Errors
    /// [`ConfigError`](crate::tls::ConfigError) says what is wrong with the configuration.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::ClientTls) -> Result<Endpoint, crate::tls::ConfigError> {
        self.tls = Some(tls.build()?);
        self.engine.scheme = "https";
        Ok(self)
    }

    /// How long calls may take that do not say so themselves. Default: no limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Endpoint {
        self.timeout = Some(timeout);
        self
    }

    /// How long one attempt to connect to one address may take. Default 20 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Endpoint {
        self.channel.connect_timeout = timeout;
        self
    }

    /// The delay after the first failure to connect, and the longest; each is 1.6 times the one before. Default 1 s
    /// and 120 s.
    #[must_use]
    pub fn backoff(mut self, initial: Duration, max: Duration) -> Endpoint {
        self.channel.backoff.initial = initial;
        self.channel.backoff.max = max;
        self
    }

    /// What the service's owner asks of its callers, as JSON (grpc/grpc `doc/service_config.md`): the load balancing policy
    /// (`loadBalancingConfig`); by method `timeout`, `waitForReady`, `maxRequestMessageBytes`, `maxResponseMessageBytes`, and
    /// `retryPolicy` or `hedgingPolicy`; for all `retryThrottling` and `healthCheckConfig`. Default: nothing.
    ///
    /// # Errors
    /// [`InvalidServiceConfig`] says all that is wrong with it, and where.
    pub fn service_config(mut self, json: &str) -> Result<Endpoint, InvalidServiceConfig> {
        self.channel.service_config = ServiceConfig::parse_with(json, &self.channel.registry)?.into();
        Ok(self)
    }

    /// Whether calls are made again, or several times at once, as the service config asks. Default true. Calls that no
    /// server has looked at go again all the same.
    #[must_use]
    pub fn retries(mut self, enabled: bool) -> Endpoint {
        self.channel.retry.enabled = enabled;
        self
    }

    /// Bytes of one call's requests that are kept to be sent again, where the service config asks for that. Default 256 KiB.
    /// A call that has sent more is not made again.
    #[must_use]
    pub fn retry_buffer(mut self, bytes: usize) -> Endpoint {
        self.channel.retry.buffer = bytes;
        self
    }

    /// Adds a load balancing policy of your own, which service configs and [`load_balancing_policy`](Endpoint::load_balancing_policy)
    /// that come after it may name; see [`balancer`](crate::balancer).
    #[must_use]
    pub fn policy(mut self, factory: impl PolicyFactory + 'static) -> Endpoint {
        Arc::make_mut(&mut self.channel.registry).register(Arc::new(factory));
        self
    }

    /// Has this resolver find out what targets of a scheme stand for, also of one that is known already: `dns`. See
    /// [`resolver`](crate::resolver).
    #[must_use]
    pub fn resolver(mut self, scheme: impl Into<String>, resolver: impl Resolver) -> Endpoint {
        let resolver = Arc::new(resolver);
        let make = move |registry| {
            let resolver = Arc::clone(&resolver);
            Arc::new(Hosted { resolver, registry }) as Arc<dyn Resolve>
        };
        self.resolvers.insert(scheme.into(), MakeResolver(Arc::new(make)));
        self
    }

    /// Looks up which hosts a service has in the SRV records (RFC 2782) of `service` and the target's name: `_grpc._tcp` asks for
    /// `_grpc._tcp.name`. The target's own port is not used then. Of the hosts those of the lowest priority that have addresses
    /// are endpoints, with their weights; 64 hosts at most. Default: the name is a host's.
    #[must_use]
    pub fn dns_service(mut self, service: impl Into<String>) -> Endpoint {
        self.channel.dns.service = Some(service.into());
        self
    }

    /// Whether the service config is looked up in the TXT records of `_grpc_config.` and the target's name (gRFC A2), where
    /// `clientLanguage` may be `rust`. One that cannot be read leaves the one before it in force, and without one before it calls
    /// fail with `UNAVAILABLE` (gRFC A21). Without such a record the channel's own counts. Default false.
    #[must_use]
    pub fn dns_service_config(mut self, wanted: bool) -> Endpoint {
        let client = || Client { languages: vec!["rust".to_owned()], host_name: farcall_net::host_name() };
        self.channel.dns.service_config = wanted.then(client);
        self
    }

    /// The load balancing policy, if the service config names none: `pick_first`, which has one connection, to the first
    /// address that answers, or `round_robin`, which has one to each endpoint and uses them in turn. Default `pick_first`.
    ///
    /// # Errors
    /// There is no policy of this name, or it cannot be had without a config.
    pub fn load_balancing_policy(mut self, name: &str) -> Result<Endpoint, UnknownPolicy> {
        let policy = self.channel.registry.policy(name).map_err(UnknownPolicy)?;
        self.channel.policy = Some(policy);
        Ok(self)
    }

    /// Whether servers are asked for their health (`grpc.health.v1.Health/Watch`, gRFC A17) when the service config has a
    /// `healthCheckConfig` with a `serviceName` and the policy uses several servers: one that does not say SERVING then gets
    /// no calls until it does. One that does not know the method is used. Default true.
    #[must_use]
    pub fn health_checks(mut self, wanted: bool) -> Endpoint {
        self.channel.health_checks = wanted;
        self
    }

    /// A channel that has had no call for this long closes its connections, and is IDLE until the next call. It is looked
    /// at once in that time, so that up to twice of it may pass. `None`: never. Default 30 minutes.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Endpoint {
        self.channel.idle_timeout = timeout;
        self
    }

    /// Resolves the target's name again when it was resolved this long ago, for names whose addresses change without a
    /// connection being lost: those of Kubernetes. Default: only when a connection is lost or cannot be made, and at most
    /// every 30 s.
    #[must_use]
    pub fn refresh_interval(mut self, interval: Duration) -> Endpoint {
        self.channel.refresh_interval = Some(interval);
        self
    }

    /// The HTTP proxy to go through, by CONNECT (gRFC A1): `http://user:password@host:port`. Default: that of the environment.
    #[must_use]
    pub fn proxy(mut self, uri: impl Into<String>) -> Endpoint {
        self.proxy = Some(uri.into());
        self
    }

    /// Whether the proxy of the environment is used: `grpc_proxy`, else `https_proxy`, else `http_proxy`, but not for hosts in
    /// `no_grpc_proxy`, else `no_proxy`, and not for this machine. Default true.
    #[must_use]
    pub fn environment_proxy(mut self, used: bool) -> Endpoint {
        self.environment_proxy = used;
        self
    }

    /// Gives the channel a memory budget of its own: so many bytes for the messages that come on all its connections
    /// together, until they are taken. As it fills, windows become smaller, large messages wait and compressed ones stay
    /// compressed. Default: one that all servers and channels of the process share; see
    /// [`Server::memory_budget`](crate::Server::memory_budget).
    #[must_use]
    pub fn memory_budget(mut self, bytes: usize) -> Endpoint {
        self.engine.budget = Some(Arc::new(engine::Budget::new(bytes)));
        self
    }

    /// Text before the library's own in the `user-agent` header, e.g. `my-program/1.0`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl fmt::Display) -> Endpoint {
        self.engine.user_agent = format!("{user_agent} {}", self.engine.user_agent);
        self
    }

    /// The `:authority` header. Default: host and port of the target.
    #[must_use]
    pub fn authority(mut self, authority: impl Into<String>) -> Endpoint {
        self.authority = Some(authority.into());
        self
    }

    /// The largest message taken from the server, in bytes. Default 4 MiB. Past it a call fails with
    /// `RESOURCE_EXHAUSTED`.
    #[must_use]
    pub fn max_decoding_message_size(mut self, bytes: usize) -> Endpoint {
        self.engine.limits.max_receive_message_length = Some(bytes);
        self
    }

    /// The largest message sent, in bytes. Default: no limit. Past it a call fails with `RESOURCE_EXHAUSTED`.
    #[must_use]
    pub fn max_encoding_message_size(mut self, bytes: usize) -> Endpoint {
        self.engine.limits.max_send_message_length = Some(bytes);
        self
    }

    /// Changes bounds on what the other side may cost, each with its unit and default: [`Limits`](crate::Limits).
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut crate::Limits)) -> Endpoint {
        change(&mut self.engine.limits);
        self
    }

    /// What the server may send on one call before the application takes it, in bytes.
    #[must_use]
    pub fn initial_stream_window_size(mut self, bytes: u32) -> Endpoint {
        (self.engine.limits.initial_stream_window, self.engine.limits.stream_window) = (bytes, bytes);
        self
    }

    /// What the server may send on all calls together before the application takes it, in bytes.
    #[must_use]
    pub fn initial_connection_window_size(mut self, bytes: u32) -> Endpoint {
        self.engine.limits.connection_window = bytes;
        self
    }

    /// The largest HTTP/2 frame taken from the server, in bytes of payload: 16,384 to 16,777,215. Default 1 MiB.
    #[must_use]
    pub fn max_frame_size(mut self, bytes: u32) -> Endpoint {
        self.engine.limits.max_frame_size = bytes;
        self
    }

    /// Whether windows grow where they hold the server back, which is found out by PINGs (bandwidth-delay probing). Default
    /// true.
    #[must_use]
    pub fn adaptive_window(mut self, adaptive: bool) -> Endpoint {
        self.engine.bdp_probe = adaptive;
        self
    }

    /// How messages are compressed, those that get shorter by it; [`Request::set_compression`](crate::Request::set_compression)
    /// is for one call. A server that cannot read it fails the call with `UNIMPLEMENTED`. Default: not at all. What
    /// servers send may be compressed in any way.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Endpoint {
        self.compression = compression;
        self
    }

    /// After this long without a byte from the server it is sent a PING, to see whether it is still there (gRFC A8).
    /// Servers end connections that send them more often than they allow (grpcio's: every 5 minutes); the channel's
    /// next connection then sends them half as often. Default: never.
    ///
    /// On Linux what is sent may then stay unacknowledged no longer than [`keepalive_timeout`](Endpoint::keepalive_timeout)
    /// either (TCP_USER_TIMEOUT, gRFC A18).
    #[must_use]
    pub fn keepalive_time(mut self, time: Duration) -> Endpoint {
        self.engine.keepalive_time = Some(time);
        self
    }

    /// When nothing comes from the server for this long after a keepalive PING, the connection is lost, and its calls
    /// fail with `UNAVAILABLE`. Default 20 s.
    #[must_use]
    pub fn keepalive_timeout(mut self, timeout: Duration) -> Endpoint {
        self.engine.keepalive_timeout = timeout;
        self
    }

    /// Whether keepalive goes on while there are no calls. Default false.
    #[must_use]
    pub fn keepalive_without_calls(mut self, without_calls: bool) -> Endpoint {
        self.engine.keepalive_without_calls = without_calls;
        self
    }

    /// A connection without calls for this long, give or take a tenth, is closed; the next call makes another. Default:
    /// never.
    #[must_use]
    pub fn max_connection_idle(mut self, idle: Duration) -> Endpoint {
        self.engine.max_connection_idle = Some(idle);
        self
    }

    /// The channel, which connects when the first call is made.
    ///
    /// # Errors
    /// [`InvalidTarget`] says what is wrong with the target.
    pub fn connect_lazy(self) -> Result<Channel, InvalidTarget> {
        let custom = Target::scheme(&self.target).and_then(|scheme| self.resolvers.get(scheme));
        let target = match custom {
            Some(_) => Target::custom(&self.target),
            None => parse(&self.target, self.engine.scheme)?,
        };
        let resolver = custom.map(|make| (make.0)(Arc::clone(&self.channel.registry)));
        let variable = |name: &str| std::env::var(name).ok().filter(|_| self.environment_proxy);
        let proxy = brain::proxy::on_the_way(&target, self.proxy.as_deref(), variable);
        let mut config = ChannelConfig {
            channel: self.channel,
            engine: self.engine,
            resolver,
            authority: self.authority,
            #[cfg(feature = "tls")]
            tls: self.tls,
        };
        let net = match proxy {
            Ok(proxy) => {
                config.channel.proxy = proxy;
                farcall_net::Channel::new(target, config)
            }
            Err(error) => farcall_net::Channel::lame(CoreStatus::new(Code::Unavailable, error.to_string()), config),
        };
        Ok(Channel { net, timeout: self.timeout, compression: self.compression })
    }

    /// The channel, connected.
    ///
    /// # Errors
    /// [`ConnectError`] when the target cannot be read, or no address of it could be connected to.
    pub async fn connect(self) -> Result<Channel, ConnectError> {
        let channel = self.connect_lazy().map_err(ConnectError::Target)?;
        match channel.net.connect().await {
            Ok(()) => Ok(channel),
            Err(status) => Err(ConnectError::Unavailable(status.into())),
        }
    }
}

/// Targets as the channel's brain knows them, and URLs of the channel's scheme.
fn parse(text: &str, scheme: &str) -> Result<Target, InvalidTarget> {
    let invalid = |why: &str| InvalidTarget { target: text.to_owned(), why: why.to_owned() };
    let (given, rest) = match text.split_once("://") {
        Some((given @ ("http" | "https"), rest)) => (given, rest),
        _ => return Target::parse(text),
    };
    if given != scheme {
        let why = if scheme == "http" { "https:// needs TLS" } else { "with TLS it is https://" };
        return Err(invalid(why));
    }
    let authority = rest.trim_end_matches('/');
    if authority.contains(['/', '?', '#', '@']) {
        return Err(invalid("a URL has a host and a port here, and no more"));
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let mut target = Target::parse(&format!("dns:{authority}")).map_err(|error| invalid(&error.why))?;
    if let (false, brain::Endpoint::Dns { port, .. }) = (has_port, &mut target.endpoint) {
        *port = if scheme == "http" { 80 } else { 443 };
    }
    Ok(target)
}

/// Different in every process and channel; nothing secret depends on it.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// Why there is no connected channel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The target cannot be read.
    Target(InvalidTarget),
    /// No address could be connected to; the status is what a call would have ended with.
    Unavailable(Status),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Target(invalid) => invalid.fmt(f),
            ConnectError::Unavailable(status) => f.write_str(status.message()),
        }
    }
}

impl Error for ConnectError {}

/// A load balancing policy that is not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownPolicy(String);

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UnknownPolicy {}

#[cfg(test)]
mod tests {
    use farcall_channel::Endpoint;

    use super::parse;

    #[test]
    fn urls() {
        for (text, host, port, authority) in [
            ("http://[::1]:50051", "::1", 50051, "[::1]:50051"),
            ("http://localhost:5/", "localhost", 5, "localhost:5"),
            ("http://example.com", "example.com", 80, "example.com"),
            ("http://[::1]", "::1", 80, "[::1]"),
            ("localhost:5", "localhost", 5, "localhost:5"),
        ] {
            let target = parse(text, "http").unwrap();
            let Endpoint::Dns { host: h, port: p, .. } = target.endpoint else { panic!("{text}") };
            assert_eq!((&*h, p, &*target.authority), (host, port, authority), "{text}");
        }
        for text in ["https://example.com", "http://", "http://a/b", "http://me@a:1"] {
            assert!(parse(text, "http").unwrap_err().to_string().contains(text), "{text}");
        }
        let Endpoint::Dns { port, .. } = parse("https://example.com", "https").unwrap().endpoint else { panic!() };
        assert_eq!(port, 443);
        assert!(parse("http://example.com", "https").is_err());
    }
}
