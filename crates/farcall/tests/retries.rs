//! Retry and hedging policies, throttling, push-back, deadlines and bounds of service configs, over real sockets.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::common::{Guard, Iter, Running, fed, serve, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Request, Response, Status, Streaming, codec, server::Call};
use tokio::sync::{mpsc, oneshot};

const UNAVAILABLE: [&str; 1] = ["UNAVAILABLE"];

fn retries(max_attempts: u32) -> String {
    format!(
        r#""retryPolicy":{{"maxAttempts":{max_attempts},"initialBackoff":"0.001s","maxBackoff":"0.01s",
            "backoffMultiplier":2,"retryableStatusCodes":{UNAVAILABLE:?}}}"#
    )
}

fn hedges(max_attempts: u32, delay: &str) -> String {
    format!(
        r#""hedgingPolicy":{{"maxAttempts":{max_attempts},"hedgingDelay":"{delay}",
            "nonFatalStatusCodes":{UNAVAILABLE:?}}}"#
    )
}

/// A channel whose calls all have this policy.
fn channel(server: &Running, policy: &str) -> Channel {
    throttled(server, policy, "")
}

fn throttled(server: &Running, policy: &str, more: &str) -> Channel {
    let config = format!(r#"{{"methodConfig":[{{"name":[{{}}],{policy}}}]{more}}}"#);
    let endpoint = Channel::builder(format!("http://{}", server.address)).service_config(&config).unwrap();
    endpoint.connect_lazy().unwrap()
}

/// What the server knows of an attempt: the number that the client says came before it.
fn previous<T>(request: &Request<T>) -> Option<u32> {
    let value = request.metadata().first("grpc-previous-rpc-attempts")?;
    Some(std::str::from_utf8(value).unwrap().parse().unwrap())
}

type Attempts = mpsc::UnboundedReceiver<Option<u32>>;

/// A server that fails so many attempts of each kind of call and answers with all requests then, and the number of previous
/// attempts in each.
async fn failing(failures: u32, pushback: Option<&'static str>) -> (Running, Attempts) {
    let (sender, attempts) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicU32::new(0));
    let server = serve(move |call: Call| {
        let (sender, count) = (sender.clone(), Arc::clone(&count));
        call.streaming(codec::Bytes, move |request: Request<Streaming<Bytes>>| async move {
            let _ = sender.send(previous(&request));
            let mut requests = request.into_inner();
            let mut all = Vec::new();
            while let Some(message) = requests.message().await? {
                all.push(Ok::<_, Status>(message));
            }
            if count.fetch_add(1, Ordering::SeqCst) >= failures {
                return Ok(Response::new(Iter(all.into_iter())));
            }
            let mut status = Status::unavailable("not yet");
            if let Some(text) = pushback {
                status.metadata_mut().append("grpc-retry-pushback-ms", text).unwrap();
            }
            Err(status)
        });
    })
    .await;
    (server, attempts)
}

fn previous_attempts(attempts: &mut Attempts) -> Vec<Option<u32>> {
    std::iter::from_fn(|| attempts.try_recv().ok()).collect()
}

async fn streamed(channel: &Channel, messages: Vec<Bytes>) -> Result<Vec<Bytes>, Status> {
    let request = Request::new(Iter(messages.into_iter()));
    let response = channel.streaming("/test.Service/Method", codec::Bytes, request).await?;
    let mut responses: Streaming<Bytes> = response.into_inner();
    let mut all = Vec::new();
    while let Some(message) = responses.message().await? {
        all.push(message);
    }
    Ok(all)
}

/// A call of one of the four kinds with this text as its only request; what came back.
async fn call(channel: &Channel, kind: usize, text: &'static str) -> Result<Bytes, Status> {
    const PATH: &str = "/test.Service/Method";
    let once = || Request::new(Iter(std::iter::once(Bytes::from(text))));
    match kind {
        0 => unary(channel, text).await,
        1 => {
            let request = Request::new(Bytes::from(text));
            let response: Response<Streaming<Bytes>> = channel.server_streaming(PATH, codec::Bytes, request).await?;
            Ok(response.into_inner().message().await?.unwrap())
        }
        2 => Ok(channel.client_streaming(PATH, codec::Bytes, once()).await?.into_inner()),
        _ => Ok(streamed(channel, vec![Bytes::from(text)]).await?.remove(0)),
    }
}

/// One call of each kind.
async fn each_kind(channel: &Channel, text: &'static str) -> Vec<Result<Bytes, Status>> {
    let mut results = Vec::new();
    for kind in 0..4 {
        results.push(call(channel, kind, text).await);
    }
    results
}

#[tokio::test]
async fn calls_of_every_kind_are_made_again_until_the_policy_ends_it() {
    within(async {
        for (failures, kind) in [0, 1, 2, 3].into_iter().flat_map(|failures| (0..4).map(move |kind| (failures, kind))) {
            let (server, mut attempts) = failing(failures, None).await;
            let channel = channel(&server, &retries(3));
            let result = call(&channel, kind, "hello").await;
            let seen = previous_attempts(&mut attempts);
            if failures < 3 {
                assert_eq!(result.unwrap(), "hello", "kind {kind}, {failures} failures");
            } else {
                let status = result.unwrap_err();
                assert_eq!((status.code(), status.message()), (Code::Unavailable, "not yet"), "kind {kind}");
            }
            assert_eq!(seen, [None, Some(1), Some(2)][..seen.len()], "kind {kind}");
            assert_eq!(seen.len() as u32, failures.min(2) + 1, "kind {kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_policy_or_with_retries_off_calls_are_made_once() {
    within(async {
        let (server, mut attempts) = failing(9, None).await;
        let config = format!(r#"{{"methodConfig":[{{"name":[{{}}],{}}}]}}"#, retries(3));
        let endpoint = Channel::builder(format!("http://{}", server.address)).service_config(&config).unwrap();
        let off = endpoint.retries(false).connect_lazy().unwrap();
        for channel in [&server.channel, &off] {
            for result in each_kind(channel, "hello").await {
                assert_eq!(result.unwrap_err().code(), Code::Unavailable);
            }
            assert_eq!(previous_attempts(&mut attempts), [None; 4]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_requests_is_sent_again_whole() {
    within(async {
        let (server, mut attempts) = failing(2, None).await;
        // Some of them wait for room, and some go by themselves.
        let messages: Vec<Bytes> = (0..200u8).map(|byte| Bytes::from(vec![byte; 1 + 7 * usize::from(byte)])).collect();
        let mut sent = messages.clone();
        sent.push(Bytes::from(vec![7; 70_000]));
        assert_eq!(streamed(&channel(&server, &retries(4)), sent.clone()).await.unwrap(), sent);
        assert_eq!(previous_attempts(&mut attempts), [None, Some(1), Some(2)]);
    })
    .await;
}

#[tokio::test]
async fn a_stream_longer_than_what_is_kept_is_sent_once() {
    within(async {
        for failures in [0, 1] {
            let (server, mut attempts) = failing(failures, None).await;
            let sent = vec![Bytes::from(vec![7; 100_000]); 5];
            let result = streamed(&channel(&server, &retries(4)), sent.clone()).await;
            match failures {
                0 => assert_eq!(result.unwrap(), sent),
                _ => assert_eq!(result.unwrap_err().code(), Code::Unavailable),
            }
            assert_eq!(previous_attempts(&mut attempts), [None]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_says_when_to_come_back_and_not_to() {
    within(async {
        let policy = retries(4).replace("0.001s", "3600s").replace("0.01s", "3600s");
        let (server, mut attempts) = failing(2, Some("1")).await;
        let channel = throttled(&server, &policy, "");
        assert_eq!(unary(&channel, "hello").await.unwrap(), "hello", "without waiting for an hour");
        assert_eq!(previous_attempts(&mut attempts), [None, Some(1), Some(2)]);
        let (server, mut attempts) = failing(2, Some("-1")).await;
        let channel = throttled(&server, &retries(4), "");
        assert_eq!(unary(&channel, "hello").await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(previous_attempts(&mut attempts), [None]);
    })
    .await;
}

#[tokio::test]
async fn a_channel_with_many_failures_makes_nothing_again_until_calls_succeed() {
    within(async {
        let (server, mut attempts) = failing(3, None).await;
        let more = r#","retryThrottling":{"maxTokens":3,"tokenRatio":1}"#;
        let channel = throttled(&server, &retries(5), more);
        assert_eq!(unary(&channel, "hello").await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(previous_attempts(&mut attempts), [None, Some(1)], "of 3 tokens 1 is left, which is less than half");
        assert_eq!(unary(&channel, "hello").await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(previous_attempts(&mut attempts), [None]);
        for _ in 0..3 {
            assert_eq!(unary(&channel, "hello").await.unwrap(), "hello");
        }
    })
    .await;
}

#[tokio::test]
async fn the_deadline_of_the_config_ends_a_call_between_attempts() {
    within(async {
        let (server, mut attempts) = failing(9, None).await;
        let policy = retries(4).replace("0.001s", "3600s").replace("0.01s", "3600s");
        let channel = channel(&server, &format!(r#""timeout":"0.2s",{policy}"#));
        for result in each_kind(&channel, "hello").await {
            let status = result.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "Deadline Exceeded"));
        }
        assert_eq!(previous_attempts(&mut attempts), [None; 4]);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_dropped_between_attempts_is_made_no_more() {
    within(async {
        let (server, mut attempts) = failing(9, Some("200")).await;
        let channel = channel(&server, &retries(4));
        let (feed, requests) = fed::<Bytes>();
        let request = Request::new(requests);
        let response = channel.streaming("/test.Service/Method", codec::Bytes, request).await.unwrap();
        let responses: Streaming<Bytes> = response.into_inner();
        assert_eq!(attempts.recv().await, Some(None));
        drop(responses);
        feed.closed().await;
        assert_eq!(previous_attempts(&mut attempts), []);
    })
    .await;
}

#[tokio::test]
async fn requests_and_responses_may_be_as_large_as_the_config_says_and_no_larger() {
    within(async {
        let (server, _attempts) = failing(0, None).await;
        for policy in ["", &format!("{},", retries(3))] {
            let plain = channel(&server, &format!(r#"{policy}"maxRequestMessageBytes":5"#));
            for (text, error) in [("12345", None), ("123456", Some("CLIENT: Sent message larger than max (6 vs. 5)"))] {
                for result in each_kind(&plain, text).await {
                    let error_seen = result.as_ref().err().map(|status| status.message().to_owned());
                    assert_eq!(error_seen.as_deref(), error, "{policy}");
                }
            }
            let plain = channel(&server, &format!(r#"{policy}"maxResponseMessageBytes":5"#));
            let error = "CLIENT: Received message larger than max (6 vs. 5)";
            for (text, error) in [("12345", None), ("123456", Some(error))] {
                for result in each_kind(&plain, text).await {
                    let seen = result.as_ref().err().map(|status| (status.code(), status.message().to_owned()));
                    assert_eq!(seen, error.map(|text| (Code::ResourceExhausted, text.to_owned())), "{policy}");
                }
            }
        }
    })
    .await;
}

/// A server whose first attempt hangs, and whose others answer; the number of previous attempts in each, and when the first
/// is dropped.
async fn first_hangs() -> (Running, Attempts, mpsc::UnboundedReceiver<oneshot::Receiver<()>>) {
    let (sender, attempts) = mpsc::unbounded_channel();
    let (report, hanging) = mpsc::unbounded_channel();
    let server = serve(move |call: Call| {
        let (sender, report) = (sender.clone(), report.clone());
        call.streaming(codec::Bytes, move |request: Request<Streaming<Bytes>>| async move {
            let number = previous(&request);
            let _ = sender.send(number);
            if number.is_none() {
                let (sender, dropped) = oneshot::channel();
                let _guard = Guard(Some(sender));
                let _ = report.send(dropped);
                std::future::pending::<()>().await;
            }
            Ok::<_, Status>(Response::new(request.into_inner()))
        });
    })
    .await;
    (server, attempts, hanging)
}

#[tokio::test]
async fn a_hedge_answers_for_an_attempt_that_hangs_and_that_is_cancelled() {
    within(async {
        let (server, mut attempts, mut hanging) = first_hangs().await;
        let channel = channel(&server, &hedges(2, "0.01s"));
        for result in each_kind(&channel, "hello").await {
            assert_eq!(result.unwrap(), "hello");
            assert_eq!((attempts.recv().await, attempts.recv().await), (Some(None), Some(Some(1))));
            hanging.recv().await.unwrap().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_delay_all_hedges_go_at_once_and_one_answers() {
    within(async {
        let (server, mut attempts, mut hanging) = first_hangs().await;
        let channel = channel(&server, &hedges(4, "0s"));
        let sent: Vec<Bytes> = (0..50u8).map(|byte| Bytes::from(vec![byte; 100])).collect();
        assert_eq!(streamed(&channel, sent.clone()).await.unwrap(), sent);
        // Another may have been cancelled before the server looked at it.
        assert_eq!(attempts.recv().await, Some(None));
        hanging.recv().await.unwrap().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_failure_brings_the_next_hedge_at_once_and_the_last_failure_is_the_call_s() {
    within(async {
        for (failures, ends) in [(2, Ok("hello")), (9, Err("not yet"))] {
            let (server, mut attempts) = failing(failures, None).await;
            let channel = channel(&server, &hedges(3, "3600s"));
            let result = unary(&channel, "hello").await;
            assert_eq!(result.as_deref().map_err(|status| status.message()), ends.map(str::as_bytes));
            assert_eq!(previous_attempts(&mut attempts), [None, Some(1), Some(2)]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_hedged_call_that_is_dropped_cancels_all_its_attempts() {
    within(async {
        let (report, mut begun) = mpsc::unbounded_channel();
        let server = serve(move |call: Call| {
            let report = report.clone();
            call.unary(codec::Bytes, move |_: Request<Bytes>| async move {
                let (sender, dropped) = oneshot::channel();
                let _guard = Guard(Some(sender));
                let _ = report.send(dropped);
                std::future::pending::<Result<Response<Bytes>, Status>>().await
            });
        })
        .await;
        let channel = channel(&server, &hedges(3, "0s"));
        let call = tokio::spawn(async move { unary(&channel, "hello").await });
        let mut dropped = Vec::new();
        for _ in 0..3 {
            dropped.push(begun.recv().await.unwrap());
        }
        call.abort();
        for dropped in dropped {
            dropped.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_config_that_is_wrong_says_where() {
    let error = Channel::builder("localhost:1").service_config(r#"{"methodConfig":3}"#).unwrap_err();
    assert!(error.to_string().contains("field:methodConfig error:is not an array"), "{error}");
}
