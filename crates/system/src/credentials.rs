//! How connections are secured: what a new one goes through.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, SystemTime},
};

use farcall_channel::{Address, ConnectError};
use farcall_core::Code;
use farcall_security::{ClientConfig, Clock, ConfigError, ServerConfig, Session, SessionCache};

use crate::{lock, socket::Socket, transport::Transport};

mod roots;

pub use roots::default as default_roots;

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

/// Two ends of one machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalKind {
    /// Unix sockets.
    Uds,
    /// TCP over loopback.
    Tcp,
}

impl LocalKind {
    fn fits(self, address: &Address) -> bool {
        match address {
            Address::Ip(address) => self == LocalKind::Tcp && address.ip().to_canonical().is_loopback(),
            Address::Unix(_) | Address::UnixAbstract(_) => self == LocalKind::Uds,
        }
    }
}

// Clients.

/// How a channel's connections are secured. Cheap to clone.
#[derive(Clone)]
pub enum ClientSecurity {
    /// Plain text, between two ends of one machine.
    Local(Local),
    /// TLS.
    Tls(Tls),
}

/// Plain text that goes only between two ends of one machine.
#[derive(Clone, Copy)]
pub struct Local(LocalKind);

/// A client's TLS.
#[derive(Clone)]
pub struct Tls {
    /// Made when the first connection is.
    lazy: Arc<Lazy>,
    sessions: Option<SessionCache>,
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

impl ClientSecurity {
    /// Plain text, between two ends of one machine.
    pub fn local(kind: LocalKind) -> ClientSecurity {
        ClientSecurity::Local(Local(kind))
    }

    /// TLS by the configuration that `make` makes when the first connection is made. `waits` says that shaking hands may
    /// call a user's function, `named` that the server's name counts.
    pub fn tls(make: MakeConfig, waits: bool, named: bool) -> ClientSecurity {
        ClientSecurity::Tls(Tls { lazy: Arc::new(Lazy { make, made: OnceLock::new(), waits, named }), sessions: None })
    }

    /// The same, resuming the sessions in `cache`.
    pub fn with_sessions(&self, cache: &SessionCache) -> ClientSecurity {
        let mut security = self.clone();
        if let ClientSecurity::Tls(tls) = &mut security {
            tls.sessions = Some(cache.clone());
        }
        security
    }

    /// `:scheme`.
    pub fn scheme(&self) -> &'static str {
        match self {
            ClientSecurity::Local(_) => "http",
            ClientSecurity::Tls(_) => "https",
        }
    }

    /// Whether the handshake needs a thread of its own.
    pub fn waits(&self) -> bool {
        matches!(self, ClientSecurity::Tls(Tls { lazy, .. }) if lazy.waits)
    }

    /// What a new connection to `address` goes through; the server is known as `name`.
    ///
    /// # Errors
    /// When there can be no connection like that; says why.
    pub fn transport(&self, name: &str, address: &Address) -> Result<Transport, ConnectError> {
        let refused = |why: String| ConnectError { code: Code::Unknown, why };
        match self {
            ClientSecurity::Local(Local(kind)) if kind.fits(address) => Ok(Transport::Local),
            ClientSecurity::Local(_) => Err(refused("Endpoint is neither UDS or TCP loopback address.".to_owned())),
            ClientSecurity::Tls(Tls { lazy, sessions }) => {
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
    }
}

// Servers.

/// How a port's connections are secured. Cheap to clone.
#[derive(Clone)]
pub enum PortSecurity {
    /// Plain text, between two ends of one machine.
    Local(Local),
    /// TLS by this configuration.
    Tls(ServerConfig),
    /// TLS by what is asked for at each handshake.
    Dynamic(Arc<Dynamic>),
}

/// Asks for another configuration of a server's TLS; `None` for no change.
pub type Renew = Box<dyn Fn() -> Option<ServerConfig> + Send + Sync>;

/// Asked at each handshake for other certificates.
pub struct Dynamic {
    renew: Renew,
    current: Mutex<ServerConfig>,
}

impl PortSecurity {
    /// Plain text, between two ends of one machine.
    pub fn local(kind: LocalKind) -> PortSecurity {
        PortSecurity::Local(Local(kind))
    }

    /// TLS as `current` says, until `renew` says otherwise.
    pub fn dynamic(current: ServerConfig, renew: Renew) -> PortSecurity {
        PortSecurity::Dynamic(Arc::new(Dynamic { renew, current: Mutex::new(current) }))
    }

    /// Whether making a transport calls a user's function, which may take long.
    pub fn waits(&self) -> bool {
        matches!(self, PortSecurity::Dynamic(_))
    }

    /// What an accepted connection goes through; `None` when there can be none.
    pub fn transport(&self, socket: &Socket) -> Option<Transport> {
        let config = match self {
            PortSecurity::Local(Local(kind)) => {
                return socket.peer_address().is_some_and(|peer| kind.fits(&peer)).then_some(Transport::Local);
            }
            PortSecurity::Tls(config) => config.clone(),
            PortSecurity::Dynamic(dynamic) => dynamic.renewed(),
        };
        Session::server(&config).ok().map(Transport::tls)
    }
}

impl Dynamic {
    /// The configuration for the next handshake. What cannot be used leaves the last one in place.
    fn renewed(&self) -> ServerConfig {
        let renewed = (self.renew)();
        let mut current = lock(&self.current);
        if let Some(config) = renewed {
            *current = config;
        }
        current.clone()
    }
}
