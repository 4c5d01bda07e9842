//! The brain of sealed bytes: TLS 1.2 and 1.3 (rustls) as a state machine. Bytes in, bytes out.
//!
//! What lives here: [`Session`], one TLS connection between a transport and whatever speaks over it; who one is
//! ([`Identity`]), whom one trusts ([`Roots`], [`Verification`]), and what a handshake found out ([`Handshake`]).
//! What does not: sockets, files, the clock (hands; a [`Clock`] is handed in), and what rides inside: HTTP/2 is
//! `farcall-engine`'s, and neither knows the other.
//!
//! # The contract
//!
//! * **`handle_*`**: [`handle_sealed`](Session::handle_sealed) takes what came from the transport and gives what was in
//!   it, opened, to a closure; [`handle_closed`](Session::handle_closed) says that nothing more will come.
//! * **Verbs**: [`seal`](Session::seal) takes bytes to send, as far as there is room; [`close`](Session::close) says
//!   goodbye.
//! * **`poll_*`**: [`poll_transmit`](Session::poll_transmit) has what must be written;
//!   [`handle_transmitted`](Session::handle_transmitted) says how much of it was.
//! * **Getters**: [`handshake`](Session::handshake) once it is over, [`error`](Session::error) once all is lost.
//!
//! One law, as everywhere: *after any `handle_*` or verb, drain the polls*; also after an error, for the peer is told
//! of it.
//!
//! ```
//! use std::{io::IoSlice, sync::Arc};
//!
//! use farcall_security::{ClientConfig, ClientOptions, Clock, Identity, ServerConfig, ServerOptions, Session, Roots};
//! # let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
//! # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
//!
//! # #[derive(Debug)]
//! struct Now(u64);
//! impl Clock for Now {
//!     fn unix_seconds(&self) -> u64 {
//!         self.0
//!     }
//! }
//!
//! /// Carries what one end has to say to the other, and what came out of it.
//! fn carry(from: &mut Session, to: &mut Session) -> Vec<u8> {
//!     let mut opened = Vec::new();
//!     while let Some(sealed) = from.poll_transmit() {
//!         let mut bytes = sealed.to_vec();
//!         from.handle_transmitted(bytes.len());
//!         to.handle_sealed(&mut bytes, |some| opened.extend_from_slice(some));
//!     }
//!     opened
//! }
//!
//! let clock = Arc::new(Now(1_800_000_000));
//! let roots = Roots::from_pem(certificate.as_bytes())?;
//! let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())?;
//! let mut client = Session::client(&ClientConfig::new(ClientOptions::new(roots, clock.clone()))?, "example.org")?;
//! let mut server = Session::server(&ServerConfig::new(ServerOptions::new(vec![identity], clock))?)?;
//! while client.handshake().is_none() || server.handshake().is_none() {
//!     carry(&mut client, &mut server);
//!     carry(&mut server, &mut client);
//! }
//! assert_eq!(client.seal(&[IoSlice::new(b"a few words")]), 11);
//! assert_eq!(carry(&mut client, &mut server), b"a few words");
//! # Ok::<(), farcall_security::ConfigError>(())
//! ```

mod client;
mod error;
mod handshake;
mod identity;
mod limits;
mod names;
mod roots;
mod server;
mod session;
mod signer;
mod verify;
mod version1;

use std::{fmt, sync::Arc};

pub use client::{ClientConfig, ClientOptions, IdentitySource, SessionCache};
pub use error::{ConfigError, Error, Untrusted};
pub use handshake::{Certificate, Handshake, PeerName};
pub use identity::Identity;
pub use limits::{MAX_HELD, MAX_UNSENT};
pub use roots::Roots;
pub use server::{ClientAuth, ServerConfig, ServerOptions};
pub use session::Session;
pub use signer::{SignatureAlgorithm, Signer};
pub use verify::Verification;

/// The protocol that both sides must agree on by ALPN.
pub const PROTOCOL: &[u8] = b"h2";

/// Tells the time of day: certificates have dates and tickets an age.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Seconds since 1970-01-01 00:00 UTC.
    fn unix_seconds(&self) -> u64;
}

/// A check of the peer's certificates (DER, its own first) besides the usual ones; `Err` says why it fails.
pub type PeerCheck = Arc<dyn Fn(&[&[u8]]) -> Result<(), String> + Send + Sync>;

/// A clock as rustls wants it.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl rustls::time_provider::TimeProvider for Time {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0.unix_seconds())))
    }
}

/// The cryptography, with the suites that `names` allows (`OPENSSL:NAMES`, in the order of preference); those that are
/// not known are passed over.
fn provider(names: Option<&str>) -> Result<Arc<rustls::crypto::CryptoProvider>, ConfigError> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if let Some(names) = names {
        let known = std::mem::take(&mut provider.cipher_suites);
        let by_name = |name: &str| known.iter().find(|suite| suite_name(suite) == name.trim()).copied();
        provider.cipher_suites = names.split(':').filter_map(by_name).collect();
        if provider.cipher_suites.is_empty() {
            return Err(ConfigError::CipherSuites(names.to_owned()));
        }
    }
    Ok(Arc::new(provider))
}

/// A cipher suite as OpenSSL calls it.
fn suite_name(suite: &rustls::SupportedCipherSuite) -> &'static str {
    use rustls::CipherSuite as Suite;
    match suite.suite() {
        Suite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        Suite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        Suite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "",
    }
}
