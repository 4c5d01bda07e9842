//! Handshakes, and what they find out.

use std::sync::Arc;

use farcall_security::{
    ClientAuth, ClientConfig, Error, PeerName, ServerConfig, Session, SessionCache, Untrusted, Verification,
};
use rcgen::{DnType, SanType, string::Ia5String};

use crate::world::{Authority, Pair, Watch, Wire, client_options, drain, params, server_options};

#[test]
fn both_sides_know_what_they_agreed_on() {
    let pair = Pair::usual().shaken();
    let (client, server) = (pair.client.handshake().unwrap(), pair.server.handshake().unwrap());
    assert_eq!(client.version, "TLSv1.3");
    assert_eq!(client.group.as_deref(), Some("X25519MLKEM768"));
    assert!(!client.resumed && !server.resumed);
    assert_eq!(server.server_name.as_deref(), Some("example.org"));
    assert_eq!(client.peer.as_ref().unwrap().names(), [PeerName::Dns("example.org".to_owned())]);
    assert!(server.peer.is_none());
}

#[test]
fn chopped_bytes_make_no_difference() {
    for seed in 0..10 {
        for most in [1, 7, 300, 5000] {
            let mut pair = Pair::usual();
            pair.settle_over(Wire::Pieces(most, seed));
            assert_eq!((pair.client.error(), pair.server.error()), (None, None));
            assert!(pair.client.handshake().is_some() && pair.server.handshake().is_some());
        }
    }
}

#[test]
fn an_address_is_a_name_too_but_is_not_asked_for() {
    let authority = Authority::new("root");
    let server = server_options(vec![authority.issue(&["127.0.0.1", "::1"])]);
    let pair = Pair::new(client_options(authority.roots()), "127.0.0.1", server).shaken();
    assert_eq!(pair.server.handshake().unwrap().server_name, None);
    let names: Vec<_> = pair.client.handshake().unwrap().peer.as_ref().unwrap().names();
    assert_eq!(names, [PeerName::Ip("127.0.0.1".to_owned()), PeerName::Ip("::1".to_owned())]);
}

#[test]
fn a_client_with_a_certificate_is_known_to_the_server() {
    let authority = Authority::new("root");
    let mut client = client_options(authority.roots());
    let mut described = params("client.example", &["client.example", "10.0.0.1"]);
    described.distinguished_name.push(DnType::OrganizationName, "Clients");
    described.subject_alt_names.push(SanType::URI(Ia5String::try_from("spiffe://x/y").unwrap()));
    described.subject_alt_names.push(SanType::Rfc822Name(Ia5String::try_from("a@b.c").unwrap()));
    let identity = authority.issue_with(described);
    let der = identity.certificate().der().to_vec();
    client.identity = Some(Arc::new(move || Some(identity.clone())));
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.client_auth = ClientAuth::Required(authority.roots());
    let pair = Pair::new(client, "example.org", server).shaken();
    let peer = pair.server.handshake().unwrap().peer.clone().unwrap();
    assert_eq!(peer.der(), der);
    assert_eq!(peer.subject(), "O=Clients,CN=client.example");
    assert_eq!(peer.common_names(), ["client.example"]);
    let names = peer.names();
    let names: Vec<_> = names.iter().map(PeerName::as_str).collect();
    assert_eq!(names, ["client.example", "10.0.0.1", "spiffe://x/y", "a@b.c"]);
    assert!(peer.pem().starts_with("-----BEGIN CERTIFICATE-----\nMII"));
    assert!(peer.pem().lines().all(|line| line.len() <= 64));
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_required_only() {
    let authority = Authority::new("root");
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.client_auth = ClientAuth::Optional(authority.roots());
    Pair::new(client_options(authority.roots()), "example.org", server).shaken();
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.client_auth = ClientAuth::Required(authority.roots());
    let mut pair = Pair::new(client_options(authority.roots()), "example.org", server);
    pair.settle();
    assert_eq!(pair.server.error(), Some(&Error::PeerUntrusted(Untrusted::Missing)));
    assert_eq!(pair.client.error(), Some(&Error::PeerRefused("certificate required".to_owned())));
}

#[test]
fn the_identity_is_asked_for_at_each_handshake() {
    let authority = Authority::new("root");
    let (first, second) = (authority.issue(&["first"]), authority.issue(&["second"]));
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let mut client = client_options(authority.roots());
    client.identity = Some(Arc::new(move || {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(if turn == 0 { first.clone() } else { second.clone() })
    }));
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.client_auth = ClientAuth::Required(authority.roots());
    let (client, server) = (ClientConfig::new(client).unwrap(), ServerConfig::new(server).unwrap());
    let name = || {
        let pair = Pair::of(&client, "example.org", &server).shaken();
        pair.server.handshake().unwrap().peer.as_ref().unwrap().common_names()
    };
    assert_eq!(name(), ["first"]);
    assert_eq!(name(), ["second"]);
}

#[test]
fn who_cannot_be_trusted_is_told_so() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let mut pair =
        Pair::new(client_options(ours.roots()), "example.org", server_options(vec![theirs.issue(&["example.org"])]));
    pair.settle();
    assert_eq!(pair.client.error(), Some(&Error::PeerUntrusted(Untrusted::UnknownIssuer)));
    // A client that looks for somebody else's fault finds it.
    assert!(matches!(pair.server.error(), Some(Error::PeerRefused(_))), "{:?}", pair.server.error());
    assert!(pair.client.handshake().is_none());
}

#[test]
fn names_must_match_unless_that_is_not_asked_for() {
    let authority = Authority::new("root");
    let server = || server_options(vec![authority.issue(&["*.example.org"])]);
    Pair::new(client_options(authority.roots()), "a.example.org", server()).shaken();
    Pair::new(client_options(authority.roots()), "a.example.org.", server()).shaken();
    for wrong in ["example.org", "a.b.example.org", "example.com", "10.0.0.1"] {
        let mut pair = Pair::new(client_options(authority.roots()), wrong, server());
        pair.settle();
        assert_eq!(pair.client.error(), Some(&Error::NameMismatch), "{wrong}");
        let mut careless = client_options(authority.roots());
        careless.verification = Verification::ChainOnly;
        Pair::new(careless, wrong, server()).shaken();
    }
}

#[test]
fn without_verification_anybody_will_do() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let mut careless = client_options(ours.roots());
    careless.verification = Verification::None;
    Pair::new(careless, "elsewhere", server_options(vec![theirs.issue(&["example.org"])])).shaken();
}

#[test]
fn the_applications_own_check_has_the_last_word() {
    let authority = Authority::new("root");
    let identity = authority.issue(&["example.org"]);
    let expected = identity.certificate().der().to_vec();
    for verification in [Verification::Full, Verification::None] {
        for fine in [true, false] {
            let mut client = client_options(authority.roots());
            client.verification = verification;
            let expected = expected.clone();
            client.check = Some(Arc::new(move |chain| {
                assert_eq!(chain, [&expected[..]]);
                if fine { Ok(()) } else { Err("not today".to_owned()) }
            }));
            let mut pair = Pair::new(client, "example.org", server_options(vec![identity.clone()]));
            pair.settle();
            let rejected = Error::PeerUntrusted(Untrusted::Rejected("not today".to_owned()));
            assert_eq!(pair.client.error(), (!fine).then_some(&rejected));
        }
    }
}

#[test]
fn dates_are_looked_at() {
    let authority = Authority::new("root");
    for (time, expected) in [(1_700_000_000, Untrusted::NotYetValid), (1_900_000_000, Untrusted::Expired)] {
        let mut client = client_options(authority.roots());
        client.clock = Watch::at(time);
        let mut pair = Pair::new(client, "example.org", server_options(vec![authority.issue(&["example.org"])]));
        pair.settle();
        assert_eq!(pair.client.error(), Some(&Error::PeerUntrusted(expected)));
    }
}

#[test]
fn sessions_are_resumed_only_from_a_cache() {
    let authority = Authority::new("root");
    let client = ClientConfig::new(client_options(authority.roots())).unwrap();
    let server = ServerConfig::new(server_options(vec![authority.issue(&["example.org"])])).unwrap();
    let cache = SessionCache::new(4);
    let resumed = |client: &ClientConfig| {
        let pair = Pair::of(client, "example.org", &server).shaken();
        let resumed = pair.client.handshake().unwrap().resumed;
        assert_eq!(resumed, pair.server.handshake().unwrap().resumed);
        assert_eq!(pair.server.handshake().unwrap().server_name.as_deref(), Some("example.org"));
        resumed
    };
    assert!(!resumed(&client) && !resumed(&client));
    assert!(!resumed(&client.with_sessions(&cache)));
    assert!(resumed(&client.with_sessions(&cache)));
    assert!(!resumed(&client));
    assert!(!resumed(&client.with_sessions(&SessionCache::new(4))));
}

#[test]
fn a_session_resumed_still_knows_the_client() {
    let authority = Authority::new("root");
    let identity = authority.issue(&["client.example"]);
    let mut client = client_options(authority.roots());
    client.identity = Some(Arc::new(move || Some(identity.clone())));
    let client = ClientConfig::new(client).unwrap().with_sessions(&SessionCache::new(4));
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.client_auth = ClientAuth::Required(authority.roots());
    let server = ServerConfig::new(server).unwrap();
    for resumed in [false, true] {
        let pair = Pair::of(&client, "example.org", &server).shaken();
        let handshake = pair.server.handshake().unwrap();
        assert_eq!(handshake.resumed, resumed);
        assert_eq!(handshake.peer.as_ref().unwrap().common_names(), ["client.example"]);
    }
}

#[test]
fn plain_text_is_recognised() {
    let mut pair = Pair::usual();
    pair.server.handle_sealed(&mut b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), |_| panic!());
    assert_eq!(pair.server.error(), Some(&Error::NotTls));
    // An HTTP/2 server's SETTINGS.
    pair.client.handle_sealed(&mut [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100], |_| panic!());
    assert_eq!(pair.client.error(), Some(&Error::NotTls));
}

/// A client of rustls itself, since ours always offers HTTP/2.
fn stranger(version: &'static rustls::SupportedProtocolVersion, protocols: &[&[u8]]) -> rustls::ClientConnection {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    rustls::ClientConnection::new(Arc::new(config), "example.org".try_into().unwrap()).unwrap()
}

#[test]
fn a_client_that_does_not_offer_http_2_is_told_so_by_an_alert() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for protocols in [&[][..], &[b"http/1.1".as_slice()]] {
            let (mut client, mut server) = (stranger(version, protocols), Pair::usual().server);
            let mut hello = Vec::new();
            client.write_tls(&mut hello).unwrap();
            server.handle_sealed(&mut hello, |_| panic!());
            assert_eq!(server.error(), Some(&Error::NoProtocol));
            client.read_tls(&mut drain(&mut server).as_slice()).unwrap();
            let alert = rustls::AlertDescription::NoApplicationProtocol;
            assert_eq!(client.process_new_packets().unwrap_err(), rustls::Error::AlertReceived(alert));
        }
    }
}

#[test]
fn an_end_within_the_handshake_is_an_error_at_every_byte() {
    let mut pair = Pair::usual();
    let hello = drain(&mut pair.client);
    pair.server.handle_sealed(&mut hello.clone(), |_| panic!());
    let flight = drain(&mut pair.server);
    for len in (0..flight.len()).step_by(113) {
        let mut pair = Pair::usual();
        let _ = drain(&mut pair.client);
        pair.client.handle_sealed(&mut hello[..0].to_vec(), |_| panic!());
        pair.client.handle_closed();
        assert_eq!(pair.client.error(), Some(&Error::ClosedInHandshake));
        let mut pair = Pair::usual();
        pair.server.handle_sealed(&mut hello[..len.min(hello.len() - 1)].to_vec(), |_| panic!());
        pair.server.handle_closed();
        assert_eq!(pair.server.error(), Some(&Error::ClosedInHandshake));
        assert_eq!(pair.server.seal(&[std::io::IoSlice::new(b"x")]), 0);
    }
}

#[test]
fn a_flipped_bit_fails_the_handshake() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..200 {
        let mut pair = Pair::usual();
        let mut hello = drain(&mut pair.client);
        pair.server.handle_sealed(&mut hello, |_| panic!());
        let mut flight = drain(&mut pair.server);
        let at = *random.choice(&authenticated(&flight)).unwrap();
        flight[at] ^= 1 << random.u8(0..8);
        pair.client.handle_sealed(&mut flight, |_| panic!());
        let _ = drain(&mut pair.client);
        pair.client.handle_closed();
        assert!(pair.client.error().is_some() && pair.client.handshake().is_none(), "bit at {at}");
    }
}

/// Where the contents of records are that somebody vouches for: nobody does for headers in plain text, and for
/// change-cipher-specs, which mean nothing.
fn authenticated(flight: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < flight.len() {
        let end = at + 5 + usize::from(u16::from_be_bytes([flight[at + 3], flight[at + 4]]));
        if flight[at] != 20 {
            found.extend(at + 5..end);
        }
        at = end;
    }
    found
}

#[test]
fn names_that_no_server_can_have_are_refused() {
    let config = ClientConfig::new(client_options(Authority::new("root").roots())).unwrap();
    for name in ["", "a b", "run%2Fx.sock", "-x", "[::1]", &"a".repeat(300)] {
        assert!(Session::client(&config, name).is_err(), "{name}");
    }
}
