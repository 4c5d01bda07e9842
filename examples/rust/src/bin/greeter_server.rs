//! The Greeter server.
//!
//! `greeter-server [ADDRESS]` (default: localhost:50051; port 0 picks a free one)

use farcall::{Request, Response, Server, Status};
use farcall_examples::helloworld::{
    HelloReply, HelloRequest,
    greeter_server::{Greeter, GreeterServer},
};

struct MyGreeter;

impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = format!("Hello, {}!", request.get_ref().name);
        Ok(Response::new(HelloReply { message, ..Default::default() }))
    }

    async fn say_hello_again(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = format!("Hello again, {}!", request.get_ref().name);
        Ok(Response::new(HelloReply { message, ..Default::default() }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().add_service(GreeterServer::new(MyGreeter));
    farcall_examples::serve(server, farcall_examples::address("localhost:50051")).await
}
