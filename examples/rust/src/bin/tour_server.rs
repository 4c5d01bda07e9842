//! A Greeter that shows metadata, errors, deadlines and cancellation.
//!
//! What it does depends on the name it is asked to greet:
//!
//! * anything else: a greeting, with metadata before and after it;
//! * "nobody": an error status with trailing metadata;
//! * "slow": waits for ever, until the deadline passes or the client cancels.
//!
//! `tour-server [ADDRESS]` (default: localhost:50053; port 0 picks a free one)

use std::time::Instant;

use farcall::{Request, Response, Server, Status};
use farcall_examples::helloworld::{
    HelloReply, HelloRequest,
    greeter_server::{Greeter, GreeterServer},
};

struct Tour;

/// A handler's future is dropped when its call ends early, and with it what the handler holds.
struct TellsWhenDropped;

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        println!("the slow call ended");
    }
}

impl Greeter for Tour {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        match request.get_ref().name.as_str() {
            "nobody" => {
                let mut status = Status::not_found("there is nobody of that name");
                append(status.metadata_mut(), "reason", b"no name")?;
                Err(status)
            }
            "slow" => {
                let _ended = TellsWhenDropped;
                let left = request.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
                match left {
                    Some(left) => println!("waiting, with {} ms or less to go", left.as_millis()),
                    None => println!("waiting, as long as the client does"),
                }
                std::future::pending().await
            }
            name => {
                let mut response =
                    Response::new(HelloReply { message: format!("Hello, {name}!"), ..Default::default() });
                append(response.metadata_mut(), "seen-by", b"tour_server")?;
                let from = request.metadata().first("from").unwrap_or(b"a stranger");
                append(response.trailers_mut(), "answered-to", from)?;
                let mut digest = request.metadata().first("token-bin").unwrap_or_default().to_vec();
                digest.reverse();
                append(response.trailers_mut(), "digest-bin", &digest)?;
                Ok(response)
            }
        }
    }

    async fn say_hello_again(&self, _request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Err(Status::unimplemented("the tour greets once"))
    }
}

fn append(metadata: &mut farcall::Metadata, key: &str, value: &[u8]) -> Result<(), Status> {
    metadata.append(key, value).map_err(|error| Status::internal(error.to_string()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().add_service(GreeterServer::new(Tour));
    farcall_examples::serve(server, farcall_examples::address("localhost:50053")).await
}
