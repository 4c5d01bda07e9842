//! A channel finds its server again.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{echo, serve, serve_with, unary, within};
use farcall::{Channel, Code, Connectivity, Request, Response, Server, Status, codec};

/// A channel that does not wait long between its attempts.
fn impatient(address: std::net::SocketAddr) -> Channel {
    let delay = Duration::from_millis(10);
    Channel::builder(format!("http://{address}")).backoff(delay, delay).connect_lazy().unwrap()
}

async fn patient_call(channel: &Channel) -> Result<Bytes, Status> {
    let mut request = Request::new(Bytes::from("patient"));
    request.set_wait_for_ready(true);
    channel.unary("/test.Service/Method", codec::Bytes, request).await.map(Response::into_inner)
}

#[tokio::test]
async fn a_channel_connects_with_its_first_call() {
    within(async {
        let server = serve(echo).await;
        assert_eq!(server.channel.state(), Connectivity::Idle);
        unary(&server.channel, "").await.unwrap();
        assert_eq!(server.channel.state(), Connectivity::Ready);
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_is_made_again_with_the_next_call() {
    within(async {
        let server = serve(echo).await;
        let address = server.address;
        let channel = impatient(address);
        for _ in 0..3 {
            assert_eq!(patient_call(&channel).await.unwrap(), "patient");
        }
        server.abort().await;
        assert_eq!(channel.state_changed(Connectivity::Ready).await, Connectivity::Idle);
        let server = serve_with(Server::builder(), &address.to_string(), echo).await;
        assert_eq!(unary(&channel, "again").await.unwrap(), "again");
        drop(server);
    })
    .await;
}

#[tokio::test]
async fn a_patient_call_waits_for_a_server_that_comes_later() {
    within(async {
        let server = serve(echo).await;
        let address = server.address;
        server.abort().await;
        let channel = impatient(address);
        assert_eq!(unary(&channel, "").await.unwrap_err().code(), Code::Unavailable);
        let call = tokio::spawn({
            let channel = channel.clone();
            async move { patient_call(&channel).await }
        });
        assert_eq!(channel.state(), Connectivity::TransientFailure);
        let _server = serve_with(Server::builder(), &address.to_string(), echo).await;
        assert_eq!(call.await.unwrap().unwrap(), "patient");
        assert_eq!(channel.state(), Connectivity::Ready);
    })
    .await;
}

#[tokio::test]
async fn calls_go_on_through_a_graceful_restart() {
    within(async {
        let mut server = serve(echo).await;
        let address = server.address;
        let channel = impatient(address);
        let caller = tokio::spawn({
            let channel = channel.clone();
            async move {
                for _ in 0..500 {
                    assert_eq!(patient_call(&channel).await.unwrap(), "patient");
                }
            }
        });
        for _ in 0..5 {
            unary(&channel, "").await.ok();
            server.stop();
            server.stopped().await;
            server = serve_with(Server::builder(), &address.to_string(), echo).await;
        }
        caller.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_second_address_is_tried_when_the_first_fails() {
    within(async {
        let server = serve(echo).await;
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let channel = Channel::new(format!("ipv4:{nobody},{}", server.address)).unwrap();
        assert_eq!(unary(&channel, "found").await.unwrap(), "found");
    })
    .await;
}
