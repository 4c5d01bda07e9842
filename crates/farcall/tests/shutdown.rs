//! A server that stops: gracefully, or at once.

use crate::common::{Hanging, fed, serve, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Connectivity, Request, Response, Status, Streaming, codec};
use tokio::sync::{mpsc, oneshot};

#[tokio::test]
async fn a_graceful_stop_lets_calls_under_way_finish() {
    within(async {
        let (report, mut began) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        let mut server = serve(move |call| {
            let report = report.clone();
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                let (go, wait) = oneshot::channel();
                report.send(go).unwrap();
                wait.await.unwrap();
                Ok::<_, Status>(Response::new(request.into_inner()))
            });
        })
        .await;
        let channel = server.channel.clone();
        let call = tokio::spawn(async move { unary(&channel, "under way").await });
        let go = began.recv().await.unwrap();
        server.stop();
        // The client has heard of it when its channel leaves READY.
        while server.channel.state_changed(Connectivity::Ready).await == Connectivity::Ready {}
        go.send(()).unwrap();
        assert_eq!(call.await.unwrap().unwrap(), "under way");
        let channel = server.channel.clone();
        server.stopped().await;
        assert_eq!(unary(&channel, "too late").await.unwrap_err().code(), Code::Unavailable);
    })
    .await;
}

#[tokio::test]
async fn a_graceful_stop_lets_streams_finish() {
    within(async {
        let mut server = serve(|call| {
            call.streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
                Ok::<_, Status>(Response::new(request.into_inner()))
            });
        })
        .await;
        let (feed, requests) = fed();
        let response: Response<Streaming<Bytes>> =
            server.channel.streaming("/test.Service/Method", codec::Bytes, Request::new(requests)).await.unwrap();
        let mut responses = response.into_inner();
        server.stop();
        while server.channel.state_changed(Connectivity::Ready).await == Connectivity::Ready {}
        for number in 0..10 {
            feed.send(Bytes::from(number.to_string())).await.unwrap();
            assert_eq!(responses.message().await.unwrap().unwrap(), number.to_string());
        }
        drop(feed);
        assert_eq!(responses.message().await.unwrap(), None);
        server.stopped().await;
    })
    .await;
}

#[tokio::test]
async fn a_graceful_stop_does_not_wait_for_idle_connections() {
    within(async {
        let mut server = serve(crate::common::echo).await;
        assert_eq!(unary(&server.channel, "x").await.unwrap(), "x");
        // It has connected, and says nothing.
        let silent = tokio::net::TcpStream::connect(server.address).await.unwrap();
        server.stop();
        server.stopped().await;
        drop(silent);
    })
    .await;
}

#[tokio::test]
async fn a_stop_at_once_drops_handlers_and_fails_calls() {
    within(async {
        let mut hanging = Hanging::new();
        let server = serve(hanging.handler()).await;
        let channel = server.channel.clone();
        let call = tokio::spawn(async move { unary(&channel, "").await });
        let dropped = hanging.begun().await;
        server.abort().await;
        dropped.await.unwrap();
        assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
    })
    .await;
}

#[tokio::test]
async fn dropping_the_last_channel_lets_calls_finish_and_closes_the_connection() {
    within(async {
        let mut server = serve(|call| {
            call.streaming(codec::Bytes, |request: Request<Streaming<Bytes>>| async {
                Ok::<_, Status>(Response::new(request.into_inner()))
            });
        })
        .await;
        let channel = Channel::builder(format!("http://{}", server.address)).connect().await.unwrap();
        let (feed, requests) = fed();
        let response: Response<Streaming<Bytes>> =
            channel.streaming("/test.Service/Method", codec::Bytes, Request::new(requests)).await.unwrap();
        let mut responses = response.into_inner();
        drop(channel);
        feed.send(Bytes::from("after")).await.unwrap();
        assert_eq!(responses.message().await.unwrap().unwrap(), "after");
        drop(feed);
        assert_eq!(responses.message().await.unwrap(), None);
        // With the call the connection is over, or this would wait for it.
        server.stop();
        server.stopped().await;
    })
    .await;
}
