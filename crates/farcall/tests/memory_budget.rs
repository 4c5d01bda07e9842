//! One budget for the messages of all connections of a server: calls wait for each other, and all are served.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use crate::common::{echo, serve_with, unary, within};
use bytes::Bytes;
use farcall::{Channel, Compression, Request, Response, Server, Status, codec};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const MIB: usize = 1 << 20;
const BUDGET: usize = 4 * MIB;

#[tokio::test]
async fn handlers_that_keep_large_messages_begin_as_others_end() {
    // Compression is slow in a build that is not optimised.
    const LEN: usize = 200_000;
    const FEW: usize = 5 * LEN;
    for compression in [Compression::Gzip, Compression::Identity] {
        let began = Instant::now();
        within(async {
            let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let counts = (Arc::clone(&held), Arc::clone(&most));
            let server = serve_with(Server::builder().memory_budget(FEW), "127.0.0.1:0", move |call| {
                let (held, most) = counts.clone();
                call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                    let len = request.get_ref().len();
                    most.fetch_max(held.fetch_add(len, SeqCst) + len, SeqCst);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    held.fetch_sub(len, SeqCst);
                    Ok::<_, Status>(Response::new(Bytes::from(len.to_string())))
                });
            })
            .await;
            let mut calls = Vec::new();
            for _ in 0..3 {
                let channel = Channel::builder(format!("http://{}", server.address)).compression(compression);
                let channel = channel.connect_lazy().unwrap();
                for _ in 0..8 {
                    let channel = channel.clone();
                    calls.push(tokio::spawn(async move { unary(&channel, vec![0; LEN]).await }));
                }
            }
            for call in calls {
                assert_eq!(call.await.unwrap().unwrap(), LEN.to_string());
            }
            // One more may always come, and another after each tenth of a second, in which a slow machine ends no handler.
            let (most, turns) = (most.load(SeqCst), 2 + began.elapsed().as_millis() as usize / 100);
            assert!(most <= FEW + turns * LEN, "{most} bytes were kept at once, {compression:?}, {turns} turns");
        })
        .await;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A client whose calls all begin a message of 1 MiB, as far as its window goes, and do not end it; and how much more it may
/// send by now, on all of them together.
async fn hoard(address: std::net::SocketAddr, calls: u32) -> (TcpStream, usize) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let path = b"/test.Service/Method";
    let mut block = [&[0x83, 0x86, 0x04, path.len() as u8][..], path].concat();
    for (name, value) in
        [(&b":authority"[..], &b"test"[..]), (b"content-type", b"application/grpc"), (b"te", b"trailers")]
    {
        block.extend([&[0, name.len() as u8], name, &[value.len() as u8], value].concat());
    }
    let mut bytes = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[]), &frame(4, 1, 0, &[])].concat();
    let begun = [&[0][..], &(MIB as u32).to_be_bytes(), &[7; 10_000]].concat();
    for stream in (0..calls).map(|call| 2 * call + 1) {
        bytes.extend(frame(1, 4, stream, &block));
        bytes.extend(frame(0, 0, stream, &begun));
    }
    bytes.extend(frame(6, 0, 0, b"all read"));
    socket.write_all(&bytes).await.unwrap();
    let mut more = 0;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        socket.read_exact(&mut payload).await.unwrap();
        match head[3] {
            8 if head[5..] != [0; 4] => more += u32::from_be_bytes(payload[..4].try_into().unwrap()) as usize,
            6 if payload == b"all read" => return (socket, more),
            _ => {}
        }
    }
}

#[tokio::test]
async fn unfinished_messages_of_many_connections_hold_up_no_small_call() {
    within(async {
        let server = serve_with(Server::builder().memory_budget(BUDGET), "127.0.0.1:0", echo).await;
        let (mut sockets, mut promised) = (Vec::new(), 0);
        for _ in 0..5 {
            let (socket, more) = hoard(server.address, 20).await;
            sockets.push(socket);
            promised += more;
        }
        assert!(promised <= BUDGET + 2 * MIB, "{promised} bytes are let in");
        for len in [0, 1_000, 100_000] {
            assert_eq!(unary(&server.channel, vec![1; len]).await.unwrap().len(), len);
        }
        drop(sockets);
        assert_eq!(unary(&server.channel, vec![1; 2 * MIB]).await.unwrap().len(), 2 * MIB);
    })
    .await;
}
