//! What the builders of channels and servers choose: compression, keepalive, the life of connections, their number.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::{Iter, echo, serve, serve_with, unary, within};
use bytes::{Bytes, BytesMut};
use farcall::{
    Channel, Code, Compression, Connectivity, Endpoint, Metadata, Request, Response, Server, Status, Streaming,
    codec::{self, Codec},
    server::Call,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What goes through a relay.
#[derive(Default)]
struct Carried {
    connections: AtomicUsize,
    to_server: AtomicUsize,
    to_client: AtomicUsize,
}

/// A way to a server that counts, until `frozen` says that it carries no more; connections stay open.
async fn relay(server: SocketAddr, frozen: watch::Receiver<bool>) -> (SocketAddr, Arc<Carried>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, carried) = (listener.local_addr().unwrap(), Arc::<Carried>::default());
    let counts = Arc::clone(&carried);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            counts.connections.fetch_add(1, Ordering::SeqCst);
            let server = TcpStream::connect(server).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let (there, back) = (Arc::clone(&counts), Arc::clone(&counts));
            tokio::spawn(carry(from_client, to_server, frozen.clone(), move |len| {
                there.to_server.fetch_add(len, Ordering::SeqCst);
            }));
            tokio::spawn(carry(from_server, to_client, frozen.clone(), move |len| {
                back.to_client.fetch_add(len, Ordering::SeqCst);
            }));
        }
    });
    (address, carried)
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
    count: impl Fn(usize),
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        if *frozen.borrow() {
            // For ever, unless the test is over.
            let _ = frozen.wait_for(|frozen| !frozen).await;
            return;
        }
        count(len);
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}

fn to(address: SocketAddr) -> Endpoint {
    Channel::builder(format!("http://{address}"))
}

const LONG: usize = 200_000;

fn long() -> Bytes {
    vec![7; LONG].into()
}

#[tokio::test]
async fn messages_are_compressed_both_ways_as_channel_and_server_say() {
    within(async {
        for compression in [Compression::Gzip, Compression::Deflate, Compression::Identity] {
            let server = serve_with(Server::builder().compression(compression), "127.0.0.1:0", echo).await;
            let (_thaw, frozen) = watch::channel(false);
            let (address, carried) = relay(server.address, frozen).await;
            let channel = to(address).compression(compression).connect().await.unwrap();
            assert!(unary(&channel, long()).await.unwrap() == long());
            let plain = compression == Compression::Identity;
            for way in [&carried.to_server, &carried.to_client] {
                let len = way.load(Ordering::SeqCst);
                assert_eq!(len > LONG / 10, plain, "{compression:?}: {len} bytes");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn one_call_may_be_compressed_otherwise() {
    within(async {
        let server = serve_with(Server::builder().compression(Compression::Gzip), "127.0.0.1:0", |call: Call| {
            call.streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
                let mut response = Response::new(request.into_inner());
                response.set_compression(Compression::Identity);
                Ok::<_, Status>(response)
            });
        })
        .await;
        let (_thaw, frozen) = watch::channel(false);
        let (address, carried) = relay(server.address, frozen).await;
        let channel = to(address).connect().await.unwrap();
        let mut request = Request::new(Iter((0..3).map(|_| long())));
        request.set_compression(Compression::Deflate);
        let responses = channel.streaming("/test.Service/Method", codec::Bytes, request).await.unwrap();
        let mut responses: Streaming<Bytes> = responses.into_inner();
        for _ in 0..3 {
            assert!(responses.message().await.unwrap().unwrap() == long());
        }
        assert_eq!(responses.message().await.unwrap(), None);
        assert!(carried.to_server.load(Ordering::SeqCst) < LONG / 10);
        assert!(carried.to_client.load(Ordering::SeqCst) > 3 * LONG);
    })
    .await;
}

/// Bytes of which only those that begin with a 7 may be compressed.
#[derive(Clone)]
struct Sevens;

impl Codec<Bytes> for Sevens {
    fn encode(&self, message: &Bytes, buffer: &mut BytesMut) -> Result<(), Status> {
        codec::Bytes.encode(message, buffer)
    }

    fn decode(&self, message: Bytes) -> Result<Bytes, Status> {
        Ok(message)
    }

    fn may_compress(&self, message: &Bytes) -> bool {
        message.starts_with(&[7])
    }
}

#[tokio::test]
async fn a_codec_says_which_messages_may_be_compressed() {
    within(async {
        let server = serve(|call: Call| {
            call.client_streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
                let (mut requests, mut count) = (request.into_inner(), 0u8);
                while let Some(message) = requests.message().await? {
                    assert_eq!(message, vec![7 + count % 2; 1000]);
                    count += 1;
                }
                Ok::<_, Status>(Response::new(Bytes::copy_from_slice(&[count])))
            });
        })
        .await;
        let (_thaw, frozen) = watch::channel(false);
        let (address, carried) = relay(server.address, frozen).await;
        let channel = to(address).compression(Compression::Gzip).connect().await.unwrap();
        let messages = Iter((0..100).map(|index| Bytes::from(vec![7 + index % 2; 1000])));
        let answer = channel.client_streaming("/test.Service/Method", Sevens, Request::new(messages)).await;
        let answer: Bytes = answer.unwrap().into_inner();
        assert_eq!(answer[..], [100]);
        let len = carried.to_server.load(Ordering::SeqCst);
        assert!((50_000..60_000).contains(&len), "half of 100 KB is compressed: {len} bytes");
    })
    .await;
}

#[tokio::test]
async fn initial_metadata_of_a_call_that_fails_is_there() {
    within(async {
        let server = serve(|call: Call| {
            call.server_streaming(codec::Bytes, |_: Request<Bytes>| async {
                let mut response = Response::new(Iter([Err(Status::not_found("gone"))].into_iter()));
                response.metadata_mut().append("begun", "yes").unwrap();
                Ok::<_, Status>(response)
            });
        })
        .await;
        let status = unary(&server.channel, "").await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::NotFound, "gone"));
        assert_eq!(status.initial_metadata().first("begun"), Some(&b"yes"[..]));
        assert_eq!(status.metadata(), &Metadata::new());
    })
    .await;
}

#[tokio::test]
async fn a_server_that_falls_silent_is_found_out_by_keepalive() {
    within(async {
        let mut hanging = crate::common::Hanging::new();
        let server = serve(hanging.handler()).await;
        let (freeze, frozen) = watch::channel(false);
        let (address, _) = relay(server.address, frozen).await;
        let (time, timeout) = (Duration::from_millis(20), Duration::from_millis(20));
        let channel = to(address).keepalive_time(time).keepalive_timeout(timeout).connect().await.unwrap();
        let call = tokio::spawn(async move { unary(&channel, "").await });
        hanging.begun().await;
        freeze.send(true).unwrap();
        assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_falls_silent_is_found_out_by_keepalive() {
    within(async {
        let mut hanging = crate::common::Hanging::new();
        let (time, timeout) = (Duration::from_millis(20), Duration::from_millis(20));
        let patient = Server::builder().keepalive_time(time).keepalive_timeout(timeout);
        let server = serve_with(patient, "127.0.0.1:0", hanging.handler()).await;
        let (freeze, frozen) = watch::channel(false);
        let (address, _) = relay(server.address, frozen).await;
        let channel = to(address).connect().await.unwrap();
        let _call = tokio::spawn(async move { unary(&channel, "").await });
        let dropped = hanging.begun().await;
        freeze.send(true).unwrap();
        dropped.await.expect("the handler is dropped");
    })
    .await;
}

#[tokio::test]
async fn idle_and_old_connections_end_and_the_next_call_makes_another() {
    within(async {
        let short = Duration::from_millis(30);
        for (server, grace) in [
            (Server::builder().max_connection_idle(short), false),
            (Server::builder().max_connection_age(short).max_connection_age_grace(short), true),
        ] {
            let server = serve_with(server, "127.0.0.1:0", echo).await;
            for _ in 0..2 {
                assert_eq!(unary(&server.channel, "once").await.unwrap(), "once", "by age: {grace}");
                let state = server.channel.state_changed(Connectivity::Ready).await;
                assert_eq!(state, Connectivity::Idle, "by age: {grace}");
            }
        }
        let server = serve(echo).await;
        let channel = to(server.address).max_connection_idle(short).connect().await.unwrap();
        assert_eq!(channel.state_changed(Connectivity::Ready).await, Connectivity::Idle, "by the client");
    })
    .await;
}

#[tokio::test]
async fn calls_that_go_on_for_too_long_after_a_connections_age_end() {
    within(async {
        let mut hanging = crate::common::Hanging::new();
        let short = Duration::from_millis(30);
        let aging = Server::builder().max_connection_age(short).max_connection_age_grace(short);
        let server = serve_with(aging, "127.0.0.1:0", hanging.handler()).await;
        let channel = server.channel.clone();
        let call = tokio::spawn(async move { unary(&channel, "").await });
        let dropped = hanging.begun().await;
        assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
        dropped.await.expect("the handler is dropped");
    })
    .await;
}

#[tokio::test]
async fn connections_over_the_limit_are_turned_away_until_there_is_a_place() {
    within(async {
        for places in [1, 2] {
            let server = serve_with(Server::builder().max_connections(places), "127.0.0.1:0", echo).await;
            let mut inside = Vec::new();
            for _ in 0..places {
                inside.push(to(server.address).connect().await.unwrap());
            }
            let outside = to(server.address).connect_lazy().unwrap();
            assert_eq!(unary(&outside, "late").await.unwrap_err().code(), Code::Unavailable);
            inside.pop();
            let mut request = Request::new(Bytes::from("in"));
            request.set_wait_for_ready(true);
            let answer = outside.unary::<_, _, Bytes>("/test.Service/Method", codec::Bytes, request).await.unwrap();
            assert_eq!(answer.into_inner(), "in");
        }
    })
    .await;
}

/// A server that says its SETTINGS and hangs up is not one to be called again at once, and again.
#[tokio::test]
async fn connections_that_break_as_soon_as_they_work_are_not_made_in_a_tight_loop() {
    within(async {
        let settings: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
        // NO_ERROR, up to no stream.
        let goaway: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
        for words in [settings.to_vec(), [settings, goaway].concat()] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let accepted = Arc::<AtomicUsize>::default();
            let count = Arc::clone(&accepted);
            tokio::spawn(async move {
                while let Ok((mut socket, _)) = listener.accept().await {
                    count.fetch_add(1, Ordering::SeqCst);
                    // The preface first, so that nothing is left unread when it hangs up.
                    let _ = socket.read(&mut [0; 1024]).await;
                    let _ = socket.write_all(&words).await;
                }
            });
            let delay = Duration::from_secs(60);
            let channel = to(address).backoff(delay, delay).connect_lazy().unwrap();
            for _ in 0..20 {
                assert_eq!(unary(&channel, "").await.unwrap_err().code(), Code::Unavailable);
            }
            // A few may be an accident.
            let accepted = accepted.load(Ordering::SeqCst);
            assert!(accepted <= 5, "{accepted} connections");
        }
    })
    .await;
}
