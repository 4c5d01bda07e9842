//! Resolvers and load balancing policies of the user's.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use farcall::{
    Channel, Code, Connectivity, Response, Status,
    balancer::{
        Helper, PickFirst, PickFirstConfig, Picker, Policy, PolicyConfig, PolicyFactory, Registry, Resolution, Route,
        SubchannelId, Update,
    },
    codec,
    resolver::{Endpoint, Found, Query, Resolver},
    server::Call,
};
use tokio::sync::watch;

use crate::common::{Guard, Running, serve, unary, until_ok, within};

fn named(name: &'static str) -> impl Fn(Call) + Send + Sync + 'static {
    move |call: Call| {
        call.unary(codec::Bytes, move |_: farcall::Request<Bytes>| async move {
            Ok::<_, Status>(Response::new(Bytes::from_static(name.as_bytes())))
        });
    }
}

fn builder(target: &str, resolver: impl Resolver) -> farcall::Endpoint {
    let delay = Duration::from_millis(10);
    Channel::builder(target).backoff(delay, delay).resolver("test", resolver)
}

fn channel(resolver: impl Resolver) -> Channel {
    builder("test:///name", resolver).connect_lazy().unwrap()
}

fn at(server: &Running) -> Found {
    Found::new([Endpoint::at(server.address)])
}

/// Answers what it has, in turn; the last again and again.
#[derive(Debug)]
struct Script(Mutex<Vec<Result<Found, String>>>, Arc<AtomicUsize>);

impl Resolver for Script {
    async fn resolve(&self, query: Query) -> Result<Found, String> {
        assert_eq!(query.target(), "test:///name");
        self.1.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.0.lock().unwrap();
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    }
}

#[tokio::test]
async fn a_resolver_that_fails_fails_calls_with_its_words_and_is_asked_again() {
    within(async {
        let server = serve(named("a")).await;
        let asked = Arc::<AtomicUsize>::default();
        let answers = vec![Err("the agent is gone".to_owned()), Ok(Found::new([])), Ok(at(&server))];
        let channel = channel(Script(Mutex::new(answers), Arc::clone(&asked)));
        let status = unary(&channel, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "errors resolving test:///name: [the agent is gone]");
        until_ok(&channel).await;
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    })
    .await;
}

/// Tells whatever is watched, for as long as it is wanted.
#[derive(Debug)]
struct Watching(watch::Receiver<Option<Found>>, Mutex<Option<tokio::sync::oneshot::Sender<()>>>);

impl Resolver for Watching {
    async fn resolve(&self, query: Query) -> Result<Found, String> {
        let _dropped = Guard(self.1.lock().unwrap().take());
        let mut watched = self.0.clone();
        loop {
            let found = watched.borrow_and_update().clone();
            found.into_iter().for_each(|found| query.update(found));
            watched.changed().await.map_err(|_| "nobody knows any more".to_owned())?;
        }
    }
}

#[tokio::test]
async fn a_resolver_may_go_on_and_is_dropped_with_its_channel() {
    within(async {
        let (first, second) = (serve(named("a")).await, serve(named("b")).await);
        let (tell, watched) = watch::channel(Some(at(&first)));
        let (sender, dropped) = tokio::sync::oneshot::channel();
        let channel = channel(Watching(watched, Mutex::new(Some(sender))));
        assert_eq!(unary(&channel, "").await.unwrap(), "a");
        tell.send_replace(Some(at(&second)));
        while unary(&channel, "").await.unwrap() != "b" {}
        drop(channel);
        dropped.await.unwrap();
    })
    .await;
}

#[derive(Debug)]
struct Panicking(std::net::SocketAddr, AtomicUsize);

impl Resolver for Panicking {
    async fn resolve(&self, _: Query) -> Result<Found, String> {
        assert!(self.1.fetch_add(1, Ordering::Relaxed) > 0, "a bug of the user's");
        Ok(Found::new([Endpoint::at(self.0)]))
    }
}

#[tokio::test]
async fn a_resolver_that_panics_has_failed() {
    within(async {
        let server = serve(named("a")).await;
        let channel = channel(Panicking(server.address, AtomicUsize::new(0)));
        let status = unary(&channel, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "errors resolving test:///name: [the resolver panicked]");
        until_ok(&channel).await;
    })
    .await;
}

#[derive(Debug)]
struct Silent;

impl Resolver for Silent {
    async fn resolve(&self, _: Query) -> Result<Found, String> {
        pending().await
    }
}

#[tokio::test]
async fn a_resolver_that_says_nothing_holds_calls_until_their_deadline() {
    within(async {
        let channel = builder("test:///name", Silent).timeout(Duration::from_millis(50)).connect_lazy().unwrap();
        assert_eq!(unary(&channel, "").await.unwrap_err().code(), Code::DeadlineExceeded);
    })
    .await;
}

#[derive(Debug)]
struct WithConfig(std::net::SocketAddr, &'static str);

impl Resolver for WithConfig {
    async fn resolve(&self, query: Query) -> Result<Found, String> {
        Ok(Found::new([Endpoint::at(self.0)]).with_service_config(query.service_config(self.1)))
    }
}

#[tokio::test]
async fn a_service_config_comes_with_the_endpoints() {
    within(async {
        let server = serve(|call: Call| {
            call.unary(codec::Bytes, |_: farcall::Request<Bytes>| pending::<Result<Response<Bytes>, Status>>());
        });
        let address = server.await.address;
        let timeout = r#"{"methodConfig":[{"name":[{"service":"test.Service"}],"timeout":"0.05s"}]}"#;
        let status = unary(&channel(WithConfig(address, timeout)), "").await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        let status = unary(&channel(WithConfig(address, r#"{"methodConfig":1}"#)), "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "errors validating service config: [field:methodConfig error:is not an array]");
    })
    .await;
}

#[tokio::test]
async fn retries_and_their_throttling_come_with_the_endpoints() {
    within(async {
        let calls = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&calls);
        let server = serve(move |call: Call| {
            counted.fetch_add(1, Ordering::Relaxed);
            call.unary(codec::Bytes, |_: farcall::Request<Bytes>| async {
                Err::<Response<Bytes>, _>(Status::unavailable("no"))
            });
        });
        let address = server.await.address;
        let method = r#""methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":3,"initialBackoff":"0.001s",
            "maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]"#;
        for (throttling, attempts) in [("", 3), (r#","retryThrottling":{"maxTokens":2,"tokenRatio":0.1}"#, 1)] {
            let channel = channel(WithConfig(address, format!("{{{method}{throttling}}}").leak()));
            calls.store(0, Ordering::Relaxed);
            assert_eq!(unary(&channel, "").await.unwrap_err().message(), "no");
            assert_eq!(calls.load(Ordering::Relaxed), attempts, "{throttling}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_scheme_that_is_known_may_be_resolved_otherwise_and_one_that_is_not_is_refused() {
    within(async {
        let server = serve(named("a")).await;
        let resolver = WithConfig(server.address, "{}");
        let channel = Channel::builder("dns:///nx.invalid").resolver("dns", resolver).connect().await.unwrap();
        assert_eq!(unary(&channel, "").await.unwrap(), "a");
        let error = builder("other:///name", Silent).connect_lazy().unwrap_err();
        assert!(error.to_string().contains("no resolver for the scheme \"other\""), "{error}");
    })
    .await;
}

/// `pick_first` from behind.
#[derive(Default)]
struct LastFirst(PickFirst);

#[derive(Debug)]
struct LastFirstConfig;

impl PolicyConfig for LastFirstConfig {
    fn name(&self) -> &str {
        "last_first"
    }
    fn policy(&self) -> Box<dyn Policy> {
        Box::<LastFirst>::default()
    }
}

impl PolicyFactory for LastFirstConfig {
    fn name(&self) -> &str {
        "last_first"
    }
    fn parse(&self, _: &serde_json::Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        Ok(Arc::new(LastFirstConfig))
    }
}

impl Policy for LastFirst {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        let endpoints = resolution.endpoints.iter().rev().cloned().collect();
        let below = Resolution { endpoints, config: Arc::new(PickFirstConfig::default()) };
        self.0.handle_resolution(&below, helper)
    }
    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.0.handle_subchannel(route, id, update, helper);
    }
    fn handle_timeout(&mut self, helper: &mut Helper) {
        self.0.handle_timeout(helper);
    }
    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.0.wake(route, helper);
    }
    fn poll_timeout(&self) -> Option<std::time::Instant> {
        self.0.poll_timeout()
    }
    fn state(&self) -> Connectivity {
        self.0.state()
    }
    fn picker(&self) -> Arc<dyn Picker> {
        self.0.picker()
    }
    fn failure(&self) -> Option<Arc<str>> {
        self.0.failure()
    }
}

#[tokio::test]
async fn a_policy_of_the_users_is_known_by_its_name() {
    within(async {
        let (first, last) = (serve(named("a")).await, serve(named("b")).await);
        let target = format!("ipv4:{},{}", first.address, last.address);
        let builder = || Channel::builder(target.clone()).policy(LastFirstConfig);
        let config = r#"{"loadBalancingConfig":[{"last_first":{}}]}"#;
        let by_name = builder().load_balancing_policy("last_first").unwrap();
        let by_config = builder().service_config(config).unwrap();
        for endpoint in [by_name, by_config] {
            assert_eq!(unary(&endpoint.connect().await.unwrap(), "").await.unwrap(), "b");
        }
        assert!(Channel::builder(target.clone()).service_config(config).is_err(), "it is known where it is given");
    })
    .await;
}
