//! Certificates of X.509 version 1, which webpki does not read. They are what `openssl x509 -req` makes unless it is
//! told of an extension, so that many services have them. One is trusted when a root has signed it directly.

use rustls::{
    CertificateError, DigitallySignedStruct, Error,
    client::danger::HandshakeSignatureValid,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime},
};
use x509_cert::{
    Certificate, Version,
    der::{Decode, Encode, Header, Reader, SliceReader},
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
};

use crate::{Roots, handshake};

/// The certificate, if it is of version 1.
pub(crate) fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
    Certificate::from_der(der).ok().filter(|it| it.tbs_certificate.version == Version::V1)
}

/// Whether one of the roots has signed it, and both have their time.
pub(crate) fn verify_chain(
    own: &CertificateDer<'_>,
    parsed: &Certificate,
    roots: &Roots,
    algorithms: &WebPkiSupportedAlgorithms,
    now: UnixTime,
) -> Result<(), Error> {
    let issuers = roots.given.iter().filter(|root| {
        Certificate::from_der(root).is_ok_and(|root| {
            let root = root.tbs_certificate;
            root.subject == parsed.tbs_certificate.issuer
                && is_signed(own, parsed, &root.subject_public_key_info, algorithms)
        })
    });
    // A root may have been renewed with the same key: any that stands will do.
    let mut found = Err(CertificateError::UnknownIssuer.into());
    for root in issuers {
        found = handshake::Certificate::new(root).check_time(now);
        if found.is_ok() {
            break;
        }
    }
    found?;
    handshake::Certificate::new(own).check_time(now)
}

fn is_signed(
    own: &CertificateDer<'_>,
    parsed: &Certificate,
    key: &SubjectPublicKeyInfoOwned,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let (Some(signed), Some(signature)) = (signed_part(own), parsed.signature.as_bytes()) else { return false };
    let Some(algorithm) = content(&parsed.signature_algorithm) else { return false };
    // What is signed says by what, too.
    parsed.signature_algorithm == parsed.tbs_certificate.signature
        && algorithms
            .all
            .iter()
            .filter(|known| known.signature_alg_id().as_ref() == algorithm)
            .any(|known| verify(*known, key, signed, signature))
}

/// Checks a signature of a handshake made with the key of such a certificate.
pub(crate) fn verify_handshake(
    message: &[u8],
    parsed: &Certificate,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = &parsed.tbs_certificate.subject_public_key_info;
    let known = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == dss.scheme).flat_map(|(_, known)| *known);
    if known.into_iter().any(|known| verify(*known, key, message, dss.signature())) {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

fn verify(
    algorithm: &dyn SignatureVerificationAlgorithm,
    key: &SubjectPublicKeyInfoOwned,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Some(bits) = key.subject_public_key.as_bytes() else { return false };
    content(&key.algorithm).is_some_and(|id| algorithm.public_key_alg_id().as_ref() == id)
        && algorithm.verify_signature(bits, message, signature).is_ok()
}

/// The bytes of a certificate that its signature is over.
fn signed_part<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let mut reader = SliceReader::new(certificate).ok()?;
    Header::decode(&mut reader).ok()?;
    reader.tlv_bytes().ok()
}

/// An algorithm's identifier as webpki has it: without the frame around it.
fn content(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let framed = algorithm.to_der().ok()?;
    let mut reader = SliceReader::new(&framed).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    reader.read_slice(header.length).ok().map(<[u8]>::to_vec)
}
