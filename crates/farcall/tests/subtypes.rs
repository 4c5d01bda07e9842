//! Codecs with names: what a client says its messages are, and what a method reads.

use crate::common::{Iter, serve, within};
use bytes::{Bytes, BytesMut};
use farcall::{
    Channel, Code, Request, Response, Status, Streaming,
    codec::{self, Codec},
    server::Call,
};

/// Bytes that go by a name.
#[derive(Clone)]
struct Named(Option<&'static str>);

impl Codec<Bytes> for Named {
    fn name(&self) -> Option<&'static str> {
        self.0
    }

    fn encode(&self, message: &Bytes, buffer: &mut BytesMut) -> Result<(), Status> {
        codec::Bytes.encode(message, buffer)
    }

    fn decode(&self, message: Bytes) -> Result<Bytes, Status> {
        Ok(message)
    }
}

/// Methods of all four kinds, whose messages go by this name.
fn serves(name: Option<&'static str>) -> impl Fn(Call) + Send + Sync + 'static {
    move |call| {
        let named = Named(name);
        match call.method() {
            "Unary" => call.unary(named, |request: Request<Bytes>| async move {
                Ok::<_, Status>(Response::new(request.into_inner()))
            }),
            "Many" => call.server_streaming(named, |request: Request<Bytes>| async move {
                let message = request.into_inner();
                Ok::<_, Status>(Response::new(Iter(std::iter::once(Ok(message)))))
            }),
            "Last" => call.client_streaming(named, |request: Request<Streaming<Bytes>>| async move {
                Ok::<_, Status>(Response::new(request.into_inner().message().await?.unwrap_or_default()))
            }),
            _ => call.streaming(named, |request: Request<Streaming<Bytes>>| async move {
                Ok::<_, Status>(Response::new(request.into_inner()))
            }),
        }
    }
}

/// The first answer to one message, by calls of all four kinds.
async fn answers(channel: &Channel, name: Option<&'static str>) -> [Result<Bytes, Status>; 4] {
    let (named, message) = (Named(name), Bytes::from("hello"));
    let many = || Request::new(Iter(std::iter::once(Bytes::from("hello"))));
    let unary = channel.unary("/test.Service/Unary", named.clone(), Request::new(message.clone()));
    let unary = unary.await.map(Response::into_inner);
    let responses = channel.server_streaming("/test.Service/Many", named.clone(), Request::new(message)).await;
    let responses = first(responses).await;
    let last = channel.client_streaming("/test.Service/Last", named.clone(), many()).await.map(Response::into_inner);
    let both = first(channel.streaming("/test.Service/Both", named, many()).await).await;
    [unary, responses, last, both]
}

async fn first(responses: Result<Response<Streaming<Bytes>>, Status>) -> Result<Bytes, Status> {
    responses?.into_inner().message().await.map(Option::unwrap_or_default)
}

#[tokio::test]
async fn a_method_serves_its_own_codec_and_refuses_others_by_name() {
    within(async {
        for (server, client, served) in [
            (Some("proto"), Some("proto"), true),
            (Some("proto"), None, true),
            (Some("proto"), Some("json"), false),
            (Some("json"), Some("json"), true),
            (Some("json"), Some("JSON"), true),
            // A client of protobuf's messages does not say so, as nearly all clients there are do not.
            (Some("json"), Some("proto"), true),
            (Some("json"), Some("msgpack"), false),
            (None, Some("json"), true),
            (None, None, true),
        ] {
            let running = serve(serves(server)).await;
            for answer in answers(&running.channel, client).await {
                match answer {
                    Ok(message) => assert!(served && message == "hello", "{client:?} of {server:?}"),
                    Err(status) => {
                        assert!(!served, "{client:?} of {server:?}: {status:?}");
                        assert_eq!(status.code(), Code::Unimplemented);
                        let (server, client) = (server.unwrap(), client.unwrap());
                        let text = format!(
                            "the method reads application/grpc and application/grpc+{server}, not application/grpc+{client}"
                        );
                        assert_eq!(status.message(), text);
                    }
                }
            }
        }
    })
    .await;
}
