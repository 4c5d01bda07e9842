use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use farcall_core::{Code, Metadata, Status as CoreStatus};
use farcall_net::Receiver;
use futures_core::Stream;

use crate::{Status, codec::Codec};

/// A stream of messages from the other side.
///
/// A client that drops it before its end cancels the call. A server that drops it takes no more messages, and may
/// still answer.
pub struct Streaming<T> {
    receiver: Receiver,
    codec: Box<dyn Codec<T>>,
    side: Side,
    /// Set when the end was told.
    ended: bool,
    trailers: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Client,
    Server,
}

impl<T: 'static> Streaming<T> {
    pub(crate) fn of_client(receiver: Receiver, codec: impl Codec<T>) -> Streaming<T> {
        // A codec without fields costs no allocation here.
        Streaming { receiver, codec: Box::new(codec), side: Side::Client, ended: false, trailers: None }
    }

    pub(crate) fn of_server(receiver: Receiver, codec: impl Codec<T>) -> Streaming<T> {
        Streaming { receiver, codec: Box::new(codec), side: Side::Server, ended: false, trailers: None }
    }

    /// A client's stream that ended well before it had a message.
    pub(crate) fn ended(receiver: Receiver, codec: impl Codec<T>, trailers: Metadata) -> Streaming<T> {
        let stream = Streaming::of_client(receiver, codec);
        Streaming { ended: true, trailers: Some(trailers), ..stream }
    }

    /// The next message; `None` when the stream ended well.
    ///
    /// # Errors
    /// The status that the call ended with. After it, as after `None`, the stream gives `None`.
    pub async fn message(&mut self) -> Result<Option<T>, Status> {
        poll_fn(|context| self.poll_message(context)).await.transpose()
    }

    /// Client: trailing metadata of a stream that ended well. Messages that were not taken are passed over.
    ///
    /// # Errors
    /// The status that the call ended with.
    pub async fn trailers(&mut self) -> Result<Option<Metadata>, Status> {
        while self.message().await?.is_some() {}
        Ok(self.trailers.take())
    }

    #[inline]
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(self.receiver.poll_message(context)) {
            Some(message) => {
                let decoded = self.codec.decode(message);
                if let Err(status) = &decoded {
                    self.give_up(status);
                }
                Poll::Ready(Some(decoded))
            }
            None => self.poll_end(context),
        }
    }

    /// The other side shall not go on sending what nobody reads.
    #[cold]
    fn give_up(&mut self, status: &Status) {
        self.ended = true;
        self.receiver.cancel(CoreStatus::new(status.code(), status.message().to_owned()));
    }

    /// There are no more messages.
    #[cold]
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        let end = match self.side {
            Side::Server if self.receiver.is_whole() => None,
            Side::Server => Some(Err(Status::new(Code::Cancelled, "the call was cancelled"))),
            Side::Client => {
                let closed = ready!(self.receiver.poll_closed(context));
                if closed.status.is_ok() {
                    self.trailers = Some(closed.trailers);
                    None
                } else {
                    Some(Err(Status::of(*closed)))
                }
            }
        };
        self.ended = true;
        Poll::Ready(end)
    }
}

// Nothing in it is pinned.
impl<T> Unpin for Streaming<T> {}

impl<T: 'static> Stream for Streaming<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(context)
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("side", &self.side).field("ended", &self.ended).finish_non_exhaustive()
    }
}
