//! Streams of the channel's own: on them servers say how they are (gRFC A17, A51).

use std::time::{Duration, Instant};

use farcall_core::Status;

use crate::{
    Backoff,
    limits::{STREAM_MESSAGE, STREAM_MESSAGES},
};

/// Names a stream of the channel's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

/// A call with one request, which is all that the client sends, and many responses. It has no deadline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamRequest {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// The request, a message of protobuf.
    pub message: Vec<u8>,
    /// The longest response, bytes. A longer one ends the stream with `RESOURCE_EXHAUSTED`.
    pub max_message: usize,
}

/// What has come on a stream.
#[derive(Clone, Copy, Debug)]
pub enum StreamEvent<'a> {
    /// A response. The next one is let in when this one has been handled.
    Message(&'a [u8]),
    /// It is over, and this is the last that is reported of it.
    Ended(&'a Status),
}

/// One stream that is kept open while its connection is there, and opened again when it has ended.
#[derive(Debug)]
pub(crate) struct Standing {
    backoff: Backoff,
    state: State,
    /// Messages since then, no longer ago than a second.
    second: Option<Instant>,
    messages: u32,
}

/// Named for what it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Messages, or the end; after which it is not opened again before `retry_at`.
    Open { id: StreamId, retry_at: Instant },
    /// The time to be opened.
    Until(Instant),
    /// Nothing: the server does not know the method.
    Over,
}

impl Standing {
    /// One that is to be opened at once.
    pub(crate) fn new(backoff: Backoff, now: Instant) -> Standing {
        Standing { backoff, state: State::Until(now), second: None, messages: 0 }
    }

    /// Whether it is to be opened now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.poll_timeout().is_some_and(|due| due <= now)
    }

    pub(crate) fn open(&mut self, id: StreamId, now: Instant) {
        let retry_at = now + self.backoff.advance();
        self.state = State::Open { id, retry_at };
    }

    /// The stream that is open.
    pub(crate) fn id(&self) -> Option<StreamId> {
        if let State::Open { id, .. } = self.state { Some(id) } else { None }
    }

    /// A message has come that makes sense; `false` if they come faster than they may.
    pub(crate) fn answered(&mut self, now: Instant) -> bool {
        self.backoff.reset();
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.messages) = (Some(now), 0);
        }
        self.messages += 1;
        self.messages <= STREAM_MESSAGES
    }

    /// It has ended, or is ended; whether it is to be opened again at once.
    pub(crate) fn ended(&mut self, now: Instant) -> bool {
        if let State::Open { retry_at, .. } = self.state {
            self.state = State::Until(retry_at);
        }
        self.is_due(now)
    }

    /// It is never opened again.
    pub(crate) fn give_up(&mut self) {
        self.state = State::Over;
    }

    /// When it is to be opened.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if let State::Until(due) = self.state { Some(due) } else { None }
    }
}

/// A call of this method with this request.
pub(crate) fn request(path: &'static str, message: Vec<u8>) -> StreamRequest {
    StreamRequest { path, message, max_message: STREAM_MESSAGE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_messages_a_second_are_let_in_and_one_more_is_not() {
        let now = Instant::now();
        let mut standing = Standing::new(Backoff::new(1), now);
        standing.open(StreamId(1), now);
        assert!((0..STREAM_MESSAGES).all(|_| standing.answered(now)));
        assert!(!standing.answered(now + Duration::from_millis(999)));
        assert!(standing.answered(now + Duration::from_secs(1)), "in the next second");
    }

    #[test]
    fn one_that_has_lasted_is_opened_again_at_once_and_others_after_growing_delays() {
        let mut now = Instant::now();
        let mut standing = Standing::new(Backoff::new(1), now);
        assert!(standing.is_due(now));
        let mut delay = |standing: &mut Standing, answered: bool| {
            standing.open(StreamId(1), now);
            if answered {
                standing.answered(now);
            }
            assert!(!standing.ended(now));
            let delay = standing.poll_timeout().unwrap() - now;
            now += delay;
            delay.as_secs_f64()
        };
        let delays: Vec<f64> =
            [false, false, true, false].into_iter().map(|answer| delay(&mut standing, answer)).collect();
        for (delay, expected) in delays.iter().zip([1.0, 1.6, 2.56, 1.0]) {
            assert!((expected * 0.8..=expected * 1.2).contains(delay), "{delays:?}");
        }
        standing.open(StreamId(2), now);
        assert!(standing.ended(now + Duration::from_secs(3)));
        standing.give_up();
        assert_eq!((standing.poll_timeout(), standing.id()), (None, None));
    }
}
