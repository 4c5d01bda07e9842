//! Calls the echo server with Farcall.

use bytes::Bytes;
use farcall::{Channel, Request, codec};
use farcall_bench::{Arguments, measure};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::from_env();
    let channel = Channel::builder(arguments.address.clone()).connect().await.expect("the server answers");
    let call = move |path: &'static str, message: Bytes| {
        let channel = channel.clone();
        async move {
            let response = channel.unary(path, codec::Bytes, Request::new(message)).await;
            response.expect("the call succeeds").into_inner()
        }
    };
    tokio::task::LocalSet::new().run_until(measure(arguments, call)).await;
}
