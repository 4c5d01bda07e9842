//! The four kinds of calls, from a client's side.

use std::{
    borrow::Cow,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use farcall_core::{Metadata, Status as CoreStatus};
use farcall_net::{Answered, NewCall, Receiver, Sender};
use futures_core::Stream;

use crate::{
    Channel, Request, Response, Status, Streaming,
    codec::{self, Codec},
    request::CallOptions,
};

impl Channel {
    /// One request, one response. `path` is `/package.Service/Method`.
    ///
    /// Dropping the future cancels the call.
    ///
    /// # Errors
    /// The status that the call ended with.
    pub async fn unary<C, T, R>(
        &self,
        path: impl Into<Cow<'static, str>>,
        codec: C,
        request: Request<T>,
    ) -> Result<Response<R>, Status>
    where
        C: Codec<T> + Codec<R>,
    {
        let (message, metadata, options) = request.split();
        let mut call = self.call(path, metadata, options, codec::subtype::<T>(&codec));
        call.encoding = codec::compression(&codec, &message, call.encoding);
        let answered = self.net.unary(call, codec::encode(&codec, &message)?).await?;
        answer(answered, &codec)
    }

    /// One request, a stream of responses.
    ///
    /// Dropping the future, or the stream before its end, cancels the call.
    ///
    /// # Errors
    /// The status of a call that ended without a response; later ends are told by the stream.
    pub async fn server_streaming<C, T, R>(
        &self,
        path: impl Into<Cow<'static, str>>,
        codec: C,
        request: Request<T>,
    ) -> Result<Response<Streaming<R>>, Status>
    where
        C: Codec<T> + Codec<R>,
        R: 'static,
    {
        let (message, metadata, options) = request.split();
        let mut call = self.call(path, metadata, options, codec::subtype::<T>(&codec));
        call.encoding = codec::compression(&codec, &message, call.encoding);
        let (headers, receiver) = self.net.ask(call, codec::encode(&codec, &message)?).await?;
        responses(headers, receiver, codec).await
    }

    /// A stream of requests, one response.
    ///
    /// The stream goes on in a task of its own when it is not ready at once; it is dropped when the call is over. The
    /// future is ready with the response, so what feeds the stream must not wait for it. Dropping the future cancels the
    /// call.
    ///
    /// # Errors
    /// The status that the call ended with.
    pub async fn client_streaming<C, S, R>(
        &self,
        path: impl Into<Cow<'static, str>>,
        codec: C,
        request: Request<S>,
    ) -> Result<Response<R>, Status>
    where
        C: Codec<S::Item> + Codec<R> + Clone,
        S: Stream + Send + 'static,
        S::Item: Send + 'static,
    {
        let (messages, metadata, options) = request.split();
        let call = self.call(path, metadata, options, codec::subtype::<S::Item>(&codec));
        let (sender, receiver) = self.net.start(call).await?;
        pump(sender, messages, codec.clone()).await;
        answer(receiver.answer().await, &codec)
    }

    /// A stream of requests, a stream of responses.
    ///
    /// The future is ready when the call is on a connection, for the server may wait for requests before it answers
    /// anything: initial metadata comes from [`Streaming::initial_metadata`], and [`Response::metadata`] is empty. The
    /// stream of requests goes on in a task of its own; it is dropped when the call is over. Dropping the future, or the
    /// responses before their end, cancels the call.
    ///
    /// # Errors
    /// The status of a call for which there is no connection. Every other end comes from the stream's
    /// [`message`](Streaming::message).
    pub async fn streaming<C, S, R>(
        &self,
        path: impl Into<Cow<'static, str>>,
        codec: C,
        request: Request<S>,
    ) -> Result<Response<Streaming<R>>, Status>
    where
        C: Codec<S::Item> + Codec<R> + Clone,
        S: Stream + Send + 'static,
        S::Item: Send + 'static,
        R: 'static,
    {
        let (messages, metadata, options) = request.split();
        let call = self.call(path, metadata, options, codec::subtype::<S::Item>(&codec));
        let (sender, receiver) = self.net.start(call).await?;
        pump(sender, messages, codec.clone()).await;
        Ok(Response::new(Streaming::of_client(receiver, codec, None)))
    }

    fn call(
        &self,
        path: impl Into<Cow<'static, str>>,
        metadata: Metadata,
        options: CallOptions,
        subtype: &'static str,
    ) -> NewCall {
        let timeout = options.timeout.or(self.timeout);
        // A deadline past the end of time is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let encoding = options.compression.unwrap_or(self.compression);
        NewCall { path: path.into(), metadata, deadline, wait_for_ready: options.wait_for_ready, encoding, subtype }
    }
}

/// The whole answer of a call with one response.
fn answer<R>(answered: Answered, codec: &impl Codec<R>) -> Result<Response<R>, Status> {
    let Answered { headers, mut messages, closed, .. } = answered;
    if !closed.status.is_ok() {
        return Err(Status::of(*closed).with_initial_metadata(headers));
    }
    match (messages.next(), messages.is_empty()) {
        (Some(message), true) => Ok(Response::received(codec.decode(message)?, headers, closed.trailers)),
        (None, _) => Err(Status::unimplemented("the server sent no response message")),
        (Some(_), false) => Err(Status::unimplemented("the server sent more than one response message")),
    }
}

/// A stream of responses, once the server has begun to answer.
async fn responses<R: 'static>(
    headers: Option<Metadata>,
    mut receiver: Receiver,
    codec: impl Codec<R>,
) -> Result<Response<Streaming<R>>, Status> {
    if let Some(headers) = headers {
        let responses = Streaming::of_client(receiver, codec, Some(headers.clone()));
        return Ok(Response::received(responses, headers, Metadata::new()));
    }
    // No headers: the call is over, for good (an empty stream) or not.
    let closed = poll_fn(|context| receiver.poll_closed(context)).await;
    if closed.status.is_ok() {
        return Ok(Response::new(Streaming::ended(receiver, codec, closed.trailers)));
    }
    Err(Status::of(*closed))
}

/// Sends what the stream has ready, and spawns a task for the rest, if there is any.
async fn pump<C, S>(sender: Sender, messages: S, codec: C)
where
    C: Codec<S::Item>,
    S: Stream + Send + 'static,
    S::Item: Send + 'static,
{
    let mut pump = Box::pin(Pump { sender: Some(sender), messages, codec });
    let ready = poll_fn(|context| Poll::Ready(pump.as_mut().poll(context).is_ready())).await;
    if !ready {
        tokio::spawn(pump);
    }
}

pin_project_lite::pin_project! {
    /// Sends a stream of requests, until it ends or the call is over.
    struct Pump<S, C> {
        sender: Option<Sender>,
        #[pin]
        messages: S,
        codec: C,
    }
}

impl<S: Stream, C: Codec<S::Item>> Future for Pump<S, C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        while let Some(sender) = this.sender.as_mut() {
            if sender.outbox().poll_ready(context).is_pending() {
                return Poll::Pending;
            }
            let sent = match this.messages.as_mut().poll_next(context) {
                Poll::Pending if sender.poll_closed(context).is_pending() => {
                    sender.outbox().flush();
                    return Poll::Pending;
                }
                Poll::Ready(Some(message)) => codec::put(this.codec, &message, sender.outbox()),
                // The stream has ended, or the call: dropping the sender tells the server, or nobody.
                Poll::Ready(None) | Poll::Pending => Ok(false),
            };
            match sent {
                Ok(true) => continue,
                Ok(false) => {}
                Err(status) => cancel(this.sender, status.split().0),
            }
            *this.sender = None;
        }
        Poll::Ready(())
    }
}

fn cancel(sender: &mut Option<Sender>, status: CoreStatus) {
    if let Some(sender) = sender.take() {
        sender.cancel(status);
    }
}
