//! What `h2specd` tries: a client of the Rust face. It makes one call to the URL it is given, and stays until the
//! connection is over, for many tests begin where the call ends.

use std::time::Duration;

use farcall::{Channel, Connectivity, Request, codec::Prost};
use farcall_interop::Reply;

/// `h2specd` gives up at 3 s.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// A call with a stream of requests, which is not made again on another connection: `h2specd` counts every one.
async fn call_and_stay(channel: Channel) {
    let request = Request::new(tokio_stream::once(farcall_interop::Request::default()));
    match channel.client_streaming::<_, _, Reply>("/farcall.interop.Interop/ClientStream", Prost, request).await {
        Ok(_) => println!("OK"),
        Err(status) => println!("{status}"),
    }
    if channel.state() == Connectivity::Ready {
        channel.state_changed(Connectivity::Ready).await;
    }
}

/// One thread, so that what a connection has to say at its end is written before the end is told.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("an argument: URL")?;
    // By default a client takes larger frames than those that some tests send as too large.
    let channel = Channel::builder(url).max_frame_size(16_384).connect_lazy()?;
    if tokio::time::timeout(PATIENCE, call_and_stay(channel)).await.is_err() {
        println!("the connection is not over");
    }
    Ok(())
}
