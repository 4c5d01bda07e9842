//! Whom one trusts.

use std::{fmt, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::ConfigError;

/// Certificates that are trusted, and those that they vouch for. Cheap to clone.
#[derive(Clone)]
pub struct Roots {
    pub(crate) anchors: Arc<RootCertStore>,
    /// As they were given: a certificate that is one of them is trusted as it stands, even where it may not vouch for
    /// others or has said that it may.
    pub(crate) given: Arc<[CertificateDer<'static>]>,
}

impl Roots {
    /// The certificates of a PEM text; what else is in it is passed over.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoCertificates`] when there is none, [`ConfigError::BadCertificate`] when none of them can be read.
    pub fn from_pem(pem: &[u8]) -> Result<Roots, ConfigError> {
        let given: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let given = given.map_err(|error| ConfigError::BadCertificate(error.to_string()))?;
        Roots::from_certificates(given)
    }

    /// Certificates in DER.
    ///
    /// # Errors
    ///
    /// As of [`from_pem`](Roots::from_pem).
    pub fn from_der(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Roots, ConfigError> {
        Roots::from_certificates(certificates.into_iter().map(CertificateDer::from).collect())
    }

    fn from_certificates(given: Vec<CertificateDer<'static>>) -> Result<Roots, ConfigError> {
        if given.is_empty() {
            return Err(ConfigError::NoCertificates("the roots"));
        }
        let mut anchors = RootCertStore::empty();
        // One odd certificate among a system's many is no reason to trust nobody.
        let (added, _) = anchors.add_parsable_certificates(given.iter().cloned());
        if added == 0 {
            return Err(ConfigError::BadCertificate("none of the roots can be read".to_owned()));
        }
        Ok(Roots { anchors: Arc::new(anchors), given: given.into() })
    }

    /// The roots of Mozilla's program, as they were when this was built.
    #[must_use]
    pub fn bundled() -> Roots {
        let anchors = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Roots { anchors: Arc::new(anchors), given: Arc::new([]) }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether nobody is trusted; never, as it is made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.len())
    }
}
