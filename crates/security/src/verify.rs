//! Whether the peer's certificate is one to trust.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use crate::{ConfigError, PeerCheck, Roots, error::Rejection, handshake::Certificate, names, version1};

/// How much of a server's certificate is checked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Verification {
    /// That a trusted root stands behind it, its dates, and that it is for the server's name.
    #[default]
    Full,
    /// All but the name.
    ChainOnly,
    /// Nothing: anybody may stand in the way and listen.
    None,
}

/// Checks servers.
pub(crate) struct ServerCheck {
    pub(crate) roots: Roots,
    pub(crate) verification: Verification,
    pub(crate) extra: Option<PeerCheck>,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ServerCheck {
    fn verify_chain(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.roots.given.contains(own) {
            return Certificate::new(own).check_time(now);
        }
        if let Some(parsed) = version1::read(own) {
            let algorithms = &self.provider.signature_verification_algorithms;
            return version1::verify_chain(own, &parsed, &self.roots, algorithms, now);
        }
        let parsed = ParsedCertificate::try_from(own)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots.anchors, intermediates, now, algorithms)
            .map_err(|error| explain(error, own))
    }
}

impl ServerCertVerifier for ServerCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.verification != Verification::None {
            self.verify_chain(end_entity, intermediates, now)?;
        }
        if self.verification == Verification::Full && !names::is_for(end_entity, server_name) {
            return Err(CertificateError::NotValidForName.into());
        }
        check(self.extra.as_ref(), end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match version1::read(cert) {
            Some(parsed) => version1::verify_handshake(message, &parsed, dss, algorithms),
            None => verify_tls12_signature(message, cert, dss, algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match version1::read(cert) {
            Some(parsed) => version1::verify_handshake(message, &parsed, dss, algorithms),
            None => verify_tls13_signature(message, cert, dss, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for ServerCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCheck").field("roots", &self.roots).field("verification", &self.verification).finish()
    }
}

/// Checks clients.
pub(crate) struct ClientCheck {
    roots: Roots,
    extra: Option<PeerCheck>,
    chain: Arc<dyn ClientCertVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCheck {
    pub(crate) fn new(
        roots: Roots,
        mandatory: bool,
        extra: Option<PeerCheck>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<ClientCheck, ConfigError> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots.anchors), Arc::clone(provider));
        let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
        let chain = builder.build().map_err(|error| ConfigError::Refused(error.to_string()))?;
        Ok(ClientCheck { roots, extra, chain, algorithms: provider.signature_verification_algorithms })
    }
}

impl ClientCertVerifier for ClientCheck {
    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.roots.given.contains(end_entity) {
            Certificate::new(end_entity).check_time(now)?;
        } else if let Some(parsed) = version1::read(end_entity) {
            version1::verify_chain(end_entity, &parsed, &self.roots, &self.algorithms, now)?;
        } else {
            self.chain
                .verify_client_cert(end_entity, intermediates, now)
                .map_err(|error| explain(error, end_entity))?;
        }
        check(self.extra.as_ref(), end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match version1::read(cert) {
            Some(parsed) => version1::verify_handshake(message, &parsed, dss, &self.algorithms),
            None => self.chain.verify_tls12_signature(message, cert, dss),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match version1::read(cert) {
            Some(parsed) => version1::verify_handshake(message, &parsed, dss, &self.algorithms),
            None => self.chain.verify_tls13_signature(message, cert, dss),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl fmt::Debug for ClientCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCheck").field("roots", &self.roots).finish()
    }
}

fn check(
    extra: Option<&PeerCheck>,
    own: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Error> {
    let Some(extra) = extra else { return Ok(()) };
    let chain: Vec<&[u8]> = std::iter::once(own).chain(intermediates).map(AsRef::as_ref).collect();
    extra(&chain).map_err(|why| CertificateError::Other(OtherError(Arc::new(Rejection(why)))).into())
}

/// "Unknown issuer" of a certificate that is its own issuer would send people looking for the wrong thing.
fn explain(error: Error, own: &CertificateDer<'_>) -> Error {
    if error == CertificateError::UnknownIssuer.into() && Certificate::new(own).is_self_issued() {
        return CertificateError::Other(OtherError(Arc::new(SelfSigned))).into();
    }
    error
}

#[derive(Debug)]
struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::Untrusted::SelfSigned.fmt(f)
    }
}

impl std::error::Error for SelfSigned {}
