use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
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
    codec: Box<dyn Decode<T>>,
    /// Small messages that came together are decoded together.
    decoded: VecDeque<T>,
    /// What the message after those fails with.
    failure: Option<Status>,
    side: Side,
    /// Set when the end was told.
    ended: bool,
    /// Client: initial metadata, once it was waited for.
    headers: Option<Metadata>,
    trailers: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Client,
    Server,
}

impl<T: 'static> Streaming<T> {
    /// A client's; `headers` are initial metadata that was taken from the receiver.
    pub(crate) fn of_client(receiver: Receiver, codec: impl Codec<T>, headers: Option<Metadata>) -> Streaming<T> {
        Streaming { headers, ..Streaming::new(receiver, codec, Side::Client) }
    }

    pub(crate) fn of_server(receiver: Receiver, codec: impl Codec<T>) -> Streaming<T> {
        Streaming::new(receiver, codec, Side::Server)
    }

    fn new(receiver: Receiver, codec: impl Codec<T>, side: Side) -> Streaming<T> {
        // A codec without fields costs no allocation here.
        let codec = Box::new(codec);
        Streaming {
            receiver,
            codec,
            decoded: VecDeque::new(),
            failure: None,
            side,
            ended: false,
            headers: None,
            trailers: None,
        }
    }

    /// A client's stream that ended well before it had a message.
    pub(crate) fn ended(receiver: Receiver, codec: impl Codec<T>, trailers: Metadata) -> Streaming<T> {
        let stream = Streaming::of_client(receiver, codec, Some(Metadata::new()));
        Streaming { ended: true, trailers: Some(trailers), ..stream }
    }

    /// The next message; `None` when the stream ended well.
    ///
    /// # Errors
    /// The status that the call ended with. After it, as after `None`, the stream gives `None`.
    pub async fn message(&mut self) -> Result<Option<T>, Status> {
        poll_fn(|context| self.poll_message(context)).await.transpose()
    }

    /// Client: the server's initial metadata, which it sends with its first response at the latest; waits for it. Empty
    /// when the call has ended without: then [`message`](Streaming::message) says why. On a server it is empty, for the
    /// client's metadata is in the [`Request`](crate::Request).
    pub async fn initial_metadata(&mut self) -> &Metadata {
        if self.headers.is_none() && self.side == Side::Client {
            self.headers = poll_fn(|context| self.receiver.poll_headers(context)).await;
        }
        self.headers.get_or_insert_default()
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
        match self.decoded.pop_front() {
            Some(message) => Poll::Ready(Some(Ok(message))),
            None => self.poll_next_of_receiver(context),
        }
    }

    fn poll_next_of_receiver(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(status) = self.failure.take() {
            return Poll::Ready(Some(Err(self.give_up(status))));
        }
        let Some(message) = ready!(self.receiver.poll_message(context)) else { return self.poll_end(context) };
        match self.codec.decode(message) {
            Ok(message) => {
                self.failure = self.codec.decode_more(&mut self.receiver, &mut self.decoded).err();
                Poll::Ready(Some(Ok(message)))
            }
            Err(status) => Poll::Ready(Some(Err(self.give_up(status)))),
        }
    }

    /// The other side shall not go on sending what nobody reads.
    fn give_up(&mut self, status: Status) -> Status {
        self.ended = true;
        self.receiver.cancel(CoreStatus::new(status.code(), status.message().to_owned()));
        status
    }

    /// There are no more messages.
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

/// How many small messages are decoded before they are asked for.
const AHEAD: usize = 6;

/// The half of a [`Codec`] that a stream needs, for it does not know its codec's type.
trait Decode<T>: Send + Sync {
    fn decode(&self, message: Bytes) -> Result<T, Status>;

    /// Decodes small messages that are at hand, a few.
    fn decode_more(&self, receiver: &mut Receiver, decoded: &mut VecDeque<T>) -> Result<(), Status>;
}

impl<T, C: Codec<T>> Decode<T> for C {
    fn decode(&self, message: Bytes) -> Result<T, Status> {
        Codec::decode(self, message)
    }

    fn decode_more(&self, receiver: &mut Receiver, decoded: &mut VecDeque<T>) -> Result<(), Status> {
        for message in receiver.small_at_hand().take(AHEAD) {
            decoded.push_back(Codec::decode(self, message)?);
        }
        Ok(())
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
