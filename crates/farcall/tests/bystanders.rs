//! What one caller does ends no other call: bursts of cancellations and deadlines, headers that are too large.

use std::time::Duration;

use crate::common::{Hanging, Running, echo, fed, next, serve, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Metadata, Request, Response, Status, codec, server::Call};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const MANY: usize = 4000;

fn serves(call: Call) {
    match call.method() {
        "Method" => echo(call),
        "Hang" => Hanging::new().handler()(call),
        "Chat" => call.streaming(codec::Bytes, |requests: Request<farcall::Streaming<Bytes>>| async move {
            Ok::<_, Status>(Response::new(requests.into_inner()))
        }),
        _ => call.unary(codec::Bytes, |_: Request<Bytes>| async {
            Err::<Response<Bytes>, _>(Status::new(Code::Internal, "a".repeat(130_000)))
        }),
    }
}

async fn method(channel: &Channel, path: &'static str, request: Request<Bytes>) -> Result<Bytes, Status> {
    channel.unary(path, codec::Bytes, request).await.map(Response::into_inner)
}

/// One call goes on while something else happens.
async fn chatting(server: &Running, meanwhile: impl Future<Output = ()>) {
    let (sender, requests) = fed();
    let call = server.channel.streaming("/test.Service/Chat", codec::Bytes, Request::new(requests));
    let (replies, ()) = tokio::join!(call, async { sender.send(Bytes::from_static(b"0")).await.unwrap() });
    let mut replies = replies.unwrap().into_inner();
    assert_eq!(next(&mut replies).await.unwrap().unwrap(), "0");
    meanwhile.await;
    for text in ["1", "2"] {
        sender.send(Bytes::from_static(text.as_bytes())).await.unwrap();
        assert_eq!(next(&mut replies).await.unwrap().unwrap(), text);
    }
    drop(sender);
    assert!(next(&mut replies).await.is_none());
    assert_eq!(unary(&server.channel, "after").await.unwrap(), "after");
}

#[tokio::test]
async fn a_burst_of_calls_that_are_cancelled() {
    within(async {
        let server = serve(serves).await;
        chatting(&server, async {
            let hang = |_| {
                let channel = server.channel.clone();
                tokio::spawn(async move { method(&channel, "/test.Service/Hang", Request::new(Bytes::new())).await })
            };
            let calls: Vec<_> = (0..MANY).map(hang).collect();
            assert_eq!(unary(&server.channel, "they are on their way").await.unwrap().len(), 21);
            calls.iter().for_each(tokio::task::JoinHandle::abort);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_burst_of_calls_whose_time_is_up() {
    within(async {
        let server = serve(serves).await;
        chatting(&server, async {
            let hang = |_| {
                let channel = server.channel.clone();
                tokio::spawn(async move {
                    let mut request = Request::new(Bytes::new());
                    request.set_timeout(Duration::from_millis(500));
                    method(&channel, "/test.Service/Hang", request).await
                })
            };
            for call in (0..MANY).map(hang).collect::<Vec<_>>() {
                assert_eq!(call.await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_long_error_is_cut_and_ends_its_call_alone() {
    within(async {
        let server = serve(serves).await;
        chatting(&server, async {
            let status = method(&server.channel, "/test.Service/Fail", Request::new(Bytes::new())).await.unwrap_err();
            assert_eq!(status.code(), Code::Internal);
            let note = "aaa [cut from 130000 bytes: the client takes 16384 bytes of headers]";
            assert!(status.message().len() > 7000 && status.message().ends_with(note), "{status:?}");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn request_metadata_that_is_too_large_ends_its_call_alone() {
    within(async {
        let server = serve(serves).await;
        chatting(&server, async {
            let mut metadata = Metadata::new();
            metadata.append("k", "v".repeat(90_000)).unwrap();
            let mut request = Request::new(Bytes::new());
            *request.metadata_mut() = metadata;
            let status = method(&server.channel, "/test.Service/Method", request).await.unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert!(status.message().starts_with("to-be-sent initial metadata size exceeds peer limit (90"));
        })
        .await;
    })
    .await;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A client that goes on sending while the server ends the connection still reads why.
#[tokio::test]
async fn a_server_that_ends_a_connection_is_heard() {
    within(async {
        let server = serve(serves).await;
        let mut client = TcpStream::connect(server.address).await.unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        bytes.extend(frame(6, 0, 1, &[0; 8]));
        client.write_all(&bytes).await.unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        // A socket that is closed for good would answer this with a reset.
        for _ in 0..20 {
            client.write_all(&frame(0, 0, 1, &[0; 16_000])).await.unwrap();
        }
        let words = b"a frame of the connection on a stream";
        assert!(got.windows(words.len()).any(|window| window == words));
    })
    .await;
}

/// A server says why it goes, and its socket is closed over what the client is still sending.
#[tokio::test]
async fn a_client_that_is_writing_hears_why_its_server_goes() {
    within(async {
        for (code, reason) in [(11u32, "too_many_pings"), (0, "max_age")] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                let (mut socket, _) = listener.accept().await.unwrap();
                let window = (1u32 << 28).to_be_bytes();
                let settings = frame(4, 0, 0, &[&[0, 4][..], &window].concat());
                socket.write_all(&[settings, frame(8, 0, 0, &window), frame(4, 1, 0, &[])].concat()).await.unwrap();
                let (mut buffer, mut got) = (vec![0; 65_536], 0);
                while got < 300_000 {
                    got += socket.read(&mut buffer).await.unwrap();
                }
                let said = [&1u32.to_be_bytes()[..], &code.to_be_bytes(), reason.as_bytes()].concat();
                socket.write_all(&frame(7, 0, 0, &said)).await.unwrap();
                // Closed with input that was not read: the system resets the connection.
            });
            let channel = Channel::new(format!("http://{address}")).unwrap();
            let status = unary(&channel, vec![0; 64 << 20]).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.message().contains(reason), "{status:?}");
        }
    })
    .await;
}
