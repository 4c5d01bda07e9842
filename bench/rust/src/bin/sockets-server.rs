//! The floor: echoes bytes over bare sockets. `sockets-server ADDRESS blocking|tokio`.

use std::io::{Read, Write};

use farcall_bench::block_on;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().expect("arguments: ADDRESS blocking|tokio");
    let (address, kind) = (next(), next());
    match kind.as_str() {
        "blocking" => blocking(&address),
        "tokio" => block_on(1, on_tokio(address)),
        _ => panic!("there is no kind {kind}"),
    }
}

fn blocking(address: &str) {
    let listener = std::net::TcpListener::bind(address).expect("the address can be bound");
    println!("LISTENING {}", listener.local_addr().expect("a bound socket has an address").port());
    let (mut stream, _) = listener.accept().expect("the client comes");
    stream.set_nodelay(true).expect("the socket lives");
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        stream.write_all(&buffer[..len]).expect("the client reads");
    }
}

async fn on_tokio(address: String) {
    let listener = tokio::net::TcpListener::bind(address).await.expect("the address can be bound");
    println!("LISTENING {}", listener.local_addr().expect("a bound socket has an address").port());
    let (mut stream, _) = listener.accept().await.expect("the client comes");
    stream.set_nodelay(true).expect("the socket lives");
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        stream.write_all(&buffer[..len]).await.expect("the client reads");
    }
}
