//! A channel finds its server again.

use std::time::Duration;

use crate::common::{echo, serve, serve_with, unary, within};
use bytes::Bytes;
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
async fn a_server_whose_connections_are_short_is_no_reason_to_back_off() {
    within(async {
        let server = Server::builder().max_connection_age(Duration::from_millis(30));
        let server = serve_with(server, "127.0.0.1:0", echo).await;
        for _ in 0..100 {
            assert_eq!(unary(&server.channel, "served").await.unwrap(), "served");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
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

/// Run times of their own, which the test can shut down.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_channel_outlives_the_run_time_it_was_connected_in() {
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = servers.block_on(serve(echo));
    let channel = impatient(server.address);
    for _ in 0..3 {
        assert_eq!(runtime().block_on(within(unary(&channel, "hello"))).unwrap(), "hello");
    }
}

#[test]
fn a_channel_outlives_the_run_time_it_was_connecting_in() {
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    let channel = impatient(address);
    // The run time ends while a name is resolved, a connection made, or a failure waited out.
    for polls in 0..5 {
        runtime().block_on(async {
            let call = tokio::spawn({
                let channel = channel.clone();
                async move { unary(&channel, "never").await }
            });
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
            call.abort();
        });
    }
    drop(nobody);
    runtime().block_on(within(async { while unary(&channel, "").await.is_ok() {} }));
    let server = servers.block_on(serve_with(Server::builder(), &address.to_string(), echo));
    assert_eq!(runtime().block_on(within(patient_call(&channel))).unwrap(), "patient");
    drop(server);
}
