//! The floor: echoes so many bytes at a time over bare sockets. `sockets-server ADDRESS blocking|tokio BYTES`.

use std::io::{Read, Write};

use farcall_bench::block_on;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().expect("arguments: ADDRESS blocking|tokio BYTES");
    let (address, kind) = (next(), next());
    let buffer = vec![0; next().parse().expect("BYTES is a number")];
    match kind.as_str() {
        "blocking" => blocking(&address, buffer),
        "tokio" => block_on(1, on_tokio(address, buffer)),
        _ => panic!("there is no kind {kind}"),
    }
}

fn blocking(address: &str, mut buffer: Vec<u8>) {
    let listener = std::net::TcpListener::bind(address).expect("the address can be bound");
    println!("LISTENING {}", listener.local_addr().expect("a bound socket has an address").port());
    let (mut stream, _) = listener.accept().expect("the client comes");
    stream.set_nodelay(true).expect("the socket lives");
    while stream.read_exact(&mut buffer).is_ok() {
        stream.write_all(&buffer).expect("the client reads");
    }
}

async fn on_tokio(address: String, mut buffer: Vec<u8>) {
    let listener = tokio::net::TcpListener::bind(address).await.expect("the address can be bound");
    println!("LISTENING {}", listener.local_addr().expect("a bound socket has an address").port());
    let (mut stream, _) = listener.accept().await.expect("the client comes");
    stream.set_nodelay(true).expect("the socket lives");
    while stream.read_exact(&mut buffer).await.is_ok() {
        stream.write_all(&buffer).await.expect("the client reads");
    }
}
