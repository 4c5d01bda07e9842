//! What a handshake found out.

use std::sync::Arc;

use base64::Engine as _;
use rustls::{
    CertificateError, Error,
    pki_types::{CertificateDer, UnixTime},
};
use x509_cert::{
    der::{Decode, Encode, asn1::ObjectIdentifier},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The result of a handshake that went well. ALPN has chosen [`PROTOCOL`](crate::PROTOCOL).
#[derive(Clone, Debug)]
pub struct Handshake {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The group of the key exchange, by OpenSSL's name (`X25519MLKEM768`, `P-256`, ...); `None` when an earlier
    /// session was resumed without a new exchange.
    pub group: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The server's name that the client asked for (SNI); `None` when it asked for an address.
    pub server_name: Option<String>,
    /// The peer's certificate, if it has shown one.
    pub peer: Option<Arc<Certificate>>,
}

/// A name that a certificate is for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PeerName {
    /// A host.
    Dns(String),
    /// An address, as it is written.
    Ip(String),
    /// A URI; of a SPIFFE identity, for example.
    Uri(String),
    /// A mail address.
    Email(String),
}

impl PeerName {
    /// The name without its kind.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            PeerName::Dns(name) | PeerName::Ip(name) | PeerName::Uri(name) | PeerName::Email(name) => name,
        }
    }
}

/// A certificate. Only kept; read when asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    der: Vec<u8>,
}

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

impl Certificate {
    pub(crate) fn new(der: &CertificateDer<'_>) -> Certificate {
        Certificate { der: der.to_vec() }
    }

    /// In DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// In PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(&self.der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    fn parsed(&self) -> Option<x509_cert::Certificate> {
        x509_cert::Certificate::from_der(&self.der).ok()
    }

    /// The subject (RFC 4514), most specific part first: `CN=client.example,O=Clients`. Empty when it cannot be read.
    #[must_use]
    pub fn subject(&self) -> String {
        self.parsed().map(|parsed| parsed.tbs_certificate.subject.to_string()).unwrap_or_default()
    }

    /// The subject's common names, in order.
    #[must_use]
    pub fn common_names(&self) -> Vec<String> {
        let Some(parsed) = self.parsed() else { return Vec::new() };
        let parts = parsed.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
        parts.filter(|part| part.oid == COMMON_NAME).filter_map(|part| text_of(part.value.value())).collect()
    }

    /// The alternative names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<PeerName> {
        let Some(parsed) = self.parsed() else { return Vec::new() };
        let Ok(Some((_, SubjectAltName(names)))) = parsed.tbs_certificate.get::<SubjectAltName>() else {
            return Vec::new();
        };
        names.into_iter().filter_map(name_of).collect()
    }

    /// Whether it names itself as its issuer.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.parsed().is_some_and(|parsed| {
            let certificate = &parsed.tbs_certificate;
            certificate.issuer.to_der().ok() == certificate.subject.to_der().ok()
        })
    }

    /// Whether this is a moment of its life; for a certificate that is trusted as it stands.
    pub(crate) fn check_time(&self, now: UnixTime) -> Result<(), Error> {
        match self.validity() {
            None => Err(CertificateError::BadEncoding.into()),
            Some((first, _)) if now.as_secs() < first => Err(CertificateError::NotValidYet.into()),
            Some((_, last)) if now.as_secs() > last => Err(CertificateError::Expired.into()),
            Some(_) => Ok(()),
        }
    }

    /// The first and the last second of its life, since 1970.
    fn validity(&self) -> Option<(u64, u64)> {
        let validity = self.parsed()?.tbs_certificate.validity;
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        Some((seconds(validity.not_before), seconds(validity.not_after)))
    }
}

/// The text of a directory string; those of the old two- and four-byte sets are nobody's.
fn text_of(value: &[u8]) -> Option<String> {
    String::from_utf8(value.to_vec()).ok()
}

fn name_of(name: GeneralName) -> Option<PeerName> {
    match name {
        GeneralName::DnsName(name) => Some(PeerName::Dns(name.to_string())),
        GeneralName::UniformResourceIdentifier(uri) => Some(PeerName::Uri(uri.to_string())),
        GeneralName::Rfc822Name(address) => Some(PeerName::Email(address.to_string())),
        GeneralName::IpAddress(bytes) => match bytes.as_bytes().len() {
            4 => <[u8; 4]>::try_from(bytes.as_bytes()).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            16 => <[u8; 16]>::try_from(bytes.as_bytes()).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
            _ => None,
        }
        .map(PeerName::Ip),
        _ => None,
    }
}
