//! Calls the echo server with tonic.

use bytes::Bytes;
use farcall_bench::tonic_bytes::BytesCodec;
use farcall_bench::{Arguments, measure};
use http::uri::PathAndQuery;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::Endpoint;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::from_env();
    let endpoint = Endpoint::from_shared(format!("http://{}", arguments.address)).expect("the address is one");
    let channel = endpoint.tcp_nodelay(true).connect().await.expect("the server answers");
    let call = move |path: &'static str, message: Bytes| {
        let mut client = Grpc::new(channel.clone());
        async move {
            client.ready().await.expect("the channel is ready");
            let response = client.unary(Request::new(message), PathAndQuery::from_static(path), BytesCodec).await;
            response.expect("the call succeeds").into_inner()
        }
    };
    tokio::task::LocalSet::new().run_until(measure(arguments, call)).await;
}
