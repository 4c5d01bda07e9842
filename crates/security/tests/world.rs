//! A certificate authority, two sessions, and what lies between them.

use std::{
    io::IoSlice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use farcall_security::{ClientConfig, ClientOptions, Clock, Identity, Roots, ServerConfig, ServerOptions, Session};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// When the tests take place: 2026-01-01.
pub(crate) const NOW: u64 = 1_767_225_600;

/// A clock that is set by hand.
#[derive(Debug)]
pub(crate) struct Watch(AtomicU64);

impl Watch {
    pub(crate) fn at(seconds: u64) -> Arc<Watch> {
        Arc::new(Watch(AtomicU64::new(seconds)))
    }
}

impl Clock for Watch {
    fn unix_seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

pub(crate) fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(params(names.first().unwrap_or(&"nobody"), names))
    }

    pub(crate) fn issue_with(&self, params: CertificateParams) -> Identity {
        let (chain, key) = self.issue_pem(params);
        Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    }

    pub(crate) fn issue_pem(&self, params: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

pub(crate) fn client_options(roots: Roots) -> ClientOptions {
    ClientOptions::new(roots, Watch::at(NOW))
}

pub(crate) fn server_options(identities: Vec<Identity>) -> ServerOptions {
    ServerOptions::new(identities, Watch::at(NOW))
}

/// How a wire treats what is sent through it.
#[derive(Clone, Copy)]
pub(crate) enum Wire {
    Whole,
    /// In pieces of up to this many bytes.
    Pieces(usize, u64),
}

/// Two sessions and what came out of them.
pub(crate) struct Pair {
    pub(crate) client: Session,
    pub(crate) server: Session,
    pub(crate) at_client: Vec<u8>,
    pub(crate) at_server: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(client: ClientOptions, name: &str, server: ServerOptions) -> Pair {
        Pair::of(&ClientConfig::new(client).unwrap(), name, &ServerConfig::new(server).unwrap())
    }

    pub(crate) fn of(client: &ClientConfig, name: &str, server: &ServerConfig) -> Pair {
        Pair {
            client: Session::client(client, name).unwrap(),
            server: Session::server(server).unwrap(),
            at_client: Vec::new(),
            at_server: Vec::new(),
        }
    }

    /// A pair that trusts each other.
    pub(crate) fn usual() -> Pair {
        let authority = Authority::new("root");
        let server = server_options(vec![authority.issue(&["example.org"])]);
        Pair::new(client_options(authority.roots()), "example.org", server)
    }

    /// Carries everything both ways, until nobody has anything to say.
    pub(crate) fn settle(&mut self) {
        self.settle_over(Wire::Whole);
    }

    pub(crate) fn settle_over(&mut self, wire: Wire) {
        let mut random = fastrand::Rng::with_seed(match wire {
            Wire::Whole => 0,
            Wire::Pieces(_, seed) => seed,
        });
        loop {
            let there = carry(&mut self.client, &mut self.server, wire, &mut random, &mut self.at_server);
            let back = carry(&mut self.server, &mut self.client, wire, &mut random, &mut self.at_client);
            if !there && !back {
                return;
            }
        }
    }

    pub(crate) fn shaken(mut self) -> Pair {
        self.settle();
        assert_eq!((self.client.error(), self.server.error()), (None, None));
        assert!(self.client.handshake().is_some() && self.server.handshake().is_some());
        self
    }
}

/// Everything that one has to say to the other; whether it was something.
fn carry(from: &mut Session, to: &mut Session, wire: Wire, random: &mut fastrand::Rng, opened: &mut Vec<u8>) -> bool {
    let mut said = false;
    while let Some(sealed) = from.poll_transmit() {
        said = true;
        let len = match wire {
            Wire::Whole => sealed.len(),
            Wire::Pieces(most, _) => random.usize(1..=most).min(sealed.len()),
        };
        let mut bytes = sealed[..len].to_vec();
        from.handle_transmitted(len);
        to.handle_sealed(&mut bytes, |some| opened.extend_from_slice(some));
    }
    said
}

/// Everything that `session` has to say.
pub(crate) fn drain(session: &mut Session) -> Vec<u8> {
    let bytes = session.poll_transmit().unwrap_or_default().to_vec();
    session.handle_transmitted(bytes.len());
    bytes
}

/// Seals all of `bytes`, carrying in between.
pub(crate) fn send(pair: &mut Pair, from_client: bool, bytes: &[u8]) {
    let mut at = 0;
    while at < bytes.len() {
        let session = if from_client { &mut pair.client } else { &mut pair.server };
        at += session.seal(&[IoSlice::new(&bytes[at..])]);
        pair.settle();
    }
}
