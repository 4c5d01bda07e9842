//! One request, one response.

use crate::common::{echo, serve, serve_with, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Request, Response, Server, Status, codec};

#[tokio::test]
async fn a_message_of_any_size_comes_back() {
    within(async {
        let server = serve(echo).await;
        for len in [0, 1, 100, 16_384, 70_000, (4 << 20) - 5] {
            let message = Bytes::from((0..len).map(|byte| byte as u8).collect::<Vec<_>>());
            assert_eq!(unary(&server.channel, message.clone()).await.unwrap(), message, "{len} bytes");
        }
    })
    .await;
}

#[tokio::test]
async fn calls_at_the_same_time_do_not_mix() {
    within(async {
        let server = serve(echo).await;
        let calls: Vec<_> = (0..500u32)
            .map(|number| {
                let channel = server.channel.clone();
                tokio::spawn(async move { (number, unary(&channel, number.to_be_bytes().to_vec()).await) })
            })
            .collect();
        for call in calls {
            let (number, answer) = call.await.unwrap();
            assert_eq!(answer.unwrap(), number.to_be_bytes()[..]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_from_many_threads_do_not_mix() {
    within(async {
        let server = serve(echo).await;
        let callers: Vec<_> = (0..8u32)
            .map(|caller| {
                let channel = server.channel.clone();
                tokio::spawn(async move {
                    for number in 0..200u32 {
                        let message = Bytes::from([caller.to_be_bytes(), number.to_be_bytes()].concat());
                        assert_eq!(unary(&channel, message.clone()).await.unwrap(), message);
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn one_request_after_the_other_reuses_the_connection() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                Ok::<_, Status>(Response::new(Bytes::from(request.remote_addr().unwrap().port().to_string())))
            });
        })
        .await;
        let first = unary(&server.channel, "").await.unwrap();
        for _ in 0..300 {
            assert_eq!(unary(&server.channel, "").await.unwrap(), first);
        }
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn over_a_unix_socket() {
    within(async {
        let address = format!("unix:{}/farcall-{}.sock", std::env::temp_dir().display(), std::process::id());
        let bound = Server::builder().add_service(crate::common::Closure(echo)).bind(&address).await.unwrap();
        let server = tokio::spawn(bound.serve());
        let channel = Channel::new(address).unwrap();
        assert_eq!(unary(&channel, "hello").await.unwrap(), "hello");
        server.abort();
    })
    .await;
}

#[tokio::test]
async fn a_name_is_resolved() {
    within(async {
        let server = serve_with(Server::builder(), "localhost:0", echo).await;
        let channel = Channel::new(format!("localhost:{}", server.address.port())).unwrap();
        assert_eq!(unary(&channel, "hello").await.unwrap(), "hello");
    })
    .await;
}

#[tokio::test]
async fn a_handlers_status_arrives_whole() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |_: Request<Bytes>| async {
                let mut status = Status::with_details(Code::NotFound, "bad ☃ %\n", [0, 1, 255]);
                status.metadata_mut().append("x-reason", "none").unwrap();
                Err::<Response<Bytes>, _>(status)
            });
        })
        .await;
        let status = unary(&server.channel, "").await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::NotFound, "bad ☃ %\n"));
        assert_eq!(status.details(), [0, 1, 255]);
        assert_eq!(status.metadata().first("x-reason"), Some(&b"none"[..]));
    })
    .await;
}

#[tokio::test]
async fn every_code_arrives() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                let code = Code::from_number(u32::from(request.get_ref()[0])).unwrap();
                Err::<Response<Bytes>, _>(Status::new(code, code.description()))
            });
        })
        .await;
        for code in Code::ALL.into_iter().filter(|code| *code != Code::Ok) {
            let status = unary(&server.channel, vec![code.number() as u8]).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (code, code.description()));
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented() {
    within(async {
        let server = serve(|call| match call.method() {
            "Method" => echo(call),
            _ => call.unimplemented(),
        })
        .await;
        for path in ["/test.Service/Other", "/other.Service/Method", "/", "/x", "/test.Service/"] {
            let request = Request::new(Bytes::new());
            let result: Result<Response<Bytes>, _> = server.channel.unary(path, codec::Bytes, request).await;
            let status = result.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::Unimplemented, "Method not found!"), "{path}");
        }
        assert_eq!(unary(&server.channel, "still").await.unwrap(), "still");
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_call_alone() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                assert!(request.get_ref() != "panic", "as the test wants");
                Ok::<_, Status>(Response::new(request.into_inner()))
            });
        })
        .await;
        let status = unary(&server.channel, "panic").await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unknown, "the handler panicked"));
        assert_eq!(unary(&server.channel, "well").await.unwrap(), "well");
    })
    .await;
}

#[tokio::test]
async fn a_service_that_panics_fails_its_call_alone() {
    within(async {
        let server = serve(|call| match call.method() {
            "Method" => echo(call),
            _ => panic!("as the test wants"),
        })
        .await;
        let request = Request::new(Bytes::new());
        let panicked = server.channel.unary::<_, _, Bytes>("/test.Service/Panic", codec::Bytes, request).await;
        assert_eq!(panicked.unwrap_err().code(), Code::Unknown);
        // On the same connection.
        assert_eq!(server.channel.state(), farcall::Connectivity::Ready);
        assert_eq!(unary(&server.channel, "well").await.unwrap(), "well");
    })
    .await;
}

#[tokio::test]
async fn calls_over_the_servers_limit_wait_their_turn() {
    within(async {
        let server = serve_with(Server::builder().max_concurrent_streams(1), "127.0.0.1:0", echo).await;
        let calls: Vec<_> = (0..50u32)
            .map(|number| {
                let channel = server.channel.clone();
                tokio::spawn(async move { unary(&channel, number.to_be_bytes().to_vec()).await })
            })
            .collect();
        for (number, call) in (0..50u32).zip(calls) {
            assert_eq!(call.await.unwrap().unwrap(), number.to_be_bytes()[..]);
        }
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn over_an_abstract_unix_socket() {
    within(async {
        let address = format!("unix-abstract:farcall-{}", std::process::id());
        let bound = Server::builder().add_service(crate::common::Closure(echo)).bind(&address).await.unwrap();
        let server = tokio::spawn(bound.serve());
        let channel = Channel::new(address).unwrap();
        assert_eq!(unary(&channel, "hello").await.unwrap(), "hello");
        server.abort();
    })
    .await;
}
