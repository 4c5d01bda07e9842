//! Streams of requests, of responses, and of both.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::common::{Fed, Iter, fed, next, serve, serve_with, server_streaming, within};
use bytes::Bytes;
use farcall::{Channel, Code, Request, Response, Server, Status, Streaming, codec, server::Call};
use tokio::sync::oneshot;

fn numbers(count: u32) -> Iter<impl Iterator<Item = Result<Bytes, Status>>> {
    Iter((0..count).map(|number| Ok(Bytes::from(number.to_string()))))
}

/// Answers a number with as many messages.
fn count(call: Call) {
    call.server_streaming(codec::Bytes, |request: Request<Bytes>| async move {
        let count = str::from_utf8(request.get_ref()).unwrap().parse().unwrap();
        Ok::<_, Status>(Response::new(numbers(count)))
    });
}

#[tokio::test]
async fn responses_arrive_in_order_and_end() {
    within(async {
        let server = serve(count).await;
        for total in [0u32, 1, 2, 10_000] {
            let mut responses = server_streaming(&server.channel, total.to_string()).await.unwrap();
            for number in 0..total {
                assert_eq!(responses.message().await.unwrap().unwrap(), number.to_string());
            }
            assert_eq!(responses.message().await.unwrap(), None);
            assert_eq!(responses.message().await.unwrap(), None, "after the end there is nothing");
        }
    })
    .await;
}

#[tokio::test]
async fn responses_are_a_stream_too() {
    within(async {
        let server = serve(count).await;
        let mut responses = server_streaming(&server.channel, "2").await.unwrap();
        assert_eq!(next(&mut responses).await.unwrap().unwrap(), "0");
        assert_eq!(next(&mut responses).await.unwrap().unwrap(), "1");
        assert!(next(&mut responses).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_status_ends_the_responses() {
    within(async {
        let server = serve(|call| {
            call.server_streaming(codec::Bytes, |_: Request<Bytes>| async {
                let items = [Ok(Bytes::from("one")), Err(Status::data_loss("torn"))];
                Ok::<_, Status>(Response::new(Iter(items.into_iter())))
            });
        })
        .await;
        let mut responses = server_streaming(&server.channel, "").await.unwrap();
        assert_eq!(responses.message().await.unwrap().unwrap(), "one");
        let status = responses.message().await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::DataLoss, "torn"));
        assert_eq!(responses.message().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_status_instead_of_responses_is_told_at_once() {
    within(async {
        let server = serve(|call| {
            call.server_streaming(codec::Bytes, |_: Request<Bytes>| async {
                Err::<Response<Fed<Result<Bytes, Status>>>, _>(Status::permission_denied("no"))
            });
        })
        .await;
        let status = server_streaming(&server.channel, "").await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "no"));
    })
    .await;
}

/// Answers the sum of the lengths of all requests.
fn sum(call: Call) {
    call.client_streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
        let mut requests = request.into_inner();
        let (mut count, mut bytes) = (0, 0);
        while let Some(message) = requests.message().await? {
            count += 1;
            bytes += message.len();
        }
        Ok::<_, Status>(Response::new(Bytes::from(format!("{count} {bytes}"))))
    });
}

async fn client_streaming(
    channel: &Channel,
    requests: impl futures_core::Stream<Item = Bytes> + Send + 'static,
) -> Result<Bytes, Status> {
    let request = Request::new(requests);
    channel.client_streaming("/test.Service/Method", codec::Bytes, request).await.map(Response::into_inner)
}

#[tokio::test]
async fn requests_arrive_and_end() {
    within(async {
        let server = serve(sum).await;
        for count in [0usize, 1, 10_000] {
            let requests = Iter((0..count).map(|_| Bytes::from_static(&[7; 32])));
            let answer = client_streaming(&server.channel, requests).await.unwrap();
            assert_eq!(answer, format!("{count} {}", count * 32));
        }
    })
    .await;
}

#[tokio::test]
async fn requests_may_come_slowly() {
    within(async {
        let server = serve(sum).await;
        let (feed, requests) = fed();
        let feeder = tokio::spawn(async move {
            for _ in 0..100 {
                feed.send(Bytes::from_static(b"xyz")).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(client_streaming(&server.channel, requests).await.unwrap(), "100 300");
        feeder.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_server_may_answer_before_the_requests_end() {
    within(async {
        let server = serve(|call| {
            call.client_streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
                let first = request.into_inner().message().await?.unwrap();
                Ok::<_, Status>(Response::new(first))
            });
        })
        .await;
        let (feed, requests) = fed();
        feed.send(Bytes::from("first")).await.unwrap();
        assert_eq!(client_streaming(&server.channel, requests).await.unwrap(), "first");
        feed.closed().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_requests_that_panics_cancels_the_call() {
    within(async {
        let (report, mut began) = tokio::sync::mpsc::unbounded_channel();
        let server = serve(move |call| {
            let report = report.clone();
            call.client_streaming(codec::Bytes, move |request: Request<Streaming<Bytes>>| async move {
                let (sender, dropped) = oneshot::channel();
                let _guard = crate::common::Guard(Some(sender));
                report.send(dropped).unwrap();
                let mut requests = request.into_inner();
                while requests.message().await?.is_some() {}
                Ok::<_, Status>(Response::new(Bytes::from("half of the requests passed for the whole")))
            });
        })
        .await;
        let (feed, requests) = fed::<()>();
        let call = tokio::spawn({
            let channel = server.channel.clone();
            async move { client_streaming(&channel, Panics(requests)).await }
        });
        let dropped = began.recv().await.unwrap();
        drop(feed);
        let status = call.await.unwrap().unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Cancelled, "the stream of requests panicked"));
        dropped.await.unwrap();
    })
    .await;
}

/// Gives nothing, and panics when its feed ends.
struct Panics(Fed<()>);

impl futures_core::Stream for Panics {
    type Item = Bytes;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Bytes>> {
        match std::pin::Pin::new(&mut self.0).poll_next(context) {
            std::task::Poll::Ready(None) => panic!("as the test wants"),
            _ => std::task::Poll::Pending,
        }
    }
}

/// Answers each request as it comes.
fn chat(call: Call) {
    call.streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
        Ok::<_, Status>(Response::new(request.into_inner()))
    });
}

async fn streaming(
    channel: &Channel,
    requests: impl futures_core::Stream<Item = Bytes> + Send + 'static,
) -> Result<Streaming<Bytes>, Status> {
    let request = Request::new(requests);
    channel.streaming("/test.Service/Method", codec::Bytes, request).await.map(Response::into_inner)
}

#[tokio::test]
async fn a_conversation_goes_both_ways_in_turn() {
    within(async {
        let server = serve(chat).await;
        let (feed, requests) = fed();
        let mut responses = streaming(&server.channel, requests).await.unwrap();
        for number in 0..1000 {
            feed.send(Bytes::from(number.to_string())).await.unwrap();
            assert_eq!(responses.message().await.unwrap().unwrap(), number.to_string());
        }
        drop(feed);
        assert_eq!(responses.message().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_conversation_begins_before_the_server_answers() {
    within(async {
        let server = serve(|call| {
            call.streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
                let mut requests = request.into_inner();
                let first = requests.message().await?.unwrap();
                let mut response = Response::new(requests);
                response.metadata_mut().append("first", first).unwrap();
                Ok::<_, Status>(response)
            });
        })
        .await;
        let (feed, requests) = fed();
        let mut responses = streaming(&server.channel, requests).await.unwrap();
        feed.send(Bytes::from("hello")).await.unwrap();
        assert_eq!(responses.initial_metadata().await.first("first"), Some(&b"hello"[..]));
        feed.send(Bytes::from("again")).await.unwrap();
        assert_eq!(responses.message().await.unwrap().unwrap(), "again");
        drop(feed);
        assert_eq!(responses.message().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_conversation_that_ends_before_it_is_answered_says_why_with_its_first_message() {
    within(async {
        let server = serve(|call| {
            call.streaming(codec::Bytes, |_: Request<Streaming<Bytes>>| async {
                Err::<Response<Fed<Result<Bytes, Status>>>, _>(Status::permission_denied("no"))
            });
        })
        .await;
        for metadata_first in [false, true] {
            let (feed, requests) = fed();
            let mut responses = streaming(&server.channel, requests).await.unwrap();
            if metadata_first {
                assert!(responses.initial_metadata().await.is_empty());
            }
            let status = responses.message().await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "no"));
            assert_eq!(responses.message().await.unwrap(), None);
            assert!(responses.initial_metadata().await.is_empty());
            feed.closed().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_conversation_may_be_longer_than_any_buffer() {
    within(async {
        let server = serve(chat).await;
        let message = Bytes::from(vec![3; 100_000]);
        let requests = Iter(std::iter::repeat_n(message.clone(), 300));
        let mut responses = streaming(&server.channel, requests).await.unwrap();
        for _ in 0..300 {
            assert_eq!(responses.message().await.unwrap().unwrap(), message);
        }
        assert_eq!(responses.message().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_holds_the_server_back() {
    within(async {
        const MESSAGE: usize = 8 << 10;
        // What may lie between the two: both windows, and each side's buffers for sending.
        const BOUND: usize = 2 * (64 << 10) + 4 * (64 << 10) + (1 << 20);
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let server = serve(move |call| {
            let counter = Arc::clone(&counter);
            call.server_streaming(codec::Bytes, |_: Request<Bytes>| async move {
                Ok::<_, Status>(Response::new(Iter((0..4096).map(move |_| {
                    counter.fetch_add(MESSAGE, Ordering::SeqCst);
                    Ok(Bytes::from_static(&[0; MESSAGE]))
                }))))
            });
        })
        .await;
        let channel = Channel::builder(format!("http://{}", server.address))
            .initial_stream_window_size(64 << 10)
            .initial_connection_window_size(64 << 10)
            .connect()
            .await
            .unwrap();
        let mut responses = server_streaming(&channel, "").await.unwrap();
        let mut read = 0;
        while let Some(message) = responses.message().await.unwrap() {
            // Whatever else runs here may run ahead as far as it can.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            read += message.len();
            // The kernel's own buffers come on top.
            let ahead = made.load(Ordering::SeqCst) - read;
            assert!(ahead <= BOUND + (8 << 20), "{ahead} bytes ahead");
        }
        assert_eq!(read, 4096 * MESSAGE);
    })
    .await;
}

#[tokio::test]
async fn requests_nobody_reads_do_not_hold_up_other_calls() {
    within(async {
        let server = serve_with(
            Server::builder().initial_stream_window_size(64 << 10).initial_connection_window_size(128 << 10),
            "127.0.0.1:0",
            |call| match call.method() {
                "Ignore" => call.streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
                    drop(request);
                    let (feed, responses) = fed::<Result<Bytes, Status>>();
                    // The call goes on without its requests.
                    std::mem::forget(feed);
                    Ok::<_, Status>(Response::new(responses))
                }),
                _ => crate::common::echo(call),
            },
        )
        .await;
        let mut ignored = Vec::new();
        for _ in 0..8 {
            let requests = Iter(std::iter::repeat_n(Bytes::from_static(&[0; 4096]), 64));
            let request = Request::new(requests);
            let responses: Response<Streaming<Bytes>> =
                server.channel.streaming("/test.Service/Ignore", codec::Bytes, request).await.unwrap();
            ignored.push(responses);
        }
        assert_eq!(crate::common::unary(&server.channel, vec![1; 60_000]).await.unwrap().len(), 60_000);
    })
    .await;
}

#[tokio::test]
async fn trailers_follow_the_responses() {
    within(async {
        let server = serve(|call| {
            call.server_streaming(codec::Bytes, |_: Request<Bytes>| async {
                let mut response = Response::new(numbers(3));
                response.metadata_mut().append("x-first", "1").unwrap();
                response.trailers_mut().append("x-last", "2").unwrap();
                Ok::<_, Status>(response)
            });
        })
        .await;
        let request = Request::new(Bytes::new());
        let response: Response<Streaming<Bytes>> =
            server.channel.server_streaming("/test.Service/Method", codec::Bytes, request).await.unwrap();
        assert_eq!(response.metadata().first("x-first"), Some(&b"1"[..]));
        let trailers = response.into_inner().trailers().await.unwrap().unwrap();
        assert_eq!(trailers.first("x-last"), Some(&b"2"[..]));
    })
    .await;
}

#[tokio::test]
async fn empty_messages_do_not_use_up_a_window() {
    within(async {
        const MESSAGES: usize = 50_000;
        let server = serve(sum).await;
        let requests = Iter(std::iter::repeat_n(Bytes::new(), MESSAGES));
        assert_eq!(client_streaming(&server.channel, requests).await.unwrap(), format!("{MESSAGES} 0"));

        let small = Server::builder().initial_stream_window_size(100).initial_connection_window_size(65_535);
        let server = serve_with(small, "127.0.0.1:0", sum).await;
        let requests = Iter(std::iter::repeat_n(Bytes::new(), 1000));
        assert_eq!(client_streaming(&server.channel, requests).await.unwrap(), "1000 0");
    })
    .await;
}

#[tokio::test]
async fn many_conversations_share_a_small_window() {
    within(async {
        let server = serve_with(Server::builder().initial_connection_window_size(65_535), "127.0.0.1:0", chat).await;
        let channel = Channel::builder(format!("http://{}", server.address)).initial_connection_window_size(65_535);
        let channel = channel.connect().await.unwrap();
        // Each takes less than is worth telling by itself; together it is more than the window.
        let conversations: Vec<_> = (0..300)
            .map(|_| {
                let channel = channel.clone();
                tokio::spawn(async move {
                    let (feed, requests) = fed();
                    let mut responses = streaming(&channel, requests).await.unwrap();
                    for _ in 0..10 {
                        feed.send(Bytes::from_static(&[1; 300])).await.unwrap();
                        assert_eq!(responses.message().await.unwrap().unwrap().len(), 300);
                    }
                    responses
                })
            })
            .collect();
        for conversation in conversations {
            conversation.await.unwrap();
        }
    })
    .await;
}
