//! What goes wrong, and whose fault it is.

use std::fmt;

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError};

/// Why a session is over.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer's certificate is not one to trust.
    PeerUntrusted(Untrusted),
    /// The server's certificate is for other names.
    NameMismatch,
    /// Both sides speak TLS, but the peer did not agree to HTTP/2 by ALPN.
    NoProtocol,
    /// What came is no TLS.
    NotTls,
    /// There is no protocol version, cipher suite or the like that both sides know; says what.
    PeerIncompatible(String),
    /// The peer broke the protocol; says how.
    PeerMisbehaved(String),
    /// The peer ended the session with this alert.
    PeerRefused(String),
    /// The transport ended before the handshake did.
    ClosedInHandshake,
    /// This side is at fault; says how.
    Local(String),
}

/// What is wrong with a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Untrusted {
    /// No root that is trusted stands behind it.
    UnknownIssuer,
    /// It stands behind itself, and is not trusted.
    SelfSigned,
    /// Its last day has passed.
    Expired,
    /// Its first day has not come.
    NotYetValid,
    /// It may not be used for this.
    InvalidPurpose,
    /// There is none, although one was required.
    Missing,
    /// The application's own check said no, and why.
    Rejected(String),
    /// Something else.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::PeerUntrusted(why) => write!(f, "the peer's certificate is not trusted: {why}"),
            Error::NameMismatch => f.write_str("the server's certificate is not valid for its name"),
            Error::NoProtocol => f.write_str("the peer does not speak HTTP/2 (ALPN)"),
            Error::NotTls => f.write_str("the peer does not speak TLS"),
            Error::PeerIncompatible(what) => write!(f, "the peer is incompatible: {what}"),
            Error::PeerMisbehaved(how) => write!(f, "the peer broke the TLS protocol: {how}"),
            Error::PeerRefused(alert) => write!(f, "the peer refused: {alert}"),
            Error::ClosedInHandshake => f.write_str("the transport was closed in the TLS handshake"),
            Error::Local(how) => write!(f, "TLS failed on this side: {how}"),
        }
    }
}

impl fmt::Display for Untrusted {
    /// In OpenSSL's words, which people search for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Untrusted::UnknownIssuer => "unable to get local issuer certificate",
            Untrusted::SelfSigned => "self signed certificate",
            Untrusted::Expired => "certificate has expired",
            Untrusted::NotYetValid => "certificate is not yet valid",
            Untrusted::InvalidPurpose => "unsupported certificate purpose",
            Untrusted::Missing => "peer did not return a certificate",
            Untrusted::Rejected(why) | Untrusted::Other(why) => why,
        })
    }
}

impl std::error::Error for Error {}

/// The application's own check of a certificate failed; travels through rustls.
#[derive(Debug)]
pub(crate) struct Rejection(pub(crate) String);

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Rejection {}

impl Error {
    /// What rustls says, sorted by culprit.
    pub(crate) fn from_rustls(error: &rustls::Error, in_handshake: bool) -> Error {
        use rustls::Error as Tls;
        match error {
            Tls::InvalidCertificate(error) => Error::from_certificate(error),
            Tls::NoCertificatesPresented => Error::PeerUntrusted(Untrusted::Missing),
            Tls::NoApplicationProtocol => Error::NoProtocol,
            // The first byte of plain text is no record type, or its next two no version.
            Tls::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
                if in_handshake =>
            {
                Error::NotTls
            }
            Tls::AlertReceived(AlertDescription::NoApplicationProtocol) => Error::NoProtocol,
            Tls::AlertReceived(alert) => Error::PeerRefused(alert_text(*alert)),
            Tls::PeerIncompatible(what) => Error::PeerIncompatible(format!("{what:?}")),
            Tls::General(how) => Error::Local(how.clone()),
            Tls::EncryptError
            | Tls::FailedToGetCurrentTime
            | Tls::FailedToGetRandomBytes
            | Tls::HandshakeNotComplete
            | Tls::BadMaxFragmentSize
            | Tls::Other(_) => Error::Local(error.to_string()),
            // What remains is about messages that came.
            other => Error::PeerMisbehaved(other.to_string()),
        }
    }

    fn from_certificate(error: &CertificateError) -> Error {
        Error::PeerUntrusted(match error {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                return Error::NameMismatch;
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Untrusted::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Untrusted::NotYetValid,
            CertificateError::UnknownIssuer => Untrusted::UnknownIssuer,
            CertificateError::BadSignature => Untrusted::Other("certificate signature failure".to_owned()),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Untrusted::InvalidPurpose
            }
            CertificateError::Other(OtherError(other)) => match other.downcast_ref::<Rejection>() {
                Some(rejection) => Untrusted::Rejected(rejection.0.clone()),
                None => Untrusted::Other(other.to_string()),
            },
            other => Untrusted::Other(other.to_string()),
        })
    }
}

/// `CertificateRequired` as "certificate required".
fn alert_text(alert: AlertDescription) -> String {
    let mut text = String::new();
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// Why a configuration cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no certificate where some are needed; says what they are for.
    NoCertificates(&'static str),
    /// This is no certificate; says why.
    BadCertificate(String),
    /// This is no private key that can be used; says why.
    BadKey(String),
    /// The key and the certificate do not belong together.
    KeyMismatch,
    /// A client's certificate without its key, or a key without its certificate.
    HalfIdentity,
    /// A server needs a certificate.
    NoIdentity,
    /// None of these cipher suites is known.
    CipherSuites(String),
    /// This is no name that a server can have.
    BadServerName(String),
    /// rustls does not want it; says why.
    Refused(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoCertificates(what) => write!(f, "no certificates in {what}"),
            ConfigError::BadCertificate(why) => write!(f, "not a usable certificate: {why}"),
            ConfigError::BadKey(why) => write!(f, "not a usable private key: {why}"),
            ConfigError::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            ConfigError::HalfIdentity => f.write_str("a private key and its certificate chain go together"),
            ConfigError::NoIdentity => f.write_str("a server needs a private key and its certificate chain"),
            ConfigError::CipherSuites(names) => write!(f, "no cipher suite in {names:?} is known"),
            ConfigError::BadServerName(name) => write!(f, "{name:?} is not the name of a server"),
            ConfigError::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<rustls::Error> for ConfigError {
    fn from(error: rustls::Error) -> Self {
        ConfigError::Refused(error.to_string())
    }
}
