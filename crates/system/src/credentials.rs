//! How connections are secured: what a new one goes through.

#[cfg(feature = "tls")]
mod roots;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
use std::sync::Arc;

use farcall_channel::{Address, ConnectError};
use farcall_core::Code;
#[cfg(feature = "tls")]
use farcall_security::{ServerConfig, SessionCache};

use crate::{socket::Socket, transport::Transport};

#[cfg(feature = "tls")]
pub use roots::default as default_roots;
#[cfg(feature = "tls")]
pub use tls::{Dynamic, MakeConfig, Renew, SystemClock, Tls, cipher_suites};

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
            Address::Vsock { .. } => false,
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
    #[cfg(feature = "tls")]
    Tls(Tls),
}

/// Plain text that goes only between two ends of one machine.
#[derive(Clone, Copy)]
pub struct Local(LocalKind);

impl ClientSecurity {
    /// Plain text, between two ends of one machine.
    pub fn local(kind: LocalKind) -> ClientSecurity {
        ClientSecurity::Local(Local(kind))
    }

    /// TLS by the configuration that `make` makes when the first connection is made. `waits` says that shaking hands may
    /// call a user's function, `named` that the server's name counts.
    #[cfg(feature = "tls")]
    pub fn tls(make: MakeConfig, waits: bool, named: bool) -> ClientSecurity {
        ClientSecurity::Tls(Tls::new(make, waits, named))
    }

    /// The same, resuming the sessions in `cache`.
    #[cfg(feature = "tls")]
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
            #[cfg(feature = "tls")]
            ClientSecurity::Tls(_) => "https",
        }
    }

    /// Whether the handshake needs a thread of its own.
    pub fn waits(&self) -> bool {
        match self {
            ClientSecurity::Local(_) => false,
            #[cfg(feature = "tls")]
            ClientSecurity::Tls(tls) => tls.waits(),
        }
    }

    /// What a new connection to `address` goes through; the server is known as `name`.
    ///
    /// # Errors
    /// When there can be no connection like that; says why.
    pub fn transport(&self, name: &str, address: &Address) -> Result<Transport, ConnectError> {
        #[cfg(not(feature = "tls"))]
        let _ = name;
        let refused = |why: String| ConnectError { code: Code::Unknown, why };
        match self {
            ClientSecurity::Local(Local(kind)) if kind.fits(address) => Ok(Transport::Local),
            ClientSecurity::Local(_) => Err(refused("Endpoint is neither UDS or TCP loopback address.".to_owned())),
            #[cfg(feature = "tls")]
            ClientSecurity::Tls(tls) => tls.transport(name),
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
    #[cfg(feature = "tls")]
    Tls(ServerConfig),
    /// TLS by what is asked for at each handshake.
    #[cfg(feature = "tls")]
    Dynamic(Arc<Dynamic>),
}

impl PortSecurity {
    /// Plain text, between two ends of one machine.
    pub fn local(kind: LocalKind) -> PortSecurity {
        PortSecurity::Local(Local(kind))
    }

    /// TLS as `current` says, until `renew` says otherwise.
    #[cfg(feature = "tls")]
    pub fn dynamic(current: ServerConfig, renew: Renew) -> PortSecurity {
        PortSecurity::Dynamic(Arc::new(Dynamic::new(current, renew)))
    }

    /// Whether making a transport calls a user's function, which may take long.
    pub fn waits(&self) -> bool {
        match self {
            PortSecurity::Local(_) => false,
            #[cfg(feature = "tls")]
            PortSecurity::Tls(_) => false,
            #[cfg(feature = "tls")]
            PortSecurity::Dynamic(_) => true,
        }
    }

    /// What an accepted connection goes through; `None` when there can be none.
    pub fn transport(&self, socket: &Socket) -> Option<Transport> {
        match self {
            PortSecurity::Local(Local(kind)) => {
                socket.peer_address().is_some_and(|peer| kind.fits(&peer)).then_some(Transport::Local)
            }
            #[cfg(feature = "tls")]
            PortSecurity::Tls(config) => tls::serve(config),
            #[cfg(feature = "tls")]
            PortSecurity::Dynamic(dynamic) => tls::serve(&dynamic.renewed()),
        }
    }
}
