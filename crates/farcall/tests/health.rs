//! Servers that say how they are, and channels that mind it (gRFC A17), over real sockets.

use std::{collections::BTreeMap, time::Duration};

use crate::common::{Fed, Running, fed, serve, serve_with, unary, within};
use bytes::Bytes;
use farcall::{
    Channel, Connectivity, Endpoint, Response, Server, Status, codec,
    server::{Call, Service},
};
use tokio::sync::{mpsc, watch};

/// `grpc.health.v1.Health` with this state, which is sent as it is, and tells of each call what was asked.
struct Health {
    state: watch::Receiver<&'static [u8]>,
    asked: mpsc::UnboundedSender<Bytes>,
}

const SERVING: &[u8] = &[8, 1];
const NOT_SERVING: &[u8] = &[8, 2];

impl Service for Health {
    fn name(&self) -> &'static str {
        "grpc.health.v1.Health"
    }

    fn call(&self, call: Call) {
        assert_eq!(call.method(), "Watch");
        let (mut state, asked) = (self.state.clone(), self.asked.clone());
        call.server_streaming(codec::Bytes, move |request: farcall::Request<Bytes>| async move {
            let _ = asked.send(request.into_inner());
            let (sender, responses): (_, Fed<Result<Bytes, Status>>) = fed();
            tokio::spawn(async move {
                loop {
                    let now = *state.borrow_and_update();
                    let gone = sender.send(Ok(Bytes::from_static(now))).await.is_err();
                    if gone || state.changed().await.is_err() {
                        return;
                    }
                }
            });
            Ok(Response::new(responses))
        });
    }
}

/// Servers that answer with their names, each with its health.
struct Servers {
    running: Vec<Running>,
    states: Vec<watch::Sender<&'static [u8]>>,
    asked: mpsc::UnboundedReceiver<Bytes>,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

async fn servers(state: &'static [u8]) -> Servers {
    let (sender, asked) = mpsc::unbounded_channel();
    let mut servers = Servers { running: Vec::new(), states: Vec::new(), asked };
    for name in NAMES {
        let (flip, state) = watch::channel(state);
        let builder = Server::builder().add_service(Health { state, asked: sender.clone() });
        servers.running.push(serve_with(builder, "127.0.0.1:0", named(name)).await);
        servers.states.push(flip);
    }
    servers
}

fn named(name: &'static str) -> impl Fn(Call) + Send + Sync + 'static {
    move |call: Call| {
        call.unary(codec::Bytes, move |_: farcall::Request<Bytes>| async move {
            Ok::<_, Status>(Response::new(Bytes::from_static(name.as_bytes())))
        });
    }
}

fn to(servers: &[Running]) -> Endpoint {
    let addresses: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    let config = r#"{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"a.B"}}"#;
    Channel::builder(format!("ipv4:{}", addresses.join(","))).service_config(config).unwrap()
}

/// Calls until just these answer, in turn.
async fn call_until(channel: &Channel, names: &[&str]) {
    loop {
        let mut seen = BTreeMap::new();
        for _ in 0..30 {
            *seen.entry(unary(channel, "").await.unwrap()).or_insert(0) += 1;
        }
        // The turns begin anew where a server comes or goes in between.
        if seen.keys().eq(names) && seen.values().all(|calls| *calls == 30 / names.len()) {
            return;
        }
    }
}

#[tokio::test]
async fn a_server_that_flips_is_left_out_meanwhile() {
    within(async {
        let mut servers = servers(SERVING).await;
        let channel = to(&servers.running).connect().await.unwrap();
        call_until(&channel, &NAMES).await;
        for _ in 0..3 {
            servers.states[1].send_replace(NOT_SERVING);
            call_until(&channel, &["a", "c"]).await;
            servers.states[1].send_replace(SERVING);
            call_until(&channel, &NAMES).await;
        }
        for _ in NAMES {
            assert_eq!(servers.asked.recv().await.unwrap(), b"\x0a\x03a.B"[..]);
        }
        assert!(servers.asked.try_recv().is_err(), "each is asked once");
    })
    .await;
}

#[tokio::test]
async fn when_none_is_healthy_calls_fail_in_the_words_of_grpcio_unless_they_wait() {
    within(async {
        let servers = servers(NOT_SERVING).await;
        let channel = to(&servers.running).connect_lazy().unwrap();
        let status = unary(&channel, "").await.unwrap_err();
        let words = "connections to all backends failing; last error: UNAVAILABLE: ipv4:127.0.0.1:";
        assert!(status.message().starts_with(words), "{status}");
        assert!(status.message().ends_with(": backend unhealthy"), "{status}");
        let waiting = tokio::spawn({
            let channel = channel.clone();
            async move {
                let mut request = farcall::Request::new(Bytes::new());
                request.set_wait_for_ready(true);
                channel.unary::<_, _, Bytes>("/test.Service/Method", codec::Bytes, request).await.unwrap().into_inner()
            }
        });
        servers.states[2].send_replace(SERVING);
        assert_eq!(waiting.await.unwrap(), "c");
        let unasked = to(&servers.running).health_checks(false).connect().await.unwrap();
        call_until(&unasked, &NAMES).await;
    })
    .await;
}

#[tokio::test]
async fn servers_without_the_service_are_used() {
    within(async {
        let mut running = Vec::new();
        for name in NAMES {
            running.push(serve(named(name)).await);
        }
        let channel = to(&running).connect().await.unwrap();
        call_until(&channel, &NAMES).await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_keeps_neither_a_channel_from_idleness_nor_a_server_from_its_end() {
    within(async {
        let mut servers = servers(SERVING).await;
        let channel = to(&servers.running).idle_timeout(Some(Duration::from_millis(20))).connect().await.unwrap();
        for _ in 0..2 {
            unary(&channel, "").await.unwrap();
            while channel.state() != Connectivity::Idle {
                channel.state_changed(channel.state()).await;
            }
        }
        let lasting = to(&servers.running).connect().await.unwrap();
        call_until(&lasting, &NAMES).await;
        for mut server in servers.running.drain(..) {
            server.stop();
            server.stopped().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_watch_is_gone_with_the_last_clone_of_its_channel() {
    within(async {
        let servers = servers(SERVING).await;
        let channel = to(&servers.running).connect().await.unwrap();
        call_until(&channel, &NAMES).await;
        drop(channel);
        for state in &servers.states {
            // A handler learns of it by the next answer; then only the service itself looks at the state.
            while state.receiver_count() > 1 {
                state.send_replace(NOT_SERVING);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    })
    .await;
}
