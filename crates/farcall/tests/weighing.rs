//! Policies that weigh servers or leave some out, over real sockets.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::common::{Running, fed, serve, serve_with, unary, within};
use bytes::Bytes;
use farcall::{
    Channel, Metadata, Response, Server, Status, codec,
    server::{Call, Service},
};

/// Answers with this name and these trailers, or fails while `fails` is set.
fn server(name: &'static str, trailers: Metadata, fails: &Arc<AtomicBool>) -> impl Fn(Call) + Send + Sync + 'static {
    let fails = Arc::clone(fails);
    move |call: Call| {
        let (trailers, fails) = (trailers.clone(), Arc::clone(&fails));
        call.unary(codec::Bytes, move |_: farcall::Request<Bytes>| async move {
            if fails.load(Ordering::SeqCst) {
                return Err(Status::internal("it is broken"));
            }
            let mut response = Response::new(Bytes::from_static(name.as_bytes()));
            *response.trailers_mut() = trailers;
            Ok(response)
        });
    }
}

/// Trailers with a report of so much utilization at a hundred calls a second.
fn report(utilization: f64) -> Metadata {
    let field = |number: u8, value: f64| [&[number << 3 | 1][..], &value.to_le_bytes()].concat();
    let mut trailers = Metadata::new();
    trailers.append("endpoint-load-metrics-bin", [field(9, utilization), field(6, 100.0)].concat()).unwrap();
    trailers
}

fn channel(servers: &[Running], policy: &str) -> Channel {
    let addresses: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    let config = format!(r#"{{"loadBalancingConfig":[{policy}]}}"#);
    let endpoint = Channel::builder(format!("ipv4:{}", addresses.join(","))).service_config(&config).unwrap();
    endpoint.connect_lazy().unwrap()
}

/// Who answers so many calls; those that fail are under "".
async fn spread(channel: &Channel, calls: usize) -> BTreeMap<Bytes, usize> {
    let mut spread = BTreeMap::new();
    for _ in 0..calls {
        *spread.entry(unary(channel, "").await.unwrap_or_default()).or_insert(0) += 1;
    }
    spread
}

#[tokio::test]
async fn weighted_round_robin_learns_from_the_trailers_who_can_do_more() {
    within(async {
        let well = Arc::default();
        let mut servers = Vec::new();
        for (name, utilization) in [("a", 0.8), ("b", 0.2), ("c", 0.8)] {
            servers.push(serve(server(name, report(utilization), &well)).await);
        }
        let config = r#"{"weighted_round_robin":{"blackoutPeriod":"0s","weightUpdatePeriod":"0.1s"}}"#;
        let channel = channel(&servers, config);
        // Four times as much as each of the others: two calls of three.
        while spread(&channel, 60).await.get(&Bytes::from("b")).is_none_or(|calls| calls.abs_diff(40) > 2) {}
    })
    .await;
}

#[tokio::test]
async fn outlier_detection_leaves_a_broken_server_out_and_takes_it_in_when_it_is_mended() {
    within(async {
        let (well, broken) = (Arc::default(), Arc::new(AtomicBool::new(true)));
        let mut servers = vec![serve(server("a", Metadata::new(), &broken)).await];
        for name in ["b", "c"] {
            servers.push(serve(server(name, Metadata::new(), &well)).await);
        }
        let config = r#"{"outlier_detection_experimental":{"interval":"0.05s","baseEjectionTime":"0.1s",
            "failurePercentageEjection":{"minimumHosts":3,"requestVolume":2},"childPolicy":[{"round_robin":{}}]}}"#;
        let channel = channel(&servers, config);
        while spread(&channel, 20).await.contains_key(&Bytes::new()) {}
        broken.store(false, Ordering::SeqCst);
        while !spread(&channel, 20).await.contains_key(&Bytes::from("a")) {}
    })
    .await;
}

/// Who answers a call of this user.
async fn of(channel: &Channel, user: usize) -> Result<Bytes, Status> {
    let mut request = farcall::Request::new(Bytes::new());
    request.metadata_mut().append("user", user.to_string()).unwrap();
    channel.unary::<_, _, Bytes>("/test.Service/Method", codec::Bytes, request).await.map(Response::into_inner)
}

#[tokio::test]
async fn ring_hash_sends_calls_of_one_user_to_one_server() {
    within(async {
        let well = Arc::default();
        let mut servers = Vec::new();
        for name in ["a", "b", "c"] {
            servers.push(serve(server(name, Metadata::new(), &well)).await);
        }
        let channel = channel(&servers, r#"{"ring_hash_experimental":{"requestHashHeader":"user"}}"#);
        let mut before = BTreeMap::new();
        for user in 0..40 {
            before.insert(user, of(&channel, user).await.unwrap());
        }
        assert_eq!(before.values().collect::<std::collections::BTreeSet<_>>().len(), 3, "{before:?}");
        for user in 0..40 {
            assert_eq!(of(&channel, user).await.unwrap(), before[&user]);
        }
        servers.remove(1).abort().await;
        for user in 0..40 {
            // A call may have been on its way there.
            let mut now = of(&channel, user).await;
            while now.is_err() {
                now = of(&channel, user).await;
            }
            let (was, now) = (&before[&user], now.unwrap());
            assert!(if was == "b" { now != "b" } else { now == was }, "{user}: {was:?} to {now:?}");
        }
    })
    .await;
}

/// `xds.service.orca.v3.OpenRcaService`, which reports once.
struct Loads(f64);

impl Service for Loads {
    fn name(&self) -> &'static str {
        "xds.service.orca.v3.OpenRcaService"
    }

    fn call(&self, call: Call) {
        let field = |number: u8, value: f64| [&[number << 3 | 1][..], &value.to_le_bytes()].concat();
        let report = Bytes::from([field(9, self.0), field(6, 100.0)].concat());
        call.server_streaming(codec::Bytes, move |request: farcall::Request<Bytes>| async move {
            assert_eq!(*request.into_inner(), [10, 2, 8, 10], "a report in ten seconds");
            let (sender, responses) = fed();
            tokio::spawn(async move {
                let _ = sender.send(Ok::<_, Status>(report)).await;
                sender.closed().await;
            });
            Ok(Response::new(responses))
        });
    }
}

#[tokio::test]
async fn weighted_round_robin_learns_out_of_band_who_can_do_more() {
    within(async {
        let well = Arc::default();
        let mut servers = Vec::new();
        for (name, utilization) in [("a", 0.8), ("b", 0.2), ("c", 0.8)] {
            let builder = Server::builder().add_service(Loads(utilization));
            servers.push(serve_with(builder, "127.0.0.1:0", server(name, Metadata::new(), &well)).await);
        }
        let config = r#"{"weighted_round_robin":{"enableOobLoadReport":true,"blackoutPeriod":"0s","weightUpdatePeriod":"0.1s"}}"#;
        let channel = channel(&servers, config);
        while spread(&channel, 60).await.get(&Bytes::from("b")).is_none_or(|calls| calls.abs_diff(40) > 2) {}
    })
    .await;
}
