//! Clients and servers whose connections are secured by TLS.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, SystemTime},
};

use farcall_channel::ConnectError;
use farcall_core::Code;
use farcall_security::{ClientConfig, Clock, ConfigError, ServerConfig, Session, SessionCache};

use crate::{lock, transport::Transport};

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_seconds(&self) -> u64 {
        SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO).as_secs()
    }
}

/// Cipher suites as the environment has them.
pub fn cipher_suites() -> Option<String> {
    std::env::var("GRPC_SSL_CIPHER_SUITES").ok().filter(|suites| !suites.is_empty())
}

/// A client's TLS.
#[derive(Clone)]
pub struct Tls {
    /// Made when the first connection is.
    lazy: Arc<Lazy>,
    pub(super) sessions: Option<SessionCache>,
}

/// Makes the configuration of a client's TLS.
pub type MakeConfig = Box<dyn Fn() -> Result<ClientConfig, ConfigError> + Send + Sync>;

struct Lazy {
    make: MakeConfig,
    made: OnceLock<Result<ClientConfig, ConfigError>>,
    /// Shaking hands may call a user's function, which no thread does that others wait for.
    waits: bool,
    named: bool,
}

impl Tls {
    pub(super) fn new(make: MakeConfig, waits: bool, named: bool) -> Tls {
        Tls { lazy: Arc::new(Lazy { make, made: OnceLock::new(), waits, named }), sessions: None }
    }

    pub(super) fn waits(&self) -> bool {
        self.lazy.waits
    }

    /// A new connection's; the server is known as `name`.
    pub(super) fn transport(&self, name: &str) -> Result<Transport, ConnectError> {
        let Tls { lazy, sessions } = self;
        let refused = |why: String| ConnectError { code: Code::Unknown, why };
        let failed = |error: ConfigError| refused(format!("Failed to create security handshaker. ({error})"));
        let config = lazy.made.get_or_init(|| (lazy.make)()).clone().map_err(failed)?;
        let config = sessions.as_ref().map_or_else(|| config.clone(), |cache| config.with_sessions(cache));
        let mut session = Session::client(&config, name);
        if matches!(session, Err(ConfigError::BadServerName(_))) && !lazy.named {
            // A name nobody will look at.
            session = Session::client(&config, "0.0.0.0");
        }
        match session {
            Ok(session) => Ok(Transport::tls(session)),
            Err(ConfigError::BadServerName(name)) => Err(refused(format!(
                "Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed. \
                     ({name:?} is no name that a certificate can be for)"
            ))),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Asks for another configuration of a server's TLS; `None` for no change.
pub type Renew = Box<dyn Fn() -> Option<ServerConfig> + Send + Sync>;

/// Asked at each handshake for other certificates.
pub struct Dynamic {
    renew: Renew,
    current: Mutex<ServerConfig>,
}

/// What an accepted connection goes through; `None` when there can be none.
pub(super) fn serve(config: &ServerConfig) -> Option<Transport> {
    Session::server(config).ok().map(Transport::tls)
}

impl Dynamic {
    pub(super) fn new(current: ServerConfig, renew: Renew) -> Dynamic {
        Dynamic { renew, current: Mutex::new(current) }
    }

    /// The configuration for the next handshake. What cannot be used leaves the last one in place.
    pub(super) fn renewed(&self) -> ServerConfig {
        let renewed = (self.renew)();
        let mut current = lock(&self.current);
        if let Some(config) = renewed {
            *current = config;
        }
        current.clone()
    }
}
