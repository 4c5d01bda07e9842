//! How a client's sessions are made.

use std::{fmt, sync::Arc};

use rustls::{
    SignatureScheme,
    client::{ClientSessionMemoryCache, ResolvesClientCert, Resumption},
    sign::CertifiedKey,
};

use crate::{
    Clock, ConfigError, Identity, PROTOCOL, PeerCheck, Roots, Time, Verification, provider, verify::ServerCheck,
};

/// Asked at each handshake who the client is; `None`: nobody in particular.
pub type IdentitySource = Arc<dyn Fn() -> Option<Identity> + Send + Sync>;

/// What a [`ClientConfig`] is made of.
#[non_exhaustive]
pub struct ClientOptions {
    /// Whom to trust.
    pub roots: Roots,
    /// Who the client is, asked at each handshake; by default nobody in particular.
    pub identity: Option<IdentitySource>,
    /// What of the server's certificate is checked; by default all.
    pub verification: Verification,
    /// A check of the server's certificate besides; by default none.
    pub check: Option<PeerCheck>,
    /// Cipher suites by OpenSSL's names, separated by colons; by default all that are safe.
    pub cipher_suites: Option<String>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl ClientOptions {
    /// The defaults.
    #[must_use]
    pub fn new(roots: Roots, clock: Arc<dyn Clock>) -> ClientOptions {
        ClientOptions {
            roots,
            identity: None,
            verification: Verification::Full,
            check: None,
            cipher_suites: None,
            clock,
        }
    }
}

/// How a client's sessions are made. Cheap to clone.
#[derive(Clone)]
pub struct ClientConfig(pub(crate) Arc<rustls::ClientConfig>);

impl ClientConfig {
    /// Puts a configuration together. Sessions are not resumed.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when none of the cipher suites is known.
    pub fn new(options: ClientOptions) -> Result<ClientConfig, ConfigError> {
        let provider = provider(options.cipher_suites.as_deref())?;
        let check = ServerCheck {
            roots: options.roots,
            verification: options.verification,
            extra: options.check,
            provider: Arc::clone(&provider),
        };
        let builder = rustls::ClientConfig::builder_with_details(provider, Arc::new(Time(options.clock)))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(check));
        let mut config = match options.identity {
            Some(source) => builder.with_client_cert_resolver(Arc::new(AskIdentity(source))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(ClientConfig(Arc::new(config)))
    }

    /// The same, resuming the sessions in `cache`. Only sessions of this configuration and its clones are resumed.
    #[must_use]
    pub fn with_sessions(&self, cache: &SessionCache) -> ClientConfig {
        let mut config = (*self.0).clone();
        config.resumption = Resumption::store(Arc::clone(&cache.0) as Arc<_>);
        ClientConfig(Arc::new(config))
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientConfig")
    }
}

/// Sessions that may be resumed, by the server's name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SessionCache(Arc<ClientSessionMemoryCache>);

impl SessionCache {
    /// Room for the sessions of `servers` servers; which of them are given up beyond that is not said.
    #[must_use]
    pub fn new(servers: usize) -> SessionCache {
        SessionCache(Arc::new(ClientSessionMemoryCache::new(servers)))
    }
}

struct AskIdentity(IdentitySource);

impl fmt::Debug for AskIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AskIdentity")
    }
}

impl ResolvesClientCert for AskIdentity {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        (self.0)().map(|identity| identity.0)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
