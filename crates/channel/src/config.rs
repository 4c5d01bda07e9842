//! What the owner of a channel chooses.

use std::{fmt, sync::Arc, time::Duration};

use farcall_core::Code;

use crate::{
    Backoff, Limits, Proxy, RetryConfig, ServiceConfig,
    balancer::{PolicyConfig, Registry},
    limits::RING_PLACES,
    resolver::Client,
};

/// What the owner of a channel chooses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Delays between attempts to connect to one address, and between attempts to resolve a name.
    pub backoff: Backoff,
    /// How long one attempt to connect may take until the peer's SETTINGS are here. Default 20 s.
    pub connect_timeout: Duration,
    /// `pick_first` begins the attempt at the next address when the one before it has taken this long (happy eyeballs,
    /// RFC 8305). Default 250 ms.
    pub attempt_delay: Duration,
    /// `priority` waits so long for a child that connects before it tries the next beside it. Default 10 s.
    pub priority_failover: Duration,
    /// Places on the ring of `ring_hash` at most, 16 bytes each. Default 4096.
    pub ring_places: u32,
    /// A channel without calls for this long closes its connections and is IDLE until the next call. It is looked at once
    /// in that time, so that up to twice of it may pass. `None`: never. Default 30 minutes.
    pub idle_timeout: Option<Duration>,
    /// A name that has been resolved is not resolved again sooner than this. Default 30 s.
    pub min_resolution_interval: Duration,
    /// A name that was resolved this long ago is resolved again, for names whose addresses change without a connection being
    /// lost: those of Kubernetes. `None`: only when a connection is lost or cannot be made. Default `None`.
    pub refresh_interval: Option<Duration>,
    /// What is asked of the DNS beside addresses. Default: nothing.
    pub dns: DnsConfig,
    /// The proxy on the way to the target.
    pub proxy: Option<Proxy>,
    /// The load balancing policy of a channel whose service config names none. `None`: `pick_first`.
    pub policy: Option<Arc<dyn PolicyConfig>>,
    /// The policies that a resolver's service config may name.
    pub registry: Arc<Registry>,
    /// What calls are asked to do, unless the resolver finds another.
    pub service_config: Arc<ServiceConfig>,
    /// Whether servers are asked for their health when the service config wants that (gRFC A17). Default true.
    pub health_checks: bool,
    /// Retries, for the hands to see to.
    pub retry: RetryConfig,
    /// Bounds.
    pub limits: Limits,
}

impl Config {
    /// gRPC's defaults, with a seed for what is random: jitter, where `round_robin` begins.
    pub fn new(seed: u64) -> Config {
        Config {
            backoff: Backoff::new(seed),
            connect_timeout: Duration::from_secs(20),
            attempt_delay: Duration::from_millis(250),
            priority_failover: Duration::from_secs(10),
            ring_places: RING_PLACES,
            idle_timeout: Some(Duration::from_secs(30 * 60)),
            min_resolution_interval: Duration::from_secs(30),
            refresh_interval: None,
            dns: DnsConfig::default(),
            proxy: None,
            policy: None,
            registry: Arc::default(),
            service_config: Arc::default(),
            health_checks: true,
            retry: RetryConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// What a channel asks of the DNS beside the addresses of its target's name. Not for addresses, for `passthrough:` and behind a
/// proxy.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct DnsConfig {
    /// The service whose SRV records (RFC 2782) name the hosts with their ports, such as `_grpc._tcp`. The target's own port
    /// is not used then, and of the hosts those of the lowest priority that have addresses. `None`: the name is a host's.
    pub service: Option<String>,
    /// Whether the service config is looked up, in the TXT records of `_grpc_config.` and the name (gRFC A2), and who this client
    /// is that may choose among several.
    pub service_config: Option<Client>,
}

/// Why an attempt to connect failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectError {
    /// `UNKNOWN` for what the network said, `FAILED_PRECONDITION` for a Unix socket that is not there.
    pub code: Code,
    /// For people: `Failed to connect to remote host: Connection refused`.
    pub why: String,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.why)
    }
}
