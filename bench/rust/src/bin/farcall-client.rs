//! The works on Farcall.

use bytes::Bytes;
use farcall::{Channel, Request, Streaming, codec};
use farcall_bench::{
    Arguments, Messages, block_on, message_of, number,
    works::{self, Client, Responses},
};
use futures_core::Stream;

#[derive(Clone)]
struct Farcall(Channel);

struct Incoming(Streaming<Bytes>);

impl Responses for Incoming {
    async fn next(&mut self) -> Option<Bytes> {
        self.0.message().await.expect("the stream goes on")
    }
}

impl Client for Farcall {
    type Responses = Incoming;

    async fn connect(address: &str) -> Farcall {
        Farcall(Channel::builder(address).connect().await.expect("the server answers"))
    }

    async fn echo(&self, message: Bytes) -> Bytes {
        let response = self.0.unary("/bench/Echo", codec::Bytes, Request::new(message)).await;
        response.expect("the call succeeds").into_inner()
    }

    async fn source(&self, count: u64) -> Incoming {
        let request = Request::new(message_of(count));
        let response = self.0.server_streaming("/bench/Source", codec::Bytes, request).await;
        Incoming(response.expect("the call begins").into_inner())
    }

    async fn sink(&self, requests: Messages) -> u64 {
        let response = self.0.client_streaming("/bench/Sink", codec::Bytes, Request::new(requests)).await;
        number(&response.expect("the call succeeds").into_inner())
    }

    async fn echo_all<S: Stream<Item = Bytes> + Send + 'static>(&self, requests: S) -> Incoming {
        let response = self.0.streaming("/bench/EchoAll", codec::Bytes, Request::new(requests)).await;
        Incoming(response.expect("the call begins").into_inner())
    }
}

fn main() {
    let arguments = Arguments::from_env();
    block_on(arguments.threads, works::run::<Farcall>(arguments));
}
