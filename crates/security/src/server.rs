//! How a server's sessions are made.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    pki_types::ServerName,
    server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache},
    sign::CertifiedKey,
};

use crate::{Clock, ConfigError, Identity, PROTOCOL, PeerCheck, Roots, Time, names, provider, verify::ClientCheck};

/// Sessions that a server keeps to resume.
const SESSIONS: usize = 1024;

/// Whether clients show certificates.
#[derive(Clone, Default, Debug)]
pub enum ClientAuth {
    /// They are not asked to.
    #[default]
    None,
    /// They are asked to; if they do, one of these roots must stand behind it.
    Optional(Roots),
    /// They must, and one of these roots must stand behind it.
    Required(Roots),
}

/// What a [`ServerConfig`] is made of.
#[non_exhaustive]
pub struct ServerOptions {
    /// Who the server is: the first that is for the name the client asks for, else the first.
    pub identities: Vec<Identity>,
    /// Whether clients show certificates; by default not.
    pub client_auth: ClientAuth,
    /// A check of a client's certificate besides; by default none.
    pub check: Option<PeerCheck>,
    /// Cipher suites by OpenSSL's names, separated by colons; by default all that are safe.
    pub cipher_suites: Option<String>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl ServerOptions {
    /// The defaults.
    #[must_use]
    pub fn new(identities: Vec<Identity>, clock: Arc<dyn Clock>) -> ServerOptions {
        ServerOptions { identities, client_auth: ClientAuth::None, check: None, cipher_suites: None, clock }
    }
}

/// How a server's sessions are made. Cheap to clone.
#[derive(Clone)]
pub struct ServerConfig {
    config: Arc<rustls::ServerConfig>,
    identities: Arc<[Identity]>,
}

impl ServerConfig {
    /// Puts a configuration together.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] without an identity, or when none of the cipher suites is known.
    pub fn new(options: ServerOptions) -> Result<ServerConfig, ConfigError> {
        if options.identities.is_empty() {
            return Err(ConfigError::NoIdentity);
        }
        let identities: Arc<[Identity]> = options.identities.into();
        let provider = provider(options.cipher_suites.as_deref())?;
        let builder = rustls::ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Time(options.clock)))
            .with_safe_default_protocol_versions()?;
        let check = |roots, mandatory| ClientCheck::new(roots, mandatory, options.check.clone(), &provider);
        let builder = match options.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional(roots) => builder.with_client_cert_verifier(Arc::new(check(roots, false)?)),
            ClientAuth::Required(roots) => builder.with_client_cert_verifier(Arc::new(check(roots, true)?)),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Choose::new(&identities)));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        Ok(ServerConfig { config: Arc::new(config), identities })
    }

    /// For one session: the configuration, and where the name that the client asks for will be.
    pub(crate) fn for_session(&self) -> (Arc<rustls::ServerConfig>, Arc<Choose>) {
        let choose = Arc::new(Choose::new(&self.identities));
        let mut config = (*self.config).clone();
        config.cert_resolver = Arc::clone(&choose) as Arc<_>;
        (Arc::new(config), choose)
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig").field("identities", &self.identities).finish()
    }
}

/// Chooses the identity for one session, and remembers the name that was asked for.
#[derive(Debug)]
pub(crate) struct Choose {
    identities: Arc<[Identity]>,
    asked: OnceLock<String>,
    /// The client does not offer HTTP/2.
    no_protocol: AtomicBool,
}

impl Choose {
    fn new(identities: &Arc<[Identity]>) -> Choose {
        Choose { identities: Arc::clone(identities), asked: OnceLock::new(), no_protocol: AtomicBool::new(false) }
    }

    pub(crate) fn asked(&self) -> Option<String> {
        self.asked.get().cloned()
    }

    /// Whether there was no identity to choose because the client does not offer HTTP/2.
    pub(crate) fn lacks_protocol(&self) -> bool {
        self.no_protocol.load(Ordering::Relaxed)
    }
}

impl ResolvesServerCert for Choose {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls lets a client through that offers nothing at all, to which nothing could be said then.
        if !hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == PROTOCOL)) {
            self.no_protocol.store(true, Ordering::Relaxed);
            return None;
        }
        let usable = |identity: &&Identity| identity.0.key.choose_scheme(hello.signature_schemes()).is_some();
        let mut named = None;
        if let Some(name) = hello.server_name() {
            self.asked.get_or_init(|| name.to_owned());
            if let (Ok(name), true) = (ServerName::try_from(name), self.identities.len() > 1) {
                let is_for = |identity: &&Identity| names::is_for(&identity.0.cert[0], &name);
                named = self.identities.iter().filter(usable).find(is_for);
            }
        }
        let chosen = named.or_else(|| self.identities.iter().find(usable))?;
        Some(Arc::clone(&chosen.0))
    }
}
