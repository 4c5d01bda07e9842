//! The works, for any library that can make calls.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    Arguments, MESSAGE, Messages,
    figures::{Done, measure},
};

/// Messages of one streaming call; calls follow each other until the time is over.
const STREAM: u64 = 50_000;

/// One connection of a library.
pub trait Client: Clone + Send + Sync + 'static {
    /// What a call with a stream of responses gives.
    type Responses: Responses + Send;

    /// Connects.
    fn connect(address: &str) -> impl Future<Output = Self> + Send;
    /// `/bench/Echo`.
    fn echo(&self, message: Bytes) -> impl Future<Output = Bytes> + Send;
    /// `/bench/Source`: so many messages come.
    fn source(&self, count: u64) -> impl Future<Output = Self::Responses> + Send;
    /// `/bench/Sink`: the number of messages that went.
    fn sink(&self, requests: Messages) -> impl Future<Output = u64> + Send;
    /// `/bench/EchoAll`.
    fn echo_all<S>(&self, requests: S) -> impl Future<Output = Self::Responses> + Send
    where
        S: Stream<Item = Bytes> + Send + 'static;
}

/// A stream of responses.
pub trait Responses {
    /// The next message; `None` at the end. Panics when the call failed.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// Does the work that the arguments name.
pub async fn run<C: Client>(arguments: Arguments) {
    let Arguments { address, work, duration, .. } = arguments;
    let mut words = work.split(':');
    let (name, size) = (words.next().unwrap_or_default(), words.next().map(|size| size.parse().expect("a number")));
    let size: usize = size.unwrap_or(1);
    if name == "idle" {
        return idle::<C>(&address, size).await;
    }
    let client = C::connect(&address).await;
    match name {
        "unary" => echo(client, MESSAGE, size, 1000, duration).await,
        "echo" => echo(client, vec![42; size].into(), 1, 5, duration).await,
        "server-stream" => streams(duration, || from_server(&client)).await,
        "client-stream" => streams(duration, || to_server(&client)).await,
        "bidi-stream" => streams(duration, || both_ways(&client)).await,
        "ping-pong" => ping_pong(&client, duration).await,
        _ => panic!("there is no work {name}"),
    }
}

async fn echo<C: Client>(client: C, message: Bytes, in_flight: usize, warm_up: usize, duration: Duration) {
    for _ in 0..warm_up {
        client.echo(message.clone()).await;
    }
    measure(async {
        let stop = Instant::now() + duration;
        let callers = (0..in_flight).map(|_| tokio::spawn(echo_until(stop, client.clone(), message.clone())));
        let mut latencies = Vec::new();
        for caller in callers.collect::<Vec<_>>() {
            latencies.extend(caller.await.expect("a caller does not panic"));
        }
        Done { operations: latencies.len() as u64, latencies }
    })
    .await;
}

async fn echo_until<C: Client>(stop: Instant, client: C, message: Bytes) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(1 << 10);
    let mut now = Instant::now();
    while now < stop {
        let before = now;
        let answer = client.echo(message.clone()).await;
        now = Instant::now();
        assert_eq!(answer.len(), message.len(), "the echo is not what was sent");
        latencies.push(now - before);
    }
    latencies
}

async fn streams<F: Future<Output = ()>>(duration: Duration, call: impl Fn() -> F) {
    call().await;
    measure(async {
        let stop = Instant::now() + duration;
        let mut calls = 0;
        while Instant::now() < stop {
            call().await;
            calls += 1;
        }
        Done { operations: calls * STREAM, latencies: Vec::new() }
    })
    .await;
}

async fn from_server(client: &impl Client) {
    count(client.source(STREAM).await).await;
}

async fn to_server(client: &impl Client) {
    assert_eq!(client.sink(Messages(STREAM)).await, STREAM, "messages were lost");
}

async fn both_ways(client: &impl Client) {
    count(client.echo_all(Messages(STREAM)).await).await;
}

async fn count(mut responses: impl Responses) {
    let mut messages = 0;
    while responses.next().await.is_some() {
        messages += 1;
    }
    assert_eq!(messages, STREAM, "messages were lost");
}

async fn ping_pong<C: Client>(client: &C, duration: Duration) {
    let (pings, requests) = mpsc::channel(1);
    // A server may wait for the first message before it answers at all.
    pings.send(MESSAGE).await.expect("there is room");
    let mut pongs = client.echo_all(ReceiverStream::new(requests)).await;
    pongs.next().await.expect("the echo");
    measure(async {
        let mut latencies = Vec::with_capacity(1 << 16);
        let mut now = Instant::now();
        let stop = now + duration;
        while now < stop {
            let before = now;
            pings.send(MESSAGE).await.expect("the call goes on");
            pongs.next().await.expect("the echo");
            now = Instant::now();
            latencies.push(now - before);
        }
        Done { operations: latencies.len() as u64, latencies }
    })
    .await;
}

/// Connections that have made one call each, and are there.
async fn idle<C: Client>(address: &str, count: usize) {
    let mut connections = Vec::with_capacity(count);
    connections.push(C::connect(address).await);
    connections[0].echo(MESSAGE).await;
    measure(async {
        while connections.len() <= count {
            let connection = C::connect(address).await;
            connection.echo(MESSAGE).await;
            connections.push(connection);
        }
        Done { operations: count as u64, latencies: Vec::new() }
    })
    .await;
}
