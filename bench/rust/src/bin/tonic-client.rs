//! The works on tonic.

use bytes::Bytes;
use farcall_bench::{
    Arguments, Messages, block_on, message_of, number,
    tonic_bytes::BytesCodec,
    works::{self, Client, Responses},
};
use futures_core::Stream;
use http::uri::PathAndQuery;
use tonic::{
    Request, Streaming,
    client::Grpc,
    transport::{Channel, Endpoint},
};

#[derive(Clone)]
struct Tonic(Channel);

struct Incoming(Streaming<Bytes>);

impl Responses for Incoming {
    async fn next(&mut self) -> Option<Bytes> {
        self.0.message().await.expect("the stream goes on")
    }
}

impl Tonic {
    /// As generated clients do it.
    async fn ready(&self) -> Grpc<Channel> {
        let mut client = Grpc::new(self.0.clone());
        client.ready().await.expect("the channel is ready");
        client
    }
}

impl Client for Tonic {
    type Responses = Incoming;

    async fn connect(address: &str) -> Tonic {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("the address is one");
        Tonic(endpoint.tcp_nodelay(true).connect().await.expect("the server answers"))
    }

    async fn echo(&self, message: Bytes) -> Bytes {
        let path = PathAndQuery::from_static("/bench/Echo");
        let response = self.ready().await.unary(Request::new(message), path, BytesCodec).await;
        response.expect("the call succeeds").into_inner()
    }

    async fn source(&self, count: u64) -> Incoming {
        let (request, path) = (Request::new(message_of(count)), PathAndQuery::from_static("/bench/Source"));
        let response = self.ready().await.server_streaming(request, path, BytesCodec).await;
        Incoming(response.expect("the call begins").into_inner())
    }

    async fn sink(&self, requests: Messages) -> u64 {
        let path = PathAndQuery::from_static("/bench/Sink");
        let response = self.ready().await.client_streaming(Request::new(requests), path, BytesCodec).await;
        number(&response.expect("the call succeeds").into_inner())
    }

    async fn echo_all<S: Stream<Item = Bytes> + Send + 'static>(&self, requests: S) -> Incoming {
        let path = PathAndQuery::from_static("/bench/EchoAll");
        let response = self.ready().await.streaming(Request::new(requests), path, BytesCodec).await;
        Incoming(response.expect("the call begins").into_inner())
    }
}

fn main() {
    let arguments = Arguments::from_env();
    block_on(arguments.threads, works::run::<Tonic>(arguments));
}
