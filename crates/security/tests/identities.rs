//! Keys that are elsewhere.

use std::sync::{Arc, Mutex};

use farcall_security::{ClientAuth, Error, Identity, SignatureAlgorithm, Signer};
use rcgen::{KeyPair, SigningKey as _};

use crate::world::{Authority, Pair, client_options, params, server_options};

/// Signs with a key that only it has, and remembers how.
struct Vault {
    key: KeyPair,
    used: Mutex<Vec<SignatureAlgorithm>>,
    broken: bool,
}

impl Signer for Vault {
    fn sign(&self, message: &[u8], algorithm: SignatureAlgorithm) -> Result<Vec<u8>, String> {
        self.used.lock().unwrap().push(algorithm);
        if self.broken {
            return Err("the vault is closed".to_owned());
        }
        self.key.sign(message).map_err(|error| error.to_string())
    }
}

fn pair(broken: bool) -> (Pair, Arc<Vault>) {
    let authority = Authority::new("root");
    let (chain, key) = authority.issue_pem(params("client", &["client"]));
    let vault = Arc::new(Vault { key: KeyPair::from_pem(&key).unwrap(), used: Mutex::default(), broken });
    let identity = Identity::with_signer(chain.as_bytes(), Arc::clone(&vault) as Arc<_>).unwrap();
    let mut client = client_options(authority.roots());
    client.identity = Some(Arc::new(move || Some(identity.clone())));
    let mut server = server_options(vec![authority.issue(&["example.org"])]);
    server.client_auth = ClientAuth::Required(authority.roots());
    (Pair::new(client, "example.org", server), vault)
}

#[test]
fn a_signer_signs_for_its_certificate() {
    let (pair, vault) = pair(false);
    let pair = pair.shaken();
    assert_eq!(pair.server.handshake().unwrap().peer.as_ref().unwrap().common_names(), ["client"]);
    assert_eq!(*vault.used.lock().unwrap(), [SignatureAlgorithm(0x0403)]);
}

#[test]
fn a_signer_that_fails_fails_the_handshake_with_its_words() {
    let (mut pair, _) = pair(true);
    pair.settle();
    assert_eq!(pair.client.error(), Some(&Error::Local("the vault is closed".to_owned())));
}
