//! Metadata both ways, an error status, a deadline and a cancellation, each in a few lines.
//!
//! `tour-client [ADDRESS]` (default: localhost:50053)

use std::{error::Error, time::Duration};

use farcall::Request;
use farcall_examples::helloworld::{HelloRequest, greeter_client::GreeterClient};

fn named(name: &str) -> Request<HelloRequest> {
    Request::new(HelloRequest { name: name.to_owned(), ..Default::default() })
}

async fn metadata(client: &GreeterClient) -> Result<(), Box<dyn Error>> {
    let mut request = named("you");
    request.metadata_mut().append("from", "tour_client")?;
    request.metadata_mut().append("token-bin", [0, 1, 2, 255])?;
    let response = client.say_hello(request).await?;
    println!("{}", response.get_ref().message);
    for (key, value) in response.metadata().iter() {
        println!("before the answer: {key} = {}", value.escape_ascii());
    }
    for (key, value) in response.trailers().iter() {
        println!("after the answer: {key} = {}", value.escape_ascii());
    }
    Ok(())
}

async fn error_status(client: &GreeterClient) {
    if let Err(status) = client.say_hello(named("nobody")).await {
        println!("{}: {}", status.code(), status.message());
        println!("reason: {}", status.metadata().first("reason").unwrap_or_default().escape_ascii());
    }
}

async fn deadline(client: &GreeterClient) {
    let mut request = named("slow");
    request.set_timeout(Duration::from_millis(200));
    if let Err(status) = client.say_hello(request).await {
        println!("{}: {}", status.code(), status.message());
    }
}

/// A call that is dropped is cancelled: here it loses against a timer.
async fn cancellation(client: &GreeterClient) {
    tokio::select! {
        _ = client.say_hello(named("slow")) => println!("it answered after all"),
        () = tokio::time::sleep(Duration::from_millis(200)) => println!("cancelled by dropping the call"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = GreeterClient::connect(farcall_examples::address("localhost:50053")).await?;
    println!("-------------- metadata --------------");
    metadata(&client).await?;
    println!("-------------- error status --------------");
    error_status(&client).await;
    println!("-------------- deadline --------------");
    deadline(&client).await;
    println!("-------------- cancellation --------------");
    cancellation(&client).await;
    Ok(())
}
