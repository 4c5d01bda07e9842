//! Load balancing, idleness and service configs, over real sockets.

use std::{collections::BTreeMap, time::Duration};

use crate::common::{Running, serve, serve_with, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Connectivity, Endpoint, Response, Server, Status, codec, server::Call};

/// Answers each request with this name.
fn named(name: &'static str) -> impl Fn(Call) + Send + Sync + 'static {
    move |call: Call| {
        call.unary(codec::Bytes, move |_: farcall::Request<Bytes>| async move {
            Ok::<_, Status>(Response::new(Bytes::from_static(name.as_bytes())))
        });
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];

async fn three() -> Vec<Running> {
    let mut servers = Vec::new();
    for name in NAMES {
        servers.push(serve(named(name)).await);
    }
    servers
}

/// A channel to all of them, which is quick to try again.
fn to(servers: &[Running]) -> Endpoint {
    let addresses: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    let delay = Duration::from_millis(10);
    Channel::builder(format!("ipv4:{}", addresses.join(","))).backoff(delay, delay)
}

/// Calls until so many servers have answered.
async fn call_until_seen(channel: &Channel, count: usize) {
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < count {
        seen.extend(unary(channel, "").await);
    }
}

/// Who answers so many calls.
async fn spread(channel: &Channel, calls: usize) -> BTreeMap<Bytes, usize> {
    let mut spread = BTreeMap::new();
    for _ in 0..calls {
        *spread.entry(unary(channel, "").await.unwrap()).or_insert(0) += 1;
    }
    spread
}

#[tokio::test]
async fn pick_first_uses_one_of_three_and_round_robin_each_in_turn() {
    within(async {
        let servers = three().await;
        let channel = to(&servers).connect().await.unwrap();
        assert_eq!(spread(&channel, 30).await, BTreeMap::from([("a".into(), 30)]));
        let config = r#"{"loadBalancingConfig":[{"unknown":{}},{"round_robin":{}}]}"#;
        let by_config = to(&servers).service_config(config).unwrap();
        let by_name = to(&servers).load_balancing_policy("round_robin").unwrap();
        for endpoint in [by_config, by_name] {
            let channel = endpoint.connect().await.unwrap();
            call_until_seen(&channel, 3).await;
            assert_eq!(spread(&channel, 300).await.into_values().collect::<Vec<_>>(), [100, 100, 100]);
        }
    })
    .await;
}

#[test]
fn policies_and_configs_that_cannot_be_used_are_errors_that_name_them() {
    let endpoint = || Channel::builder("localhost:1");
    let error = endpoint().load_balancing_policy("fancy").unwrap_err();
    assert_eq!(error.to_string(), "unknown LB policy \"fancy\"");
    let error = endpoint().service_config(r#"{"loadBalancingConfig":[{"fancy":{}}]}"#).unwrap_err();
    assert!(error.to_string().contains("No known policies in list: fancy"), "{error}");
}

#[tokio::test]
async fn a_first_address_that_is_silent_holds_nothing_up() {
    within(async {
        // It accepts, and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = serve(named("b")).await;
        let target = format!("ipv4:{},{}", silent.local_addr().unwrap(), server.address);
        let channel = Channel::new(target).unwrap();
        assert_eq!(unary(&channel, "").await.unwrap(), "b");
    })
    .await;
}

#[tokio::test]
async fn a_dead_backend_is_left_out_and_used_again_when_it_is_back() {
    within(async {
        let mut servers = three().await;
        let channel = to(&servers).load_balancing_policy("round_robin").unwrap().connect().await.unwrap();
        call_until_seen(&channel, 3).await;
        let dead = servers.remove(1);
        let address = dead.address.to_string();
        dead.abort().await;
        // A call may have been on its way there.
        let mut in_a_row = 0;
        while in_a_row < 20 {
            match unary(&channel, "").await {
                Ok(name) => in_a_row = if name == "b" { 0 } else { in_a_row + 1 },
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "{status}");
                    in_a_row = 0;
                }
            }
        }
        assert_eq!(channel.state(), Connectivity::Ready);
        assert_eq!(spread(&channel, 20).await.into_values().collect::<Vec<_>>(), [10, 10]);
        let _back = serve_with(Server::builder(), &address, named("b")).await;
        call_until_seen(&channel, 3).await;
    })
    .await;
}

#[tokio::test]
async fn when_all_backends_are_dead_calls_fail_in_the_words_of_grpcio() {
    within(async {
        let servers = three().await;
        let channel = to(&servers).load_balancing_policy("round_robin").unwrap().connect_lazy().unwrap();
        for server in servers {
            server.abort().await;
        }
        let status = unary(&channel, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        let words = "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:";
        assert!(status.message().starts_with(words), "{status}");
        assert!(status.message().ends_with(": Failed to connect to remote host: Connection refused"), "{status}");
    })
    .await;
}

#[tokio::test]
async fn a_channel_that_is_not_used_lets_go_and_connects_again_with_the_next_call() {
    within(async {
        let server = serve(named("a")).await;
        let channel = to(&[server]).idle_timeout(Some(Duration::from_millis(20))).connect().await.unwrap();
        for _ in 0..3 {
            unary(&channel, "").await.unwrap();
            while channel.state() != Connectivity::Idle {
                channel.state_changed(channel.state()).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_in_flight_keeps_a_channel_from_idleness() {
    within(async {
        let server = serve(|call: Call| {
            call.unary(codec::Bytes, |_: farcall::Request<Bytes>| async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok::<_, Status>(Response::new(Bytes::new()))
            });
        })
        .await;
        let channel = to(&[server]).idle_timeout(Some(Duration::from_millis(10))).connect().await.unwrap();
        unary(&channel, "").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_service_config_sets_timeouts_and_who_waits_for_ready() {
    within(async {
        let server = serve(|call: Call| {
            call.unary(codec::Bytes, |_: farcall::Request<Bytes>| async {
                std::future::pending::<Result<Response<Bytes>, Status>>().await
            });
        })
        .await;
        let config = r#"{"methodConfig":[{"name":[{"service":"test.Service"}],"timeout":"0.05s"}]}"#;
        let channel = to(&[server]).service_config(config).unwrap().connect_lazy().unwrap();
        assert_eq!(unary(&channel, "").await.unwrap_err().code(), Code::DeadlineExceeded);

        let server = serve(named("a")).await;
        let address = server.address.to_string();
        let config = r#"{"methodConfig":[{"name":[{}],"waitForReady":true}]}"#;
        let channel = to(std::slice::from_ref(&server)).service_config(config).unwrap().connect_lazy().unwrap();
        server.abort().await;
        let call = tokio::spawn({
            let channel = channel.clone();
            async move { unary(&channel, "").await }
        });
        while channel.state() != Connectivity::TransientFailure {
            channel.state_changed(channel.state()).await;
        }
        let mut impatient = farcall::Request::new(Bytes::new());
        impatient.set_wait_for_ready(false);
        let refused = channel.unary::<_, _, Bytes>("/test.Service/Method", codec::Bytes, impatient).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable, "what a call says itself goes before");
        let _server = serve_with(Server::builder(), &address, named("a")).await;
        assert_eq!(call.await.unwrap().unwrap(), "a");
    })
    .await;
}

/// A proxy that connects wherever it is asked to, once, and what it was asked.
async fn proxy() -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(near.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let to = request.split(' ').nth(1).unwrap().to_owned();
        let mut far = tokio::net::TcpStream::connect(&to).await.unwrap();
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        request
    });
    (address, asked)
}

#[tokio::test]
async fn a_channel_goes_through_the_proxy_that_it_is_given() {
    within(async {
        let server = serve(named("a")).await;
        let (address, asked) = proxy().await;
        let endpoint = to(std::slice::from_ref(&server)).proxy(format!("http://me:secret@{address}"));
        let channel = endpoint.connect_lazy().unwrap();
        assert_eq!(unary(&channel, "").await.unwrap(), "a");
        let request = asked.await.unwrap();
        assert!(request.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.address)), "{request}");
        assert!(request.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{request}");
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_fails_calls_and_says_why() {
    within(async {
        let channel = Channel::builder("localhost:1").proxy("socks5://localhost:2").connect_lazy().unwrap();
        let status = unary(&channel, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("its scheme is \"socks5\" and not http"), "{status}");
        let other = serve(named("a")).await;
        let channel =
            Channel::builder("localhost:1").proxy(format!("http://{}", other.address)).connect_lazy().unwrap();
        let status = unary(&channel, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("the proxy"), "{status}");
    })
    .await;
}
