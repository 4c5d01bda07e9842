//! What goes wrong is told promptly, in gRPC's words, and hurts nothing else.

use crate::common::{Hanging, echo, serve, serve_with, unary, within};
use bytes::{Bytes, BytesMut};
use farcall::{Channel, Code, Request, Response, Server, Status, codec, codec::Codec};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A port that nobody listens on.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn nobody_listens() {
    within(async {
        let port = closed_port().await;
        let channel = Channel::new(format!("http://127.0.0.1:{port}")).unwrap();
        let status = unary(&channel, "").await.unwrap_err();
        let text = format!(
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:{port}: Failed to connect to \
             remote host: Connection refused"
        );
        assert_eq!((status.code(), status.message()), (Code::Unavailable, &*text));
        // Within the back-off calls fail at once, with the same reason.
        assert_eq!(unary(&channel, "").await.unwrap_err().message(), text);
        let error = Channel::builder(format!("http://127.0.0.1:{port}")).connect().await.unwrap_err();
        assert_eq!(error.to_string(), text);
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn there_is_no_such_socket() {
    within(async {
        let channel = Channel::new("unix:/nonexist").unwrap();
        let status = unary(&channel, "").await.unwrap_err();
        let text = "failed to connect to all addresses; last error: FAILED_PRECONDITION: unix:/nonexist: connect failed: \
                    addr: unix:/nonexist error: No such file or directory";
        assert_eq!((status.code(), status.message()), (Code::Unavailable, text));
    })
    .await;
}

#[tokio::test]
async fn there_is_no_such_name() {
    within(async {
        let channel = Channel::new("nx.invalid:1").unwrap();
        let status = unary(&channel, "").await.unwrap_err();
        let text = "errors resolving nx.invalid:1: [field:hostname lookup error:address lookup failed for \
                    nx.invalid:1: Domain name not found]";
        assert_eq!((status.code(), status.message()), (Code::Unavailable, text));
    })
    .await;
}

#[tokio::test]
async fn a_target_that_does_not_parse_is_named() {
    for target in ["", "https://example.com", "http://a/b", "ipv4:1.2.3:5", "unix:"] {
        assert!(Channel::new(target).unwrap_err().to_string().contains(&format!("'{target}'")), "{target}");
    }
}

/// Accepts one connection after the other, says `words` and hangs up.
async fn says(words: &'static [u8]) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(words).await;
            let _ = socket.shutdown().await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        }
    });
    Channel::new(format!("http://{address}")).unwrap()
}

#[tokio::test]
async fn servers_of_something_else_are_unavailable() {
    within(async {
        let words: [&'static [u8]; 5] = [
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"",
            b"\0",
            // A SETTINGS frame that breaks off.
            b"\0\0\x06\x04\0\0\0\0\0\0\x03",
        ];
        for words in words {
            let channel = says(words).await;
            let status = unary(&channel, "").await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{}: {status}", words.escape_ascii());
            assert!(status.message().starts_with("failed to connect to all addresses; last error: "), "{status}");
        }
    })
    .await;
}

#[tokio::test]
async fn clients_of_something_else_do_not_hurt_a_server() {
    within(async {
        let server = serve(echo).await;
        let mut garbage: Vec<Vec<u8>> = vec![
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x03".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff".to_vec(),
        ];
        // Multiplication by an odd number spreads over all bytes: garbage that is the same in every run.
        garbage.extend((1..20u32).map(|seed| (0..997u32).map(|i| (i.wrapping_mul(seed * 7919) >> 7) as u8).collect()));
        for garbage in garbage {
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            // The server may hang up before it has read everything.
            let _ = socket.write_all(&garbage).await;
            let _ = socket.shutdown().await;
            let mut answer = Vec::new();
            let _ = socket.read_to_end(&mut answer).await;
            assert_eq!(unary(&server.channel, "still there").await.unwrap(), "still there");
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_dies_fails_the_calls_under_way() {
    within(async {
        let mut hanging = Hanging::new();
        let server = serve(hanging.handler()).await;
        let channel = server.channel.clone();
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let channel = channel.clone();
                tokio::spawn(async move { unary(&channel, "").await })
            })
            .collect();
        let mut handlers = Vec::new();
        for _ in &calls {
            handlers.push(hanging.begun().await);
        }
        server.abort().await;
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
        }
        for handler in handlers {
            handler.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_at_the_limit_passes_and_one_past_it_does_not() {
    within(async {
        let limited = Server::builder().max_decoding_message_size(1000);
        let server = serve_with(limited, "127.0.0.1:0", echo).await;
        assert_eq!(unary(&server.channel, vec![0; 1000]).await.unwrap().len(), 1000);
        let status = unary(&server.channel, vec![0; 1001]).await.unwrap_err();
        let text = "SERVER: Received message larger than max (1001 vs. 1000)";
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text));

        let server = serve(echo).await;
        let channel = Channel::builder(format!("http://{}", server.address)).max_decoding_message_size(1000);
        let channel = channel.connect().await.unwrap();
        assert_eq!(unary(&channel, vec![0; 1000]).await.unwrap().len(), 1000);
        let status = unary(&channel, vec![0; 1001]).await.unwrap_err();
        let text = "CLIENT: Received message larger than max (1001 vs. 1000)";
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text));

        let channel = Channel::builder(format!("http://{}", server.address)).max_encoding_message_size(1000);
        let channel = channel.connect().await.unwrap();
        assert_eq!(unary(&channel, vec![0; 1000]).await.unwrap().len(), 1000);
        let status = unary(&channel, vec![0; 1001]).await.unwrap_err();
        let text = "CLIENT: Sent message larger than max (1001 vs. 1000)";
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text));
        assert_eq!(unary(&channel, "next").await.unwrap(), "next");
    })
    .await;
}

#[tokio::test]
async fn the_default_limit_is_4_mib() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                Ok::<_, Status>(Response::new(Bytes::from(request.get_ref().len().to_string())))
            });
        })
        .await;
        assert_eq!(unary(&server.channel, vec![0; 4 << 20]).await.unwrap(), "4194304");
        let status = unary(&server.channel, vec![0; (4 << 20) + 1]).await.unwrap_err();
        let text = "SERVER: Received message larger than max (4194305 vs. 4194304)";
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text));
    })
    .await;
}

/// Strings, of which some cannot be encoded and some not decoded.
#[derive(Clone)]
struct Picky;

impl Codec<String> for Picky {
    fn encode(&self, message: &String, buffer: &mut BytesMut) -> Result<(), Status> {
        buffer.extend_from_slice(message.as_bytes());
        if message == "unsayable" { Err(Status::internal("cannot say that")) } else { Ok(()) }
    }

    fn decode(&self, message: Bytes) -> Result<String, Status> {
        match str::from_utf8(&message) {
            Ok("unheard of") => Err(Status::internal("cannot hear that")),
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }
}

async fn picky(channel: &Channel, text: &str) -> Result<String, Status> {
    channel.unary("/test.Service/Method", Picky, Request::new(text.to_owned())).await.map(Response::into_inner)
}

#[tokio::test]
async fn what_cannot_be_encoded_or_decoded_fails_its_call_alone() {
    within(async {
        let server = serve(|call| {
            call.unary(Picky, |request: Request<String>| async move {
                let text = request.into_inner();
                Ok::<_, Status>(Response::new(text.strip_prefix("answer ").unwrap_or(&text).to_owned()))
            });
        })
        .await;
        for (text, expected) in [
            ("unsayable", "cannot say that"),
            ("answer unsayable", "cannot say that"),
            ("unheard of", "cannot hear that"),
            ("answer unheard of", "cannot hear that"),
        ] {
            let status = picky(&server.channel, text).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::Internal, expected), "{text}");
            assert_eq!(picky(&server.channel, "fine").await.unwrap(), "fine");
        }
    })
    .await;
}

/// Small messages that come together are decoded before they are asked for: nobody may see that.
#[tokio::test]
async fn what_cannot_be_decoded_ends_a_stream_after_the_messages_before_it() {
    within(async {
        let server = serve(|call| {
            call.server_streaming(codec::Bytes, |request: Request<Bytes>| async move {
                let bad = str::from_utf8(request.get_ref()).unwrap().parse::<usize>().unwrap();
                let texts = (0..100).map(move |index| if index == bad { "unheard of" } else { "fine" });
                Ok::<_, Status>(Response::new(crate::common::Iter(
                    texts.map(|text| Ok(Bytes::from_static(text.as_bytes()))),
                )))
            });
        })
        .await;
        for bad in [0, 1, 5, 6, 7, 8, 50, 99, 100] {
            let request = Request::new(bad.to_string());
            let responses = server.channel.server_streaming("/test.Service/Method", Picky, request).await;
            let mut responses: farcall::Streaming<String> = responses.unwrap().into_inner();
            for _ in 0..bad {
                assert_eq!(responses.message().await.unwrap().unwrap(), "fine");
            }
            if bad < 100 {
                let status = responses.message().await.unwrap_err();
                assert_eq!((status.code(), status.message()), (Code::Internal, "cannot hear that"));
            }
            assert_eq!(responses.message().await.unwrap(), None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    within(async {
        let server = serve(echo).await;
        let error = Server::builder().bind(server.address).await.unwrap_err();
        let text = format!("Failed to bind to address {}: Address already in use", server.address);
        assert_eq!(error.to_string(), text);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_hung_up_on() {
    within(async {
        let impatient = Server::builder().handshake_timeout(std::time::Duration::from_millis(200));
        let server = serve_with(impatient, "127.0.0.1:0", echo).await;
        let mut silent = TcpStream::connect(server.address).await.unwrap();
        silent.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
        silent.read_to_end(&mut Vec::new()).await.unwrap();
        let mut patient = Request::new(Bytes::from("still there"));
        patient.set_wait_for_ready(true);
        let answer: Response<Bytes> =
            server.channel.unary("/test.Service/Method", codec::Bytes, patient).await.unwrap();
        assert_eq!(answer.get_ref(), "still there");
    })
    .await;
}
