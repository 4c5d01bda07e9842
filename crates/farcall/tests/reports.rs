//! What a server says of its peers through `tracing`, and to peers that speak something else.

mod common;

use common::{
    echo,
    events::{EVENTS, listen, said_of},
    serve, serve_with, unary, within,
};
use farcall::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tracing::Level;

/// Says something to a server; what it answers up to the end, and who it was that said it.
async fn say(server: &common::Running, words: &[u8]) -> (Vec<u8>, String) {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let peer = socket.local_addr().unwrap().to_string();
    socket.write_all(words).await.unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    (answer, peer)
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn http_1_is_answered_in_http_1() {
    listen();
    within(async {
        let server = serve(echo).await;
        let (answer, peer) = say(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("gRPC"), "{answer}");
        let [(level, target, fields)] = &said_of(&peer).await[..] else { panic!("one event") };
        assert_eq!((*level, target.as_str()), (Level::INFO, "farcall::server"));
        assert!(fields.contains("not_http2") && fields.contains("HTTP/1"), "{fields}");
        assert_eq!(unary(&server.channel, "x").await.unwrap(), "x");
    })
    .await;
}

#[tokio::test]
async fn a_broken_protocol_and_a_bound_are_spoken_of_once_each() {
    listen();
    within(async {
        let server = serve(echo).await;
        // DATA on stream 0.
        let broken = [PREFACE, b"\0\0\0\0\0\0\0\0\0"].concat();
        let (_, peer) = say(&server, &broken).await;
        let [(level, _, fields)] = &said_of(&peer).await[..] else { panic!("one event") };
        assert_eq!(*level, Level::WARN);
        assert!(fields.contains("protocol") && fields.contains("count=1"), "{fields}");
        // PINGs without end strike a bound, which has a line of its own.
        let pings = b"\0\0\x08\x06\0\0\0\0\0........".repeat(20);
        let (_, second) = say(&server, &[PREFACE, &pings].concat()).await;
        let events = said_of(&second).await;
        assert!(
            events.iter().all(|(level, _, fields)| *level == Level::WARN && fields.contains("bound")),
            "{events:?}"
        );
        for _ in 0..5 {
            let (_, peer) = say(&server, &broken).await;
            assert!(!EVENTS.lock().unwrap().iter().any(|(_, _, fields)| fields.contains(&peer)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_with_as_many_connections_as_it_may_have_says_so() {
    listen();
    within(async {
        let server = serve_with(Server::builder().max_connections(Some(1)), "127.0.0.1:0", echo).await;
        let mut first = TcpStream::connect(server.address).await.unwrap();
        first.write_all(PREFACE).await.unwrap();
        first.read_exact(&mut [0; 9]).await.unwrap();
        let mut second = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(second.read(&mut [0; 9]).await.unwrap(), 0, "it is closed without a word");
        let events = said_of("there are 1 connections").await;
        assert_eq!((events[0].0, events[0].1.as_str()), (Level::WARN, "farcall::server"));
    })
    .await;
}
