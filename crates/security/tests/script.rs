//! A script to two TLS sessions: bytes of nobody's, and what they say to each other with holes, repeats and flipped
//! bits. Nothing may panic, be kept without bound, or come out that was not put in. /fuzz plays scripts of its own.

use std::{
    io::IoSlice,
    sync::{Arc, OnceLock},
};

use farcall_security::{
    ClientConfig, ClientOptions, Clock, Identity, MAX_UNSENT, Roots, ServerConfig, ServerOptions, Session,
};

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn unix_seconds(&self) -> u64 {
        1_800_000_000
    }
}

fn configs() -> &'static (ClientConfig, ServerConfig) {
    static MADE: OnceLock<(ClientConfig, ServerConfig)> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let roots = Roots::from_pem(certificate.as_bytes()).unwrap();
        let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Noon);
        let client = ClientConfig::new(ClientOptions::new(roots, Arc::clone(&clock))).unwrap();
        (client, ServerConfig::new(ServerOptions::new(vec![identity], clock)).unwrap())
    })
}

/// What the application sends: a byte that counts, so that what comes out can be told.
struct Said {
    sent: u8,
    due: u8,
}

impl Said {
    fn send(&mut self, session: &mut Session, len: usize) {
        let bytes: Vec<u8> = (0..len).map(|at| self.sent.wrapping_add(at as u8)).collect();
        let taken = session.seal(&[IoSlice::new(&bytes)]);
        self.sent = self.sent.wrapping_add(taken as u8);
    }

    fn check(&mut self, opened: &[u8]) {
        for &byte in opened {
            assert_eq!(byte, self.due, "what came out was not put in");
            self.due = self.due.wrapping_add(1);
        }
    }
}

/// Plays a script.
pub(crate) fn play(data: &[u8]) {
    let (client, server) = configs();
    let mut ends = [Session::client(client, "example.org").unwrap(), Session::server(server).unwrap()];
    let mut said = [Said { sent: 0, due: 0 }, Said { sent: 0, due: 0 }];
    let mut script = data.iter().copied();
    while let Some(op) = script.next() {
        let from = usize::from(op & 1);
        let to = 1 - from;
        match (op >> 1) % 8 {
            // Everything there is to say, whole or not, perhaps damaged.
            0..=3 => {
                let sealed = ends[from].poll_transmit().unwrap_or_default();
                assert!(sealed.len() <= 2 * MAX_UNSENT);
                let len = match script.next() {
                    Some(0) | None => sealed.len(),
                    Some(len) => usize::from(len).min(sealed.len()),
                };
                let mut bytes = sealed[..len].to_vec();
                ends[from].handle_transmitted(len);
                if (op >> 1) % 8 == 3 && !bytes.is_empty() {
                    let at = usize::from(script.next().unwrap_or(0)) % bytes.len();
                    bytes[at] ^= script.next().unwrap_or(1);
                }
                let mine = &mut said[from];
                ends[to].handle_sealed(&mut bytes, |opened| mine.check(opened));
            }
            4 => said[from].send(&mut ends[from], usize::from(script.next().unwrap_or(0)) * 300),
            5 => {
                let len = usize::from(script.next().unwrap_or(0));
                let mut bytes: Vec<u8> = script.by_ref().take(len).collect();
                let mine = &mut said[from];
                ends[to].handle_sealed(&mut bytes, |opened| mine.check(opened));
            }
            6 => ends[from].close(),
            _ => ends[from].handle_closed(),
        }
    }
}

#[test]
fn scripts_of_chance_end_well() {
    let mut random = fastrand::Rng::with_seed(13);
    for _ in 0..400 {
        let len = random.usize(0..400);
        let mut script: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
        // Most begin with a handshake that goes well: everything there is to say, in turns.
        if random.u8(..) > 50 {
            script.splice(0..0, [0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        }
        play(&script);
    }
}
