//! Who one is.

use std::{fmt, sync::Arc};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_cert::der::Encode;

use crate::{
    ConfigError,
    handshake::Certificate,
    signer::{ForeignKey, Signer},
    version1,
};

/// A certificate with those that lead up to a root, and its private key. Cheap to clone; keys never leave it.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<CertifiedKey>);

impl Identity {
    /// From PEM texts; the key as PKCS#8, PKCS#1 (RSA) or SEC1 (EC), without a password.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when one of them cannot be read or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Identity, ConfigError> {
        let chain = read_chain(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| ConfigError::BadKey(error.to_string()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key =
            provider.key_provider.load_private_key(key).map_err(|error| ConfigError::BadKey(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        if let Some(parsed) = version1::read(&certified.cert[0]) {
            let theirs = parsed.tbs_certificate.subject_public_key_info.to_der().ok();
            let ours = certified.key.public_key();
            return match ours {
                Some(ours) if theirs.as_deref() != Some(ours.as_ref()) => Err(ConfigError::KeyMismatch),
                _ => Ok(Identity(Arc::new(certified))),
            };
        }
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Identity(Arc::new(certified)))
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(ConfigError::KeyMismatch),
            Err(error) => Err(ConfigError::BadCertificate(error.to_string())),
        }
    }

    /// With a key that is elsewhere: `signer` is asked whenever a signature is needed.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when the chain cannot be read, or its key is of a kind that is not supported.
    pub fn with_signer(chain: &[u8], signer: Arc<dyn Signer>) -> Result<Identity, ConfigError> {
        let chain = read_chain(chain)?;
        let key = ForeignKey::of(&chain[0], signer)?;
        Ok(Identity(Arc::new(CertifiedKey::new(chain, Arc::new(key)))))
    }

    /// The certificate itself.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        Certificate::new(&self.0.cert[0])
    }
}

fn read_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| ConfigError::BadCertificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(ConfigError::NoCertificates("the certificate chain"));
    }
    Ok(chain)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.certificate().subject())
    }
}
