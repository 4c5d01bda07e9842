//! Private keys that are elsewhere: in a token, an agent, a vault.

use std::{fmt, sync::Arc};

use rustls::{SignatureScheme, pki_types::CertificateDer};
use x509_cert::der::{Decode, asn1::ObjectIdentifier};

use crate::ConfigError;

/// How something is to be signed, by its number in TLS (RFC 8446, 4.2.3): `0x0403` is ECDSA on P-256 with SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SignatureAlgorithm(pub u16);

/// Makes signatures with a key that it alone has.
pub trait Signer: Send + Sync {
    /// The signature of `message`, which is not hashed yet, in the form that TLS wants; or why there is none.
    ///
    /// It is called within a handshake and may wait; only that handshake waits with it, if hands have seen to that.
    ///
    /// # Errors
    ///
    /// Any words; the handshake fails with them.
    fn sign(&self, message: &[u8], algorithm: SignatureAlgorithm) -> Result<Vec<u8>, String>;
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// The key behind a certificate, as rustls wants it.
pub(crate) struct ForeignKey {
    schemes: &'static [SignatureScheme],
    algorithm: rustls::SignatureAlgorithm,
    signer: Arc<dyn Signer>,
}

impl ForeignKey {
    /// The kind of key is the certificate's.
    pub(crate) fn of(certificate: &CertificateDer<'_>, signer: Arc<dyn Signer>) -> Result<ForeignKey, ConfigError> {
        use SignatureScheme as Scheme;
        let parsed = x509_cert::Certificate::from_der(certificate)
            .map_err(|error| ConfigError::BadCertificate(error.to_string()))?;
        let key = &parsed.tbs_certificate.subject_public_key_info.algorithm;
        let curve = || key.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        let (schemes, algorithm): (&'static [Scheme], _) = match key.oid {
            RSA => {
                const SCHEMES: &[SignatureScheme] = &[
                    Scheme::RSA_PSS_SHA256,
                    Scheme::RSA_PSS_SHA384,
                    Scheme::RSA_PSS_SHA512,
                    Scheme::RSA_PKCS1_SHA256,
                    Scheme::RSA_PKCS1_SHA384,
                    Scheme::RSA_PKCS1_SHA512,
                ];
                (SCHEMES, rustls::SignatureAlgorithm::RSA)
            }
            ED25519 => (&[Scheme::ED25519], rustls::SignatureAlgorithm::ED25519),
            EC => match curve() {
                Some(P256) => (&[Scheme::ECDSA_NISTP256_SHA256], rustls::SignatureAlgorithm::ECDSA),
                Some(P384) => (&[Scheme::ECDSA_NISTP384_SHA384], rustls::SignatureAlgorithm::ECDSA),
                Some(P521) => (&[Scheme::ECDSA_NISTP521_SHA512], rustls::SignatureAlgorithm::ECDSA),
                _ => return Err(ConfigError::BadKey("its curve is not supported".to_owned())),
            },
            other => return Err(ConfigError::BadKey(format!("its algorithm {other} is not supported"))),
        };
        Ok(ForeignKey { schemes, algorithm, signer })
    }
}

impl fmt::Debug for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignKey({:?})", self.algorithm)
    }
}

impl rustls::sign::SigningKey for ForeignKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        let scheme = self.schemes.iter().copied().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(Signature { scheme, signer: Arc::clone(&self.signer) }))
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        self.algorithm
    }
}

struct Signature {
    scheme: SignatureScheme,
    signer: Arc<dyn Signer>,
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:?})", self.scheme)
    }
}

impl rustls::sign::Signer for Signature {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let algorithm = SignatureAlgorithm(self.scheme.into());
        self.signer.sign(message, algorithm).map_err(rustls::Error::General)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
