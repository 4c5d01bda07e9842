//! The server of the works on tonic.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use farcall_bench::{Responses, block_on, message_of, server_arguments, tonic_bytes::BytesCodec};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    server::{ClientStreamingService, Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService},
    transport::server::TcpIncoming,
};
use tower_service::Service;

#[derive(Clone)]
struct Bench;

impl NamedService for Bench {
    const NAME: &'static str = "bench";
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct Echo;

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

struct Source;

impl ServerStreamingService<Bytes> for Source {
    type Response = Bytes;
    type ResponseStream = Responses<Status>;
    type Future = Ready<Result<Response<Responses<Status>>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(Responses::asked_for(request.get_ref()))))
    }
}

struct Sink;

impl ClientStreamingService<Bytes> for Sink {
    type Response = Bytes;
    type Future = BoxFuture<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async {
            let mut messages = request.into_inner();
            let mut count = 0;
            while messages.message().await?.is_some() {
                count += 1;
            }
            Ok(Response::new(message_of(count)))
        })
    }
}

struct EchoAll;

impl StreamingService<Bytes> for EchoAll {
    type Response = Bytes;
    type ResponseStream = Streaming<Bytes>;
    type Future = Ready<Result<Response<Streaming<Bytes>>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

impl Service<http::Request<Body>> for Bench {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // Boxed one by one, as generated servers do it.
        match request.uri().path() {
            "/bench/Echo" => Box::pin(async { Ok(Grpc::new(BytesCodec).unary(Echo, request).await) }),
            "/bench/Source" => Box::pin(async { Ok(Grpc::new(BytesCodec).server_streaming(Source, request).await) }),
            "/bench/Sink" => Box::pin(async { Ok(Grpc::new(BytesCodec).client_streaming(Sink, request).await) }),
            _ => Box::pin(async { Ok(Grpc::new(BytesCodec).streaming(EchoAll, request).await) }),
        }
    }
}

fn main() {
    let (address, threads) = server_arguments();
    block_on(threads, async {
        let listener = tokio::net::TcpListener::bind(address).await.expect("the address can be bound");
        println!("LISTENING {}", listener.local_addr().expect("a bound socket has an address").port());
        // The server's own setting holds for addresses only; without it here every larger answer waits for Nagle.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        tonic::transport::Server::builder()
            .add_service(Bench)
            .serve_with_incoming(incoming)
            .await
            .expect("the server serves");
    });
}
