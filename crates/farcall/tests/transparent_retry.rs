//! A call that a server certainly did nothing for goes again, once (gRFC A6).

use crate::common::{Iter, server_streaming, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Request, Streaming, codec};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const REFUSED_STREAM: u32 = 7;
// Frame types.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
// Flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A whole answer: one empty message, and OK.
fn answer(stream: u32) -> Vec<u8> {
    // `:status: 200` from the static table; `content-type` by its name there; `grpc-status` in full.
    let headers = b"\x88\x0f\x10\x10application/grpc";
    let trailers = b"\x00\x0bgrpc-status\x010";
    [
        frame(HEADERS, END_HEADERS, stream, headers),
        frame(DATA, 0, stream, &[0; 5]),
        frame(HEADERS, END_HEADERS | END_STREAM, stream, trailers),
    ]
    .concat()
}

/// Serves one connection, word by word: the first calls are refused. Tells of each call that comes.
async fn refuse_first(mut socket: TcpStream, mut refusals: usize, calls: mpsc::UnboundedSender<()>) {
    socket.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let mut preface = [0; PREFACE.len()];
    socket.read_exact(&mut preface).await.unwrap();
    assert_eq!(preface, PREFACE);
    let mut head = [0; 9];
    while socket.read_exact(&mut head).await.is_ok() {
        let [a, b, c, kind, _, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        socket.read_exact(&mut payload).await.unwrap();
        if kind != HEADERS {
            continue;
        }
        calls.send(()).unwrap();
        let stream = u32::from_be_bytes(stream);
        if refusals > 0 {
            refusals -= 1;
            socket.write_all(&frame(RST_STREAM, 0, stream, &REFUSED_STREAM.to_be_bytes())).await.unwrap();
        } else {
            socket.write_all(&answer(stream)).await.unwrap();
        }
    }
}

/// A channel to a server that refuses its first calls, and how many came.
async fn refusing(refusals: usize) -> (Channel, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (sender, calls) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        refuse_first(socket, refusals, sender).await;
    });
    (channel, calls)
}

fn count(calls: &mut mpsc::UnboundedReceiver<()>) -> usize {
    std::iter::from_fn(|| calls.try_recv().ok()).count()
}

#[tokio::test]
async fn a_refused_call_goes_again() {
    within(async {
        let (channel, mut calls) = refusing(1).await;
        assert_eq!(unary(&channel, "hello").await.unwrap(), Bytes::new());
        assert_eq!(count(&mut calls), 2);
    })
    .await;
}

#[tokio::test]
async fn a_call_refused_twice_has_failed() {
    within(async {
        let (channel, mut calls) = refusing(2).await;
        assert_eq!(unary(&channel, "hello").await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(count(&mut calls), 2);
        assert_eq!(unary(&channel, "hello").await.unwrap(), Bytes::new(), "the connection is well");
    })
    .await;
}

#[tokio::test]
async fn one_request_for_many_responses_goes_again_too() {
    within(async {
        let (channel, mut calls) = refusing(1).await;
        let mut responses = server_streaming(&channel, "hello").await.unwrap();
        assert_eq!(responses.message().await.unwrap().unwrap(), Bytes::new());
        assert_eq!(responses.message().await.unwrap(), None);
        assert_eq!(count(&mut calls), 2);
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_requests_is_gone_and_does_not() {
    within(async {
        let (channel, mut calls) = refusing(1).await;
        let request = Request::new(Iter(std::iter::once(Bytes::new())));
        let response = channel.streaming("/test.Service/Method", codec::Bytes, request).await.unwrap();
        let mut responses: Streaming<Bytes> = response.into_inner();
        assert_eq!(responses.message().await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(count(&mut calls), 1);
    })
    .await;
}
