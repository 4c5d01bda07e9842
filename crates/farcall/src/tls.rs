//! Connections over TLS (feature `tls`).
//!
//! ```no_run
//! use farcall::tls::{ClientTls, Identity, Roots, ServerTls};
//!
//! # fn run(ca: &[u8], chain: &[u8], key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let server = farcall::Server::builder().tls(ServerTls::new(vec![Identity::from_pem(chain, key)?]))?;
//! let channel = farcall::Channel::builder("https://example.org").tls(ClientTls::new(Roots::from_pem(ca)?))?;
//! # Ok(())
//! # }
//! ```
//!
//! TLS 1.2 and 1.3; both sides must agree on HTTP/2 by ALPN.

use std::{fmt, sync::Arc};

pub use farcall_security::{
    Certificate, ClientAuth, ConfigError, Handshake, Identity, IdentitySource, PeerCheck, PeerName, Roots,
    SignatureAlgorithm, Signer, Verification,
};
use farcall_security::{ClientConfig, ClientOptions, ServerConfig, ServerOptions};

/// How a channel's connections are secured.
pub struct ClientTls {
    options: ClientOptions,
    server_name: Option<String>,
}

impl ClientTls {
    /// Trusts these roots; nothing else is special.
    pub fn new(roots: Roots) -> ClientTls {
        ClientTls { options: ClientOptions::new(roots, Arc::new(farcall_net::SystemClock)), server_name: None }
    }

    /// Shows this certificate to servers that ask for one. Default: none.
    #[must_use]
    pub fn identity(self, identity: Identity) -> ClientTls {
        self.identity_source(Arc::new(move || Some(identity.clone())))
    }

    /// Asks at each handshake which certificate to show: for certificates that are renewed. It must not wait.
    #[must_use]
    pub fn identity_source(mut self, source: IdentitySource) -> ClientTls {
        self.options.identity = Some(source);
        self
    }

    /// What the server's certificate must be for. Default: the host of the target.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> ClientTls {
        self.server_name = Some(name.into());
        self
    }

    /// How much of the server's certificate is checked. Default: all.
    #[must_use]
    pub fn verification(mut self, verification: Verification) -> ClientTls {
        self.options.verification = verification;
        self
    }

    /// Checks the server's certificates besides. It must not wait.
    #[must_use]
    pub fn check(mut self, check: PeerCheck) -> ClientTls {
        self.options.check = Some(check);
        self
    }

    pub(crate) fn build(self) -> Result<farcall_net::ClientTls, ConfigError> {
        Ok(farcall_net::ClientTls { config: ClientConfig::new(self.options)?, server_name: self.server_name })
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// How a server's connections are secured.
pub struct ServerTls(ServerOptions);

impl ServerTls {
    /// Shows the first of these certificates that is for the name a client asks for, else the first. Clients are not
    /// asked for any.
    pub fn new(identities: Vec<Identity>) -> ServerTls {
        ServerTls(ServerOptions::new(identities, Arc::new(farcall_net::SystemClock)))
    }

    /// Whether clients show certificates. Default: they are not asked to.
    #[must_use]
    pub fn client_auth(mut self, client_auth: ClientAuth) -> ServerTls {
        self.0.client_auth = client_auth;
        self
    }

    /// Checks clients' certificates besides. It must not wait.
    #[must_use]
    pub fn check(mut self, check: PeerCheck) -> ServerTls {
        self.0.check = Some(check);
        self
    }

    pub(crate) fn build(self) -> Result<ServerConfig, ConfigError> {
        ServerConfig::new(self.0)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("identities", &self.0.identities).finish_non_exhaustive()
    }
}
