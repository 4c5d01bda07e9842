//! Names: what the DNS says of them, over real sockets to a name server on loopback.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use farcall::{Channel, Code, Endpoint, Response, Status, codec, server::Call};

use crate::common::{
    Running,
    dns::{NameServer, a, srv, txt},
    serve, unary, until_ok, within,
};

/// Answers each request with this name.
fn named(name: &'static str) -> impl Fn(Call) + Send + Sync + 'static {
    move |call: Call| {
        call.unary(codec::Bytes, move |_: farcall::Request<Bytes>| async move {
            Ok::<_, Status>(Response::new(Bytes::from_static(name.as_bytes())))
        });
    }
}

/// A channel that is quick to try again.
fn quick(target: impl Into<String>) -> Endpoint {
    let delay = Duration::from_millis(10);
    Channel::builder(target).backoff(delay, delay)
}

/// Who answers so many calls, once each of so many servers has.
async fn spread(channel: &Channel, servers: usize, calls: usize) -> BTreeMap<Bytes, usize> {
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < servers {
        seen.extend(unary(channel, "").await);
    }
    let mut spread = BTreeMap::new();
    for _ in 0..calls {
        *spread.entry(unary(channel, "").await.unwrap()).or_insert(0) += 1;
    }
    spread
}

fn port(server: &Running) -> u16 {
    server.address.port()
}

#[tokio::test]
async fn a_name_server_in_the_target_is_asked() {
    within(async {
        let (dns, server) = (NameServer::start().await, serve(named("a")).await);
        dns.set("name.test", [a(Ipv4Addr::LOCALHOST)]);
        let channel = quick(dns.target(&format!("name.test:{}", port(&server)))).connect().await.unwrap();
        assert_eq!(unary(&channel, "").await.unwrap(), "a");
        assert!(dns.zone.lock().unwrap().asked >= 2, "for both families");
    })
    .await;
}

#[tokio::test]
async fn hosts_of_a_service_are_found_with_their_ports() {
    within(async {
        let (dns, first, second) = (NameServer::start().await, serve(named("a")).await, serve(named("b")).await);
        dns.set(
            "_grpc._tcp.name.test",
            [srv("one.test", port(&first), 1, 1), srv("two.test", port(&second), 1, 1), srv("three.test", 1, 2, 1)],
        );
        dns.set("one.test", [a(Ipv4Addr::LOCALHOST)]);
        dns.set("two.test", [a(Ipv4Addr::LOCALHOST)]);
        dns.set("three.test", [a(Ipv4Addr::LOCALHOST)]);
        let endpoint = quick(dns.target("name.test")).dns_service("_grpc._tcp");
        let channel = endpoint.load_balancing_policy("round_robin").unwrap().connect().await.unwrap();
        assert_eq!(spread(&channel, 2, 20).await.into_values().collect::<Vec<_>>(), [10, 10]);
    })
    .await;
}

#[tokio::test]
async fn a_service_config_comes_with_the_name_if_that_is_wanted() {
    within(async {
        let (dns, first, second) = (NameServer::start().await, serve(named("a")).await, serve(named("b")).await);
        dns.set("_grpc._tcp.name.test", [srv("one.test", port(&first), 1, 1), srv("one.test", port(&second), 1, 1)]);
        dns.set("one.test", [a(Ipv4Addr::LOCALHOST)]);
        let of = |language: &str, policy: &str| {
            format!(
                r#"{{"clientLanguage":["{language}"],"serviceConfig":{{"loadBalancingConfig":[{{"{policy}":{{}}}}]}}}}"#
            )
        };
        let choices = format!("grpc_config=[{},{}]", of("go", "unknown"), of("rust", "round_robin"));
        dns.set("_grpc_config.name.test", [txt("v=spf1"), txt(&choices)]);
        for (wanted, servers) in [(true, 2), (false, 1)] {
            let endpoint = quick(dns.target("name.test")).dns_service("_grpc._tcp").dns_service_config(wanted);
            let channel = endpoint.connect().await.unwrap();
            assert_eq!(spread(&channel, servers, 20).await.len(), servers);
        }
    })
    .await;
}

#[tokio::test]
async fn a_bad_service_config_fails_calls_until_it_is_mended() {
    within(async {
        let (dns, server) = (NameServer::start().await, serve(named("a")).await);
        dns.set("name.test", [a(Ipv4Addr::LOCALHOST)]);
        dns.set("_grpc_config.name.test", [txt("grpc_config={}")]);
        let channel = quick(dns.target(&format!("name.test:{}", port(&server)))).dns_service_config(true);
        let channel = channel.connect_lazy().unwrap();
        let status = unary(&channel, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "errors parsing service config choices: [field: error:is not an array]");
        dns.set("_grpc_config.name.test", []);
        until_ok(&channel).await;
    })
    .await;
}

#[tokio::test]
async fn a_name_that_changes_is_followed_while_connected_if_that_is_wanted() {
    within(async {
        let (dns, first, second) = (NameServer::start().await, serve(named("a")).await, serve(named("b")).await);
        dns.set("name.test", [a(Ipv4Addr::LOCALHOST)]);
        dns.set("_grpc._tcp.name.test", [srv("name.test", port(&first), 1, 1)]);
        let endpoint = quick(dns.target("name.test")).dns_service("_grpc._tcp");
        let channel = endpoint.refresh_interval(Duration::from_millis(10)).connect().await.unwrap();
        assert_eq!(unary(&channel, "").await.unwrap(), "a");
        dns.set("_grpc._tcp.name.test", [srv("name.test", port(&second), 1, 1)]);
        while unary(&channel, "").await.unwrap() != "b" {}
        // What was found counts while the DNS fails, and while it is empty.
        for (code, records) in [(Some(simple_dns::RCODE::ServerFailure), true), (None, false)] {
            if !records {
                dns.set("_grpc._tcp.name.test", []);
            }
            let before = {
                let mut zone = dns.zone.lock().unwrap();
                zone.fails = code;
                zone.asked
            };
            while dns.zone.lock().unwrap().asked < before + 5 {
                assert_eq!(unary(&channel, "").await.unwrap(), "b");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_not_there_fails_calls_and_heals() {
    within(async {
        let (dns, server) = (NameServer::start().await, serve(named("a")).await);
        let name = format!("name.test:{}", port(&server));
        let channel = quick(dns.target(&name)).connect_lazy().unwrap();
        let text = |why: &str| {
            format!("errors resolving {name}: [field:hostname lookup error:address lookup failed for {name}: {why}]")
        };
        let status = unary(&channel, "").await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unavailable, &*text("Domain name not found")));
        dns.zone.lock().unwrap().fails = Some(simple_dns::RCODE::Refused);
        while unary(&channel, "").await.unwrap_err().message() != text("DNS server refused query") {
            tokio::task::yield_now().await;
        }
        dns.zone.lock().unwrap().fails = None;
        dns.set("name.test", [a(Ipv4Addr::LOCALHOST)]);
        until_ok(&channel).await;
    })
    .await;
}

#[tokio::test]
async fn as_many_addresses_as_an_answer_can_hold_come_over_tcp() {
    within(async {
        let (dns, server) = (NameServer::start().await, serve(named("a")).await);
        // The server listens at 127.0.0.1 alone.
        let many = (1..4000u32).map(|number| a(Ipv4Addr::from_bits(0x7f01_0000 + number)));
        dns.set("name.test", std::iter::once(a(Ipv4Addr::LOCALHOST)).chain(many));
        let channel = quick(dns.target(&format!("name.test:{}", port(&server)))).connect().await.unwrap();
        assert_eq!(unary(&channel, "").await.unwrap(), "a");
        assert_eq!(dns.zone.lock().unwrap().over_tcp, 1);
    })
    .await;
}

#[tokio::test]
async fn hosts_are_passed_through_and_what_this_system_lacks_is_said() {
    within(async {
        let server = serve(named("a")).await;
        let channel = quick(format!("passthrough:///localhost:{}", port(&server))).connect().await.unwrap();
        assert_eq!(unary(&channel, "").await.unwrap(), "a");
        // Nobody listens there, if there is a there at all.
        let nowhere = quick("vsock:1:5").connect_timeout(Duration::from_millis(200)).connect_lazy().unwrap();
        let status = unary(&nowhere, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        let text = "failed to connect to all addresses; last error: ";
        assert!(status.message().starts_with(text) && status.message().contains(": vsock:1:5: "), "{status}");
    })
    .await;
}
