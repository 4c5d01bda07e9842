//! What `h2spec` tries: the Rust face's server, with what the tests presuppose of its settings. It has no service, so a
//! gRPC request is answered UNIMPLEMENTED, and any other as plain HTTP.

use farcall::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("an argument: ADDRESS")?;
    // A test fills a header block up to the largest frame, and one exceeds the limit of streams.
    let server = Server::builder().max_frame_size(16_384).max_concurrent_streams(100).bind(address).await?;
    println!("LISTENING {}", server.local_addr().ok_or("the address has no port")?.port());
    server.serve().await;
    Ok(())
}
