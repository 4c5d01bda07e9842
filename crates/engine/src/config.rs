use std::{sync::Arc, time::Duration};

use crate::{Budget, Encodings, Limits, Role};

/// What the owner of a connection chooses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Client or server.
    pub role: Role,
    /// `:scheme` of requests, `http` or `https` (client only).
    pub scheme: &'static str,
    /// `user-agent` of requests (client only); left out when empty.
    pub user_agent: String,
    /// Every bound on what a peer may cost.
    pub limits: Limits,
    /// The memory for messages that this connection shares with others. Default `None`: there are only its own
    /// [`limits`](Config::limits).
    pub budget: Option<Arc<Budget>>,
    /// After this long without a byte from the peer it is sent a PING, to see whether it is still there. `None` sends
    /// none. Default: off for a client, 2 hours for a server, as in grpcio.
    pub keepalive_time: Option<Duration>,
    /// When nothing comes from the peer for this long after such a PING, the connection is lost
    /// ([`ConnectionError::TimedOut`](crate::ConnectionError::TimedOut)). Default 20 seconds.
    pub keepalive_timeout: Duration,
    /// Whether keepalive goes on while there are no calls; on a server also whether clients may do so
    /// ([`Limits::min_ping_interval`]). Default false.
    pub keepalive_without_calls: bool,
    /// After so many keepalive PINGs without HEADERS or DATA sent in between, no more than one a minute is sent;
    /// 0 is no limit. Default: 2 for a client, 0 for a server.
    pub max_pings_without_data: u32,
    /// A connection without calls for this long is shut down (GOAWAY `max_idle`), give or take 10 % by
    /// [`seed`](Config::seed). Default `None`: never.
    pub max_connection_idle: Option<Duration>,
    /// A connection this old is shut down (GOAWAY `max_age`), give or take 10 % by [`seed`](Config::seed); its calls go
    /// on. Default `None`: never.
    pub max_connection_age: Option<Duration>,
    /// How long calls may go on after [`max_connection_age`](Config::max_connection_age); those left then end with
    /// `UNAVAILABLE`. Default `None`: as long as they like.
    pub max_connection_age_grace: Option<Duration>,
    /// Whether windows grow when they hold the peer back, which is found out by PINGs (bandwidth-delay probing), up to
    /// [`Limits::max_stream_window`]. Default true.
    pub bdp_probe: bool,
    /// Whether small messages that come together are told together, as [`Event::Messages`](crate::Event::Messages).
    /// Default false: each is told alone.
    pub runs: bool,
    /// Server: whether requests are handed up whose `:path` does not begin with a slash. Only where the path is compared
    /// as it stands, by those who route and those who guard alike (CVE-2026-33186). Default false: they end with
    /// `UNIMPLEMENTED`.
    pub any_path: bool,
    /// How the peer may compress its messages; it is told so (`grpc-accept-encoding`). A call that is compressed otherwise
    /// ends with `UNIMPLEMENTED` on a server and `INTERNAL` on a client. Default [`Encodings::ALL`].
    pub accepted_encodings: Encodings,
    /// Seed of the connection's random choices (ping payloads, jitter), so that a run can be repeated.
    pub seed: u64,
}

impl Config {
    /// The defaults of a client over plain text.
    pub fn client() -> Config {
        Config {
            role: Role::Client,
            scheme: "http",
            user_agent: concat!("farcall/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: Limits::default(),
            budget: None,
            keepalive_time: None,
            keepalive_timeout: Duration::from_secs(20),
            keepalive_without_calls: false,
            max_pings_without_data: 2,
            max_connection_idle: None,
            max_connection_age: None,
            max_connection_age_grace: None,
            bdp_probe: true,
            runs: false,
            any_path: false,
            accepted_encodings: Encodings::ALL,
            seed: 0,
        }
    }

    /// The defaults of a server.
    pub fn server() -> Config {
        Config {
            role: Role::Server,
            keepalive_time: Some(Duration::from_secs(2 * 60 * 60)),
            max_pings_without_data: 0,
            ..Config::client()
        }
    }
}
