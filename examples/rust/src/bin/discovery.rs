//! Balancing, discovery and retries, in one program: three servers, a resolver that knows where they are, and a client.
//!
//! `discovery`

use std::{collections::BTreeMap, io::Write, net::SocketAddr};

use farcall::{
    Channel, Request, Response, Server, Status,
    resolver::{Endpoint, Found, Query, Resolver},
};
use farcall_examples::helloworld::{
    HelloReply, HelloRequest,
    greeter_client::GreeterClient,
    greeter_server::{Greeter, GreeterServer},
};
use tokio::sync::watch;

/// How calls are to be made, as the service's owner has it: in turn to all servers, and failed ones again.
const SERVICE_CONFIG: &str = r#"{
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{
        "name": [{"service": "helloworld.Greeter", "method": "SayHelloAgain"}],
        "timeout": "10s",
        "retryPolicy": {
            "maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "1s", "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"]
        }
    }]
}"#;

/// A server that says who it is.
struct Named(&'static str);

impl Greeter for Named {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply { message: self.0.to_owned(), ..Default::default() }))
    }

    /// Fails the first attempt of each call.
    async fn say_hello_again(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let before = request.metadata().first("grpc-previous-rpc-attempts");
        let before = before.ok_or_else(|| Status::unavailable("not yet"))?;
        let message = format!("after {} failed attempt", String::from_utf8_lossy(before));
        Ok(Response::new(HelloReply { message, ..Default::default() }))
    }
}

/// Serves on a free port.
async fn start(name: &'static str) -> Result<SocketAddr, Box<dyn std::error::Error>> {
    let bound = Server::builder().add_service(GreeterServer::new(Named(name))).bind("127.0.0.1:0").await?;
    let address = bound.local_addr().ok_or("no port")?;
    tokio::spawn(bound.serve());
    Ok(address)
}

/// Knows which servers there are at any time; a real one would watch a registry of services.
#[derive(Debug)]
struct Servers(watch::Receiver<Vec<SocketAddr>>);

impl Resolver for Servers {
    async fn resolve(&self, query: Query) -> Result<Found, String> {
        let mut servers = self.0.clone();
        loop {
            let endpoints: Vec<Endpoint> = servers.borrow_and_update().iter().copied().map(Endpoint::at).collect();
            query.update(Found::new(endpoints).with_service_config(query.service_config(SERVICE_CONFIG)));
            servers.changed().await.map_err(|_| "nobody knows any more".to_owned())?;
        }
    }
}

/// Calls until so many servers in a row were the only ones to answer, each as often as the others; who they were.
async fn settle(client: &GreeterClient, count: usize) -> Result<String, Status> {
    loop {
        let mut answers = BTreeMap::new();
        for _ in 0..count * 10 {
            let response = client.say_hello(HelloRequest::default()).await?;
            *answers.entry(response.into_inner().message).or_insert(0) += 1;
        }
        if answers.len() == count && answers.values().all(|calls| *calls == 10) {
            return Ok(answers.into_keys().collect::<Vec<_>>().join(", "));
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all = vec![start("a").await?, start("b").await?, start("c").await?];
    let (tell, servers) = watch::channel(all.clone());
    let channel = Channel::builder("servers:///greeter").resolver("servers", Servers(servers)).connect().await?;
    let client = GreeterClient::new(channel);
    println!("in turn to {}", settle(&client, 3).await?);

    // The third is taken out of service. Calls on their way to it finish.
    tell.send_replace(all[..2].to_vec());
    println!("in turn to {}", settle(&client, 2).await?);

    let response = client.say_hello_again(HelloRequest::default()).await?;
    println!("answered {}", response.get_ref().message);
    std::io::stdout().flush()?;
    Ok(())
}
