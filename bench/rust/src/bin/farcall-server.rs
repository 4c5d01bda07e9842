//! The echo server on Farcall.

use bytes::Bytes;
use farcall::{Request, Response, Server, Status, codec, server};
use farcall_bench::usage;

struct Bench;

impl server::Service for Bench {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn call(&self, call: server::Call) {
        match call.method() {
            "Echo" => call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                Ok::<_, Status>(Response::new(request.into_inner()))
            }),
            "Usage" => call.unary(codec::Bytes, |_: Request<Bytes>| async { Ok::<_, Status>(Response::new(usage())) }),
            _ => call.unimplemented(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).expect("an argument: ADDRESS");
    let server = Server::builder().add_service(Bench).bind(address).await.expect("the address can be bound");
    println!("LISTENING {}", server.local_addr().expect("a bound socket has an address").port());
    server.serve().await;
}
