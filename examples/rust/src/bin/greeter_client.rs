//! The Greeter client.
//!
//! `greeter-client [ADDRESS]` (default: localhost:50051)

use farcall_examples::helloworld::{HelloRequest, greeter_client::GreeterClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = GreeterClient::connect(farcall_examples::address("localhost:50051")).await?;
    let you = HelloRequest { name: "you".to_owned(), ..Default::default() };
    let response = client.say_hello(you.clone()).await?;
    println!("Greeter client received: {}", response.get_ref().message);
    let response = client.say_hello_again(you).await?;
    println!("Greeter client received: {}", response.get_ref().message);
    Ok(())
}
