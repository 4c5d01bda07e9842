//! Certificates as people make them.

use farcall_security::{ClientAuth, ConfigError, Error, Identity, Roots, ServerConfig, Untrusted};
use rcgen::{BasicConstraints, IsCa, KeyPair};
use std::sync::Arc;

use crate::world::{Authority, Pair, Watch, client_options, params, server_options};

/// As `openssl req -x509` makes them: issued by itself, and allowed to issue others.
fn self_signed(names: &[&str], ca: bool) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = params("localhost", names);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_certificate_that_is_its_own_root_is_trusted_if_it_was_given() {
    for ca in [true, false] {
        let (certificate, key) = self_signed(&["localhost"], ca);
        let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let roots = Roots::from_pem(certificate.as_bytes()).unwrap();
        Pair::new(client_options(roots.clone()), "localhost", server_options(vec![identity.clone()])).shaken();
        let mut late = client_options(roots.clone());
        late.clock = Watch::at(1_900_000_000);
        let mut pair = Pair::new(late, "localhost", server_options(vec![identity.clone()]));
        pair.settle();
        assert_eq!(pair.client.error(), Some(&Error::PeerUntrusted(Untrusted::Expired)));
        let mut pair = Pair::new(client_options(roots.clone()), "elsewhere", server_options(vec![identity.clone()]));
        pair.settle();
        assert_eq!(pair.client.error(), Some(&Error::NameMismatch));
        let other = client_options(Authority::new("root").roots());
        let mut pair = Pair::new(other, "localhost", server_options(vec![identity.clone()]));
        pair.settle();
        assert!(matches!(pair.client.error(), Some(Error::PeerUntrusted(_))), "{:?}", pair.client.error());
    }
}

#[test]
fn a_client_may_be_its_own_root_too() {
    let authority = Authority::new("root");
    let (certificate, key) = self_signed(&[], true);
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let mut client = client_options(authority.roots());
    client.identity = Some(Arc::new(move || Some(identity.clone())));
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.client_auth = ClientAuth::Required(Roots::from_pem(certificate.as_bytes()).unwrap());
    let pair = Pair::new(client, "example.org", server).shaken();
    assert_eq!(pair.server.handshake().unwrap().peer.as_ref().unwrap().common_names(), ["localhost"]);
}

#[test]
fn the_common_name_counts_where_there_is_no_other() {
    let authority = Authority::new("root");
    for (common, names, asked, fine) in [
        ("localhost", &[][..], "localhost", true),
        ("*.example.org", &[], "a.example.org", true),
        ("localhost", &["example.org"], "localhost", false),
        ("127.0.0.1", &[], "127.0.0.1", false),
    ] {
        let identity = authority.issue_with(params(common, names));
        let mut pair = Pair::new(client_options(authority.roots()), asked, server_options(vec![identity]));
        pair.settle();
        assert_eq!(pair.client.error(), (!fine).then_some(&Error::NameMismatch), "{common} {asked}");
    }
}

#[test]
fn a_server_has_a_certificate_for_each_name() {
    let authority = Authority::new("root");
    let identities = || vec![authority.issue(&["first.example"]), authority.issue(&["second.example"])];
    for (asked, shown) in [("first.example", "first.example"), ("second.example", "second.example")] {
        let pair = Pair::new(client_options(authority.roots()), asked, server_options(identities())).shaken();
        assert_eq!(pair.client.handshake().unwrap().peer.as_ref().unwrap().common_names(), [shown]);
    }
    let mut pair = Pair::new(client_options(authority.roots()), "third.example", server_options(identities()));
    pair.settle();
    assert_eq!(pair.client.error(), Some(&Error::NameMismatch));
}

#[test]
fn what_is_no_certificate_and_no_key_is_refused() {
    let authority = Authority::new("root");
    let (chain, key) = authority.issue_pem(params("a", &["a"]));
    let (_, other) = authority.issue_pem(params("b", &["b"]));
    let error = |chain: &str, key: &str| Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
    assert_eq!(error("junk", &key), ConfigError::NoCertificates("the certificate chain"));
    assert!(matches!(error(&chain, "junk"), ConfigError::BadKey(_)));
    assert_eq!(error(&chain, &other), ConfigError::KeyMismatch);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(error(broken, &key), ConfigError::BadCertificate(_)));
    assert!(matches!(
        error("-----BEGIN CERTIFICATE-----\n\u{0}!\n", &key),
        ConfigError::BadCertificate(_) | ConfigError::NoCertificates(_)
    ));
    assert_eq!(Roots::from_pem(b"junk").unwrap_err(), ConfigError::NoCertificates("the roots"));
    assert!(matches!(Roots::from_pem(broken.as_bytes()), Err(ConfigError::BadCertificate(_))));
    assert_eq!(ServerConfig::new(server_options(Vec::new())).unwrap_err(), ConfigError::NoIdentity);
    assert!(Roots::bundled().len() > 100);
}

#[test]
fn suites_are_chosen_by_openssls_names() {
    let authority = Authority::new("root");
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.cipher_suites = Some("ECDHE-ECDSA-AES128-GCM-SHA256:unknown".to_owned());
    let pair = Pair::new(client_options(authority.roots()), "example.org", server).shaken();
    assert_eq!(pair.client.handshake().unwrap().version, "TLSv1.2");
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.cipher_suites = Some("RC4".to_owned());
    assert!(matches!(ServerConfig::new(server), Err(ConfigError::CipherSuites(_))));
}

/// What `openssl x509 -req` makes without extensions; rcgen cannot.
mod version1 {
    pub(crate) const ROOT: &str = include_str!("version1/root.pem");
    pub(crate) const LEAF: &str = include_str!("version1/leaf.pem");
    pub(crate) const KEY: &str = include_str!("version1/leaf.key");
    /// Of the same name as the root, but another key.
    pub(crate) const IMPOSTOR: &str = include_str!("version1/impostor.pem");
    pub(crate) const RSA: &str = include_str!("version1/rsa.pem");
    pub(crate) const RSA_KEY: &str = include_str!("version1/rsa.key");
}

fn old(chain: &str, key: &str) -> Identity {
    Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
}

#[test]
fn certificates_of_version_1_count_for_their_common_name() {
    let roots = Roots::from_pem(version1::ROOT.as_bytes()).unwrap();
    for (chain, key) in [(version1::LEAF, version1::KEY), (version1::RSA, version1::RSA_KEY)] {
        for suites in [None, Some("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")] {
            let server = || {
                let mut server = server_options(vec![old(chain, key)]);
                server.cipher_suites = suites.map(str::to_owned);
                server
            };
            Pair::new(client_options(roots.clone()), "localhost", server()).shaken();
            let error = |client, name| {
                let mut pair = Pair::new(client, name, server());
                pair.settle();
                pair.client.error().cloned()
            };
            assert_eq!(error(client_options(roots.clone()), "elsewhere"), Some(Error::NameMismatch));
            let unknown = Some(Error::PeerUntrusted(Untrusted::UnknownIssuer));
            let impostor = Roots::from_pem(version1::IMPOSTOR.as_bytes()).unwrap();
            assert_eq!(error(client_options(impostor), "localhost"), unknown);
            assert_eq!(error(client_options(Authority::new("root").roots()), "localhost"), unknown);
            for (time, expected) in [(1_700_000_000, Untrusted::NotYetValid), (4_000_000_000, Untrusted::Expired)] {
                let mut client = client_options(roots.clone());
                client.clock = Watch::at(time);
                assert_eq!(error(client, "localhost"), Some(Error::PeerUntrusted(expected)));
            }
        }
    }
    let mismatch = Identity::from_pem(version1::LEAF.as_bytes(), version1::RSA_KEY.as_bytes());
    assert_eq!(mismatch.unwrap_err(), ConfigError::KeyMismatch);
}

#[test]
fn clients_may_have_them_too() {
    let authority = Authority::new("root");
    let mut client = client_options(authority.roots());
    client.identity = Some(Arc::new(|| Some(old(version1::LEAF, version1::KEY))));
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.client_auth = ClientAuth::Required(Roots::from_pem(version1::ROOT.as_bytes()).unwrap());
    let pair = Pair::new(client, "example.org", server).shaken();
    assert_eq!(pair.server.handshake().unwrap().peer.as_ref().unwrap().common_names(), ["localhost"]);
}

#[test]
fn a_changed_certificate_of_version_1_is_worth_nothing() {
    let roots = Roots::from_pem(version1::ROOT.as_bytes()).unwrap();
    let genuine = old(version1::LEAF, version1::KEY);
    let der = genuine.certificate().der().to_vec();
    // The last bytes are the signature.
    for at in [der.len() - 1, der.len() - 20] {
        let mut changed = der.clone();
        changed[at] ^= 1;
        let pem = rcgen_pem(&changed);
        let Ok(identity) = Identity::from_pem(pem.as_bytes(), version1::KEY.as_bytes()) else { continue };
        let mut pair = Pair::new(client_options(roots.clone()), "localhost", server_options(vec![identity]));
        pair.settle();
        assert!(matches!(pair.client.error(), Some(Error::PeerUntrusted(_))), "{:?}", pair.client.error());
    }
}

fn rcgen_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
