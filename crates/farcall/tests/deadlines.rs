//! Deadlines: both sides keep them.

use std::time::{Duration, Instant};

use crate::common::{Hanging, fed, serve, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Request, Response, Status, Streaming, codec};

const SHORT: Duration = Duration::from_millis(50);
/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(60);

async fn with_timeout(channel: &Channel, timeout: Duration) -> Result<Response<Bytes>, Status> {
    let mut request = Request::new(Bytes::new());
    request.set_timeout(timeout);
    channel.unary("/test.Service/Method", codec::Bytes, request).await
}

fn assert_expired(status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "Deadline Exceeded"));
}

#[tokio::test]
async fn a_call_past_its_deadline_ends_on_both_sides() {
    within(async {
        let mut hanging = Hanging::new();
        let server = serve(hanging.handler()).await;
        let begun = Instant::now();
        let status = with_timeout(&server.channel, SHORT).await.unwrap_err();
        assert_expired(&status);
        assert!(begun.elapsed() >= SHORT, "not before its time");
        hanging.begun().await.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_stream_past_its_deadline_ends_on_both_sides() {
    within(async {
        let (ended, server_ended) = tokio::sync::oneshot::channel();
        let ended = std::sync::Mutex::new(Some(ended));
        let server = serve(move |call| {
            let guard = crate::common::Guard(ended.lock().unwrap().take());
            call.server_streaming(codec::Bytes, |_: Request<Bytes>| async {
                let mut first = Some(Ok(Bytes::from("first")));
                let (feed, rest) = fed();
                let responses = Either(move || first.take(), rest, (guard, feed));
                Ok::<_, Status>(Response::new(responses))
            });
        })
        .await;
        let mut request = Request::new(Bytes::new());
        // Long enough for the first message on a busy machine.
        request.set_timeout(10 * SHORT);
        let response: Response<Streaming<Bytes>> =
            server.channel.server_streaming("/test.Service/Method", codec::Bytes, request).await.unwrap();
        let mut responses = response.into_inner();
        assert_eq!(responses.message().await.unwrap().unwrap(), "first");
        assert_expired(&responses.message().await.unwrap_err());
        server_ended.await.unwrap();
    })
    .await;
}

/// A stream of what a function gives, then of another stream; it owns something besides.
struct Either<F, S, G>(F, S, #[allow(dead_code)] G);

impl<T, F, S, G> futures_core::Stream for Either<F, S, G>
where
    F: FnMut() -> Option<T> + Unpin,
    S: futures_core::Stream<Item = T> + Unpin,
    G: Unpin,
{
    type Item = T;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        match (self.0)() {
            Some(item) => std::task::Poll::Ready(Some(item)),
            None => std::pin::Pin::new(&mut self.1).poll_next(context),
        }
    }
}

#[tokio::test]
async fn the_server_sees_the_deadline() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                let left = request.deadline().map(|deadline| deadline.duration_since(Instant::now()).as_millis());
                Ok::<_, Status>(Response::new(left.map_or(String::new(), |left| left.to_string()).into()))
            });
        })
        .await;
        let left = with_timeout(&server.channel, LONG).await.unwrap().into_inner();
        let left: u64 = str::from_utf8(&left).unwrap().parse().unwrap();
        assert!((1..=60_000).contains(&left), "{left} ms of 60 s");
        assert!(unary(&server.channel, "").await.unwrap().is_empty(), "no deadline is none");
    })
    .await;
}

#[tokio::test]
async fn a_timeout_of_nothing_fails_at_once() {
    within(async {
        let server = serve(Hanging::new().handler()).await;
        assert_expired(&with_timeout(&server.channel, Duration::ZERO).await.unwrap_err());
    })
    .await;
}

#[tokio::test]
async fn a_timeout_past_the_end_of_time_is_none() {
    within(async {
        let server = serve(crate::common::echo).await;
        with_timeout(&server.channel, Duration::MAX).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_wait_for_a_connection_counts() {
    within(async {
        // It accepts, and never says a word of HTTP/2.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let channel = Channel::new(format!("http://{}", silent.local_addr().unwrap())).unwrap();
        assert_expired(&with_timeout(&channel, SHORT).await.unwrap_err());
    })
    .await;
}

#[tokio::test]
async fn a_channel_may_have_a_timeout_for_calls_that_set_none() {
    within(async {
        let server = serve(Hanging::new().handler()).await;
        let channel = Channel::builder(format!("http://{}", server.address)).timeout(SHORT).connect().await.unwrap();
        assert_expired(&unary(&channel, "").await.unwrap_err());
    })
    .await;
}

#[tokio::test]
async fn an_answer_in_time_is_not_hurt() {
    within(async {
        let server = serve(crate::common::echo).await;
        for _ in 0..50 {
            with_timeout(&server.channel, LONG).await.unwrap();
        }
    })
    .await;
}
