//! Connections over TLS.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::{Running, serve_with, unary, within};
use bytes::Bytes;
use farcall::{
    Channel, Code, Request, Response, Server, Status, codec,
    server::Call,
    tls::{ClientAuth, ClientTls, Identity, Roots, ServerTls, Verification},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::{io::AsyncWriteExt, net::TcpStream};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        Authority::named("root")
    }

    fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> Roots {
        Roots::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }
}

/// Answers with what the server knows of the client, and then with what came.
fn describe(call: Call) {
    call.unary(codec::Bytes, |request: Request<Bytes>| async move {
        let tls = request.tls().expect("TLS");
        let peer = tls.peer.as_ref().map(|peer| peer.names()[0].as_str().to_owned()).unwrap_or_default();
        let mut answer = format!("{} {peer}|", tls.version).into_bytes();
        answer.extend_from_slice(request.get_ref());
        Ok::<_, Status>(Response::new(Bytes::from(answer)))
    });
}

async fn serve(tls: ServerTls) -> Running {
    serve_with(Server::builder().tls(tls).unwrap(), "127.0.0.1:0", describe).await
}

fn connect(server: &Running, tls: ClientTls) -> Channel {
    Channel::builder(format!("https://localhost:{}", server.address.port())).tls(tls).unwrap().connect_lazy().unwrap()
}

async fn ask(channel: &Channel) -> Result<String, Status> {
    Ok(String::from_utf8(unary(channel, &b"x"[..]).await?.to_vec()).unwrap())
}

#[tokio::test]
async fn both_ends_know_each_other() {
    within(async {
        let authority = Authority::new();
        let mut server = serve(
            ServerTls::new(vec![authority.issue("localhost")]).client_auth(ClientAuth::Required(authority.roots())),
        )
        .await;
        let known = connect(&server, ClientTls::new(authority.roots()).identity(authority.issue("client.example")));
        assert_eq!(ask(&known).await.unwrap(), "TLSv1.3 client.example|x");
        let unknown = connect(&server, ClientTls::new(authority.roots()));
        assert_eq!(ask(&unknown).await.unwrap_err().code(), Code::Unavailable);
        server.stop();
        drop((known, unknown));
        server.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn messages_of_any_size_pass() {
    within(async {
        let authority = Authority::new();
        let server = serve(ServerTls::new(vec![authority.issue("localhost")])).await;
        let channel = connect(&server, ClientTls::new(authority.roots()));
        for len in [0, 1, 16_384, 70_000, 3 << 20] {
            let message = Bytes::from((0..len).map(|byte| byte as u8).collect::<Vec<_>>());
            let answer = unary(&channel, message.clone()).await.unwrap();
            assert!(answer.ends_with(&message) && answer.len() == message.len() + b"TLSv1.3 |".len(), "{len} bytes");
        }
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let channel = channel.clone();
                tokio::spawn(async move { ask(&channel).await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), "TLSv1.3 |x");
        }
    })
    .await;
}

#[tokio::test]
async fn who_cannot_be_trusted_is_not_talked_to() {
    within(async {
        let (ours, theirs) = (Authority::named("ours"), Authority::named("theirs"));
        let server = serve(ServerTls::new(vec![theirs.issue("elsewhere")])).await;
        let refused = async |tls| ask(&connect(&server, tls)).await.unwrap_err();
        let status = refused(ClientTls::new(ours.roots())).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("unable to get local issuer certificate"), "{}", status.message());
        let status = refused(ClientTls::new(theirs.roots())).await;
        assert!(status.message().contains("not valid for its name"), "{}", status.message());
        assert!(ask(&connect(&server, ClientTls::new(theirs.roots()).server_name("elsewhere"))).await.is_ok());
        assert!(ask(&connect(&server, ClientTls::new(ours.roots()).verification(Verification::None))).await.is_ok());
        // Plain text to a server that wants none.
        assert_eq!(ask(&server.channel).await.unwrap_err().code(), Code::Unavailable);
    })
    .await;
}

#[tokio::test]
async fn a_slow_client_holds_up_neither_others_nor_the_end() {
    within(async {
        let authority = Authority::new();
        let mut server = serve(ServerTls::new(vec![authority.issue("localhost")])).await;
        let mut idlers = Vec::new();
        for _ in 0..20 {
            let mut idler = TcpStream::connect(server.address).await.unwrap();
            idler.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
            idlers.push(idler);
        }
        let channel = connect(&server, ClientTls::new(authority.roots()));
        assert_eq!(ask(&channel).await.unwrap(), "TLSv1.3 |x");
        drop(channel);
        server.stop();
        server.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn the_clients_certificate_may_change() {
    within(async {
        let authority = Authority::new();
        let server = serve(
            ServerTls::new(vec![authority.issue("localhost")]).client_auth(ClientAuth::Optional(authority.roots())),
        )
        .await;
        let (first, second) = (authority.issue("first"), authority.issue("second"));
        let turn = Arc::new(AtomicUsize::new(0));
        let source =
            move || Some(if turn.fetch_add(1, Ordering::Relaxed) == 0 { first.clone() } else { second.clone() });
        let source: farcall::tls::IdentitySource = Arc::new(source);
        for expected in ["TLSv1.3 first|x", "TLSv1.3 second|x"] {
            let tls = ClientTls::new(authority.roots()).identity_source(Arc::clone(&source));
            assert_eq!(ask(&connect(&server, tls)).await.unwrap(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_says_nothing_does_not_outlast_the_deadline() {
    within(async {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("https://localhost:{}", silent.local_addr().unwrap().port());
        let channel = Channel::builder(target)
            .tls(ClientTls::new(Authority::new().roots()))
            .unwrap()
            .timeout(Duration::from_millis(200))
            .connect_lazy()
            .unwrap();
        assert_eq!(ask(&channel).await.unwrap_err().code(), Code::DeadlineExceeded);
    })
    .await;
}

/// What a client says first.
fn hello(roots: Roots) -> Vec<u8> {
    let options = farcall_security::ClientOptions::new(roots, Arc::new(farcall_net::SystemClock));
    let config = farcall_security::ClientConfig::new(options).unwrap();
    let session = farcall_security::Session::client(&config, "localhost").unwrap();
    session.poll_transmit().expect("first words").to_vec()
}

/// On one thread all that is done before the next `await` is there at once when the server looks.
#[tokio::test(flavor = "current_thread")]
async fn a_crowd_of_handshakes_leaves_calls_their_turn() {
    const CROWD: usize = 300;

    within(async {
        let authority = Authority::new();
        let server = serve(ServerTls::new(vec![authority.issue("localhost")])).await;
        let channel = connect(&server, ClientTls::new(authority.roots()));
        ask(&channel).await.unwrap();
        let hello = hello(authority.roots());
        let crowd: Vec<std::net::TcpStream> = (0..CROWD)
            .map(|_| {
                let mut socket = std::net::TcpStream::connect(server.address).unwrap();
                std::io::Write::write_all(&mut socket, &hello).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket
            })
            .collect();
        let answered = || crowd.iter().filter(|socket| socket.peek(&mut [0]).is_ok()).count();
        for _ in 0..3 {
            ask(&channel).await.unwrap();
        }
        assert!(answered() < CROWD / 2, "{}", answered());
        while answered() < CROWD {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
