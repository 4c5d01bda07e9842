//! The server of the works on Farcall.

use bytes::Bytes;
use farcall::{Request, Response, Server, Status, Streaming, codec, server};
use farcall_bench::{Responses, block_on, message_of, server_arguments};

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
            "Source" => call.server_streaming(codec::Bytes, |request: Request<Bytes>| async move {
                Ok(Response::new(Responses::<Status>::asked_for(request.get_ref())))
            }),
            "Sink" => call.client_streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async move {
                let mut messages = request.into_inner();
                let mut count = 0;
                while messages.message().await?.is_some() {
                    count += 1;
                }
                Ok(Response::new(message_of(count)))
            }),
            "EchoAll" => call.streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async move {
                Ok(Response::new(request.into_inner()))
            }),
            _ => call.unimplemented(),
        }
    }
}

fn main() {
    let (address, threads) = server_arguments();
    block_on(threads, async {
        let server = Server::builder().add_service(Bench).bind(address).await.expect("the address can be bound");
        println!("LISTENING {}", server.local_addr().expect("a bound socket has an address").port());
        server.serve().await;
    });
}
