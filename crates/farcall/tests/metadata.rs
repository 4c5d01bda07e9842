//! Metadata in every direction.

use crate::common::{serve, unary, within};
use bytes::Bytes;
use farcall::{Channel, Code, Metadata, Request, Response, Status, Streaming, codec};

/// The entries under a key that begins with `x-`, in order.
fn own(metadata: &Metadata) -> Vec<(String, Vec<u8>)> {
    let own = metadata.iter().filter(|(key, _)| key.starts_with("x-"));
    own.map(|(key, value)| (key.to_owned(), value.to_vec())).collect()
}

fn sample() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append("x-text", "one").unwrap();
    metadata.append("x-text", "two, and more").unwrap();
    metadata.append("x-empty", "").unwrap();
    metadata.append("x-all-bin", (0..=255).collect::<Vec<u8>>()).unwrap();
    metadata.append("x-all-bin", []).unwrap();
    metadata
}

#[tokio::test]
async fn goes_both_ways_unchanged_and_in_order() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                let mut response = Response::new(Bytes::new());
                for (key, value) in own(request.metadata()) {
                    response.metadata_mut().append(&key, &value).unwrap();
                    response.trailers_mut().append(&key, &value).unwrap();
                }
                Ok::<_, Status>(response)
            });
        })
        .await;
        let mut request = Request::new(Bytes::new());
        *request.metadata_mut() = sample();
        let response: Response<Bytes> =
            server.channel.unary("/test.Service/Method", codec::Bytes, request).await.unwrap();
        assert_eq!(own(response.metadata()), own(&sample()));
        assert_eq!(own(response.trailers()), own(&sample()));
    })
    .await;
}

#[tokio::test]
async fn goes_with_a_status() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |_: Request<Bytes>| async {
                Err::<Response<Bytes>, _>(Status::with_metadata(Code::Aborted, "no", sample()))
            });
        })
        .await;
        let status = unary(&server.channel, "").await.unwrap_err();
        assert_eq!(own(status.metadata()), own(&sample()));
    })
    .await;
}

#[tokio::test]
async fn goes_before_the_first_message_of_a_stream() {
    within(async {
        let (feed, held) = tokio::sync::mpsc::channel::<Result<Bytes, Status>>(1);
        let held = std::sync::Mutex::new(Some(held));
        let server = serve(move |call| {
            let held = held.lock().unwrap().take().unwrap();
            call.streaming(codec::Bytes, |_: Request<Streaming<Bytes>>| async {
                let mut response = Response::new(crate::common::Fed(held));
                *response.metadata_mut() = sample();
                Ok::<_, Status>(response)
            });
        })
        .await;
        let (_requests, never) = crate::common::fed::<Bytes>();
        let response: Response<Streaming<Bytes>> =
            server.channel.streaming("/test.Service/Method", codec::Bytes, Request::new(never)).await.unwrap();
        assert!(response.metadata().is_empty(), "it had not come yet");
        let mut responses = response.into_inner();
        assert_eq!(own(responses.initial_metadata().await), own(&sample()));
        drop(feed);
        assert_eq!(responses.message().await.unwrap(), None);
        assert_eq!(own(responses.initial_metadata().await), own(&sample()), "it is kept");
    })
    .await;
}

#[tokio::test]
async fn tells_the_user_agent_and_nothing_of_grpcs_own() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                let keys: Vec<&str> = request.metadata().iter().map(|(key, _)| key).collect();
                let agent = request.metadata().first("user-agent").unwrap_or_default().to_vec();
                Ok::<_, Status>(Response::new([keys.join(" ").into_bytes(), agent].join(&b'|').into()))
            });
        })
        .await;
        let channel =
            Channel::builder(format!("http://{}", server.address)).user_agent("mine/1").connect().await.unwrap();
        let answer = unary(&channel, "").await.unwrap();
        assert_eq!(answer, format!("user-agent|mine/1 farcall/{}", env!("CARGO_PKG_VERSION")));
    })
    .await;
}

#[tokio::test]
async fn more_than_the_server_takes_fails_the_call_alone() {
    within(async {
        let server = serve(crate::common::echo).await;
        let mut request = Request::new(Bytes::new());
        request.metadata_mut().append("x-large", vec![b'x'; 20_000]).unwrap();
        let result: Result<Response<Bytes>, _> =
            server.channel.unary("/test.Service/Method", codec::Bytes, request).await;
        assert_eq!(result.unwrap_err().code(), Code::ResourceExhausted);
        assert_eq!(unary(&server.channel, "next").await.unwrap(), "next");
    })
    .await;
}
