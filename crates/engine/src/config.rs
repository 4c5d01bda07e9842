use crate::{Limits, Role};

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
            seed: 0,
        }
    }

    /// The defaults of a server.
    pub fn server() -> Config {
        Config { role: Role::Server, ..Config::client() }
    }
}
