//! The echo server on tonic.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use farcall_bench::tonic_bytes::BytesCodec;
use farcall_bench::usage;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tower_service::Service;

#[derive(Clone)]
struct Bench;

impl NamedService for Bench {
    const NAME: &'static str = "bench";
}

#[derive(Clone, Copy)]
enum Method {
    Echo,
    Usage,
}

impl UnaryService<Bytes> for Method {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(match self {
            Method::Echo => request.into_inner(),
            Method::Usage => usage(),
        })))
    }
}

impl Service<http::Request<Body>> for Bench {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = if request.uri().path() == "/bench/Echo" { Method::Echo } else { Method::Usage };
        Box::pin(async move { Ok(Grpc::new(BytesCodec).unary(method, request).await) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).expect("an argument: ADDRESS");
    let listener = tokio::net::TcpListener::bind(address).await.expect("the address can be bound");
    println!("LISTENING {}", listener.local_addr().expect("a bound socket has an address").port());
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(Bench)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .expect("the server serves");
}
