//! Dropping a call cancels it, wherever it is.

use crate::common::{Guard, Hanging, Iter, fed, serve, server_streaming, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Connectivity, Request, Response, Status, Streaming, codec};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
};

#[tokio::test]
async fn dropping_a_unary_call_drops_its_handler() {
    within(async {
        let mut hanging = Hanging::new();
        let server = serve(hanging.handler()).await;
        let channel = server.channel.clone();
        let call = tokio::spawn(async move { unary(&channel, "").await });
        let dropped = hanging.begun().await;
        call.abort();
        dropped.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn dropping_one_call_leaves_the_others() {
    within(async {
        let server = serve(|call| match call.method() {
            "Method" => crate::common::echo(call),
            _ => Hanging::new().handler()(call),
        })
        .await;
        for number in 0..200u32 {
            let hang =
                server.channel.unary::<_, _, Bytes>("/test.Service/Hang", codec::Bytes, Request::new(Bytes::new()));
            tokio::select! {
                biased;
                _ = hang => panic!("it hangs"),
                answer = unary(&server.channel, number.to_string()) => assert_eq!(answer.unwrap(), number.to_string()),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn dropping_the_responses_drops_the_servers_stream() {
    within(async {
        let (report, mut began) = mpsc::unbounded_channel();
        let server = serve(move |call| {
            let (sender, dropped) = oneshot::channel();
            report.send(dropped).unwrap();
            let guard = Guard(Some(sender));
            call.server_streaming(codec::Bytes, |_: Request<Bytes>| async {
                let endless = std::iter::repeat_with(move || {
                    let _held = &guard;
                    Ok::<_, Status>(Bytes::from_static(&[0; 1024]))
                });
                Ok::<_, Status>(Response::new(Iter(endless)))
            });
        })
        .await;
        let mut responses = server_streaming(&server.channel, "").await.unwrap();
        responses.message().await.unwrap().unwrap();
        let dropped = began.recv().await.unwrap();
        drop(responses);
        dropped.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn dropping_a_conversation_drops_both_its_streams() {
    within(async {
        let (report, mut began) = mpsc::unbounded_channel();
        let server = serve(move |call| {
            let (sender, dropped) = oneshot::channel();
            report.send(dropped).unwrap();
            let guard = Guard(Some(sender));
            call.streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async move {
                let _held = guard;
                let mut requests = request.into_inner();
                // The handler itself waits for ever, with the client's messages at hand.
                while requests.message().await?.is_some() {}
                std::future::pending::<()>().await;
                Ok::<_, Status>(Response::new(requests))
            });
        })
        .await;
        let (feed, requests) = fed::<Bytes>();
        let channel = server.channel.clone();
        let call = tokio::spawn(async move {
            let request = Request::new(requests);
            let _responses = channel.streaming::<_, _, Bytes>("/test.Service/Method", codec::Bytes, request).await;
            std::future::pending::<()>().await;
        });
        let dropped = began.recv().await.unwrap();
        feed.send(Bytes::from("hello")).await.unwrap();
        call.abort();
        feed.closed().await;
        dropped.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_server_hears_of_it_in_its_requests() {
    within(async {
        let (report, mut told) = mpsc::unbounded_channel();
        let server = serve(move |call| {
            let report = report.clone();
            call.client_streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async move {
                let mut requests = request.into_inner();
                // In a task of its own it outlives the handler.
                tokio::spawn(async move {
                    while let Ok(Some(message)) = requests.message().await {
                        report.send(Ok(message)).unwrap();
                    }
                    report.send(requests.message().await.map(Option::unwrap_or_default)).unwrap();
                });
                std::future::pending::<Result<Response<Bytes>, Status>>().await
            });
        })
        .await;
        let (feed, requests) = fed::<Bytes>();
        let channel = server.channel.clone();
        let call = tokio::spawn(async move {
            channel
                .client_streaming::<_, _, Bytes>("/test.Service/Method", codec::Bytes, Request::new(requests))
                .await
                .map(drop)
        });
        feed.send(Bytes::from("hello")).await.unwrap();
        assert_eq!(told.recv().await.unwrap().unwrap(), "hello");
        call.abort();
        assert_eq!(told.recv().await.unwrap().unwrap(), "", "the stream has ended");
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_stream_of_requests_is_no_whole_one() {
    within(async {
        let (report, mut told) = mpsc::unbounded_channel();
        let server = serve(move |call| {
            let report = report.clone();
            call.client_streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async move {
                let mut requests = request.into_inner();
                report.send(Ok(None)).unwrap();
                tokio::spawn(async move { report.send(requests.message().await).unwrap() });
                std::future::pending::<Result<Response<Bytes>, Status>>().await
            });
        })
        .await;
        let (_feed, requests) = fed::<Bytes>();
        let channel = server.channel.clone();
        let call = tokio::spawn(async move {
            channel
                .client_streaming::<_, _, Bytes>("/test.Service/Method", codec::Bytes, Request::new(requests))
                .await
                .map(drop)
        });
        told.recv().await.unwrap().unwrap();
        call.abort();
        assert_eq!(told.recv().await.unwrap().unwrap_err().code(), Code::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn a_call_dropped_before_there_is_a_connection_is_never_made() {
    within(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let call = tokio::spawn({
            let channel = channel.clone();
            async move { unary(&channel, "").await }
        });
        let (mut socket, _) = listener.accept().await.unwrap();
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        // Now the connection could take calls.
        socket.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        while channel.state() != Connectivity::Ready {
            channel.state_changed(Connectivity::Connecting).await;
        }
        drop(channel);
        let mut sent = Vec::new();
        socket.read_to_end(&mut sent).await.unwrap();
        let mut frames = sent.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut kinds = Vec::new();
        while let [a, b, c, kind, rest @ ..] = frames {
            kinds.push(*kind);
            frames = &rest[5 + u32::from_be_bytes([0, *a, *b, *c]) as usize..];
        }
        let (settings, headers) = (4, 1);
        assert!(kinds.contains(&settings) && !kinds.contains(&headers), "frames of the kinds {kinds:?}");
    })
    .await;
}

#[tokio::test]
async fn a_handler_is_not_dropped_for_having_answered() {
    within(async {
        let (report, mut told) = mpsc::unbounded_channel();
        let server = serve(move |call| {
            let report = report.clone();
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                // A long answer, many times yielding, is still whole.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                report.send(()).unwrap();
                Ok::<_, Status>(Response::new(request.into_inner()))
            });
        })
        .await;
        assert_eq!(unary(&server.channel, "x").await.unwrap(), "x");
        told.recv().await.unwrap();
    })
    .await;
}
