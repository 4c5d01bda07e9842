//! Whether a certificate is for a name, as grpcio has it: by its alternative names, and by its common name when it has
//! none.

use rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};

use crate::handshake::Certificate;

/// Whether `certificate` is for `name`.
pub(crate) fn is_for(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    // Those of version 1 cannot be read like this, and have no alternative names.
    if ParsedCertificate::try_from(certificate).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok()) {
        return true;
    }
    let ServerName::DnsName(name) = name else { return false };
    let certificate = Certificate::new(certificate);
    certificate.names().is_empty() && certificate.common_names().iter().any(|common| matches(common, name.as_ref()))
}

/// Whether a common name, which may begin with `*.`, is this name.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.trim_end_matches('.'), name.trim_end_matches('.'));
    match pattern.strip_prefix("*.") {
        // The star stands for one label, and what follows has two at least.
        Some(parent) => match name.split_once('.') {
            Some((first, rest)) => !first.is_empty() && parent.contains('.') && rest.eq_ignore_ascii_case(parent),
            None => false,
        },
        None => !pattern.contains('*') && pattern.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_one_whole_label() {
        for (pattern, name, expected) in [
            ("localhost", "localhost", true),
            ("LocalHost", "localhost.", true),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", "a.b.example.org", false),
            ("*.org", "example.org", false),
            ("*", "localhost", false),
            ("a*.example.org", "ab.example.org", false),
            ("", "localhost", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
