use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Poll, ready},
};

use bytes::Bytes;
use farcall_core::{Metadata, MethodPath, Status as CoreStatus};
use farcall_net::{Incoming, Outbox, Receiver, Responder};
use futures_core::Stream;

use crate::{
    Compression, Request, Response, Status, Streaming,
    codec::{self, Codec},
    load::{CallLoad, Load},
    request::Origin,
};

/// A call that waits for its handler.
///
/// Each of the four kinds runs the handler in a task of its own (on a runtime of one thread as soon as it waits for
/// something; up to then in the connection's). The handler's future is dropped when the call is
/// cancelled, past its deadline, or lost. A handler that panics ends its call with `UNKNOWN`.
#[derive(Debug)]
pub struct Call {
    incoming: Incoming,
    ending: Ending,
}

/// What goes with an answer that does not say it itself.
#[derive(Clone, Debug)]
struct Ending {
    compression: Compression,
    load: Option<CallLoad>,
}

impl Ending {
    fn add_to(&self, trailers: &mut Metadata) {
        if let Some(load) = &self.load {
            load.add_to(trailers);
        }
    }
}

impl Call {
    pub(crate) fn new(incoming: Incoming, compression: Compression, load: Option<&Load>) -> Call {
        Call { incoming, ending: Ending { compression, load: load.map(CallLoad::new) } }
    }

    /// The path that the client asks for, as a rule `/package.Service/Method`.
    pub fn path(&self) -> &str {
        &self.incoming.head.path
    }

    /// The method's name; empty when the path is not `/package.Service/Method`.
    pub fn method(&self) -> &str {
        MethodPath::parse(self.path()).map_or("", |path| path.method())
    }

    /// One request, one response.
    pub fn unary<C, T, R, H, F>(self, codec: C, handler: H)
    where
        C: Codec<T> + Codec<R>,
        T: Send + 'static,
        R: Send + 'static,
        H: FnOnce(Request<T>) -> F + Send + 'static,
        F: Future<Output = Result<Response<R>, Status>> + Send + 'static,
    {
        let ending = self.ending.clone();
        let Some((mut receiver, responder, received)) = self.open(<C as Codec<T>>::name(&codec)) else {
            return;
        };
        spawn(responder, |responder| async move {
            let result = async {
                let message = codec.decode(one_request(&mut receiver).await?)?;
                handler(received(message)).await
            };
            respond(responder, &codec, result.await, &ending);
        });
    }

    /// A stream of requests, one response.
    pub fn client_streaming<C, T, R, H, F>(self, codec: C, handler: H)
    where
        C: Codec<T> + Codec<R> + Clone,
        T: Send + 'static,
        R: Send + 'static,
        H: FnOnce(Request<Streaming<T>>) -> F + Send + 'static,
        F: Future<Output = Result<Response<R>, Status>> + Send + 'static,
    {
        let ending = self.ending.clone();
        let Some((receiver, responder, received)) = self.open(<C as Codec<T>>::name(&codec)) else { return };
        spawn(responder, |responder| async move {
            let requests = Streaming::of_server(receiver, codec.clone());
            let result = handler(received(requests)).await;
            respond(responder, &codec, result, &ending);
        });
    }

    /// One request, a stream of responses.
    pub fn server_streaming<C, T, S, R, H, F>(self, codec: C, handler: H)
    where
        C: Codec<T> + Codec<R>,
        T: Send + 'static,
        R: Send + 'static,
        S: Stream<Item = Result<R, Status>> + Send + 'static,
        H: FnOnce(Request<T>) -> F + Send + 'static,
        F: Future<Output = Result<Response<S>, Status>> + Send + 'static,
    {
        let ending = self.ending.clone();
        let Some((mut receiver, responder, received)) = self.open(<C as Codec<T>>::name(&codec)) else {
            return;
        };
        spawn(responder, |responder| async move {
            let result = async {
                let message = codec.decode(one_request(&mut receiver).await?)?;
                handler(received(message)).await
            };
            stream(responder, &codec, result.await, &ending).await;
        });
    }

    /// A stream of requests, a stream of responses.
    pub fn streaming<C, T, S, R, H, F>(self, codec: C, handler: H)
    where
        C: Codec<T> + Codec<R> + Clone,
        T: Send + 'static,
        R: Send + 'static,
        S: Stream<Item = Result<R, Status>> + Send + 'static,
        H: FnOnce(Request<Streaming<T>>) -> F + Send + 'static,
        F: Future<Output = Result<Response<S>, Status>> + Send + 'static,
    {
        let ending = self.ending.clone();
        let Some((receiver, responder, received)) = self.open(<C as Codec<T>>::name(&codec)) else { return };
        spawn(responder, |responder| async move {
            let requests = Streaming::of_server(receiver, codec.clone());
            let result = handler(received(requests)).await;
            stream(responder, &codec, result, &ending).await;
        });
    }

    /// Ends the call with `UNIMPLEMENTED`: there is no such method here.
    pub fn unimplemented(self) {
        self.refuse(Status::unimplemented("Method not found!"));
    }

    /// Ends the call with this status.
    pub fn refuse(self, status: Status) {
        fail(self.incoming.responder, status, &self.ending);
    }

    /// The two directions, and what makes a request of a message. `None` when the messages are not of the method's codec:
    /// then the call is refused.
    fn open<T>(
        self,
        codec: Option<&'static str>,
    ) -> Option<(Receiver, Responder, impl FnOnce(T) -> Request<T> + Send + 'static)> {
        let incoming = self.incoming;
        if let Some(codec) = codec
            && !incoming.head.subtype.is_served_by(Some(codec))
        {
            incoming.responder.refuse_subtype(codec);
            return None;
        }
        let origin = Origin {
            deadline: incoming.head.deadline,
            peer: incoming.peer,
            load: self.ending.load.as_ref().map(|load| load.call.clone()),
            #[cfg(feature = "tls")]
            handshake: incoming.handshake,
        };
        let (head, receiver, responder) = (incoming.head, incoming.receiver, incoming.responder);
        Some((receiver, responder, move |message| Request::received(message, head.metadata, origin)))
    }
}

fn spawn<H, F>(responder: Responder, handler: H)
where
    H: FnOnce(Responder) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let scope = responder.scope();
    scope.run(handler(responder));
}

/// The one message of a request that has one. It counts as in the handler's hands until the receiver is dropped.
async fn one_request(receiver: &mut Receiver) -> Result<Bytes, Status> {
    let mut messages = poll_fn(|context| receiver.poll_all(context)).await;
    match (messages.next(), messages.is_empty()) {
        (Some(message), true) => Ok(message),
        (None, _) => Err(Status::unimplemented("the client sent no request message")),
        (Some(_), false) => Err(Status::unimplemented("the client sent more than one request message")),
    }
}

fn respond<R>(responder: Responder, codec: &impl Codec<R>, result: Result<Response<R>, Status>, ending: &Ending) {
    let answer = result.and_then(|response| {
        let (message, headers, trailers, own) = response.split();
        let compression = codec::compression(codec, &message, own.unwrap_or(ending.compression));
        Ok((codec::encode(codec, &message)?, headers, trailers, compression))
    });
    match answer {
        Ok((message, headers, mut trailers, compression)) => {
            ending.add_to(&mut trailers);
            let headers = (!headers.is_empty()).then_some(headers);
            responder.respond_with(headers, message, compression, trailers);
        }
        Err(status) => fail(responder, status, ending),
    }
}

async fn stream<S, R>(
    mut responder: Responder,
    codec: &impl Codec<R>,
    result: Result<Response<S>, Status>,
    ending: &Ending,
) where
    S: Stream<Item = Result<R, Status>>,
{
    let (messages, headers, mut trailers, own) = match result {
        Ok(response) => response.split(),
        Err(status) => return fail(responder, status, ending),
    };
    responder.headers(headers, own.unwrap_or(ending.compression));
    match send_all(responder.outbox(), codec, messages).await {
        Ok(()) => {
            ending.add_to(&mut trailers);
            responder.respond(CoreStatus::OK, trailers);
        }
        Err(status) => fail(responder, status, ending),
    }
}

async fn send_all<S, R>(outbox: &mut Outbox, codec: &impl Codec<R>, messages: S) -> Result<(), Status>
where
    S: Stream<Item = Result<R, Status>>,
{
    let mut messages = pin!(messages);
    poll_fn(|context| {
        loop {
            ready!(outbox.poll_ready(context));
            let Poll::Ready(next) = messages.as_mut().poll_next(context) else {
                outbox.flush();
                return Poll::Pending;
            };
            let Some(message) = next.transpose()? else { return Poll::Ready(Ok(())) };
            if !codec::put(codec, &message, outbox)? {
                // The call is over, and this task about to be dropped.
                return Poll::Ready(Ok(()));
            }
        }
    })
    .await
}

fn fail(responder: Responder, status: Status, ending: &Ending) {
    let (status, mut trailers): (CoreStatus, Metadata) = status.split();
    ending.add_to(&mut trailers);
    responder.respond(status, trailers);
}
