//! Compressed messages wait compressed: few bytes can become many, and no window bounds those. Each is decompressed when
//! the application has little of its call's, and while all calls together have no more than they may.

use bytes::Bytes;

use super::{CallId, Connection};
use crate::{
    Cause, Event,
    grpc::{
        message::{MESSAGE_OVERHEAD, MessageFault},
        run::Run,
    },
};

/// A message as it came, which waits behind a compressed one, or is one.
#[derive(Debug)]
pub(crate) enum Packed {
    Compressed(Bytes),
    Plain(Bytes),
    Run(Run),
}

/// Messages of a call that the application may have while the next is decompressed, and bytes of them if they are more.
const AHEAD: usize = 1;
const AT_HAND: usize = 64 << 10;

/// Messages that are decompressed ahead of their reader have this part of the memory for what is unread. The other parts
/// are for messages that came uncompressed: while those have no room, new streams are refused.
const SHARE: usize = 8;

impl Packed {
    /// Memory that it takes, in bytes.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Packed::Compressed(body) | Packed::Plain(body) => body.len() + MESSAGE_OVERHEAD,
            Packed::Run(run) => run.body_len() + run.len() * MESSAGE_OVERHEAD,
        }
    }
}

impl Connection {
    /// Gives the application what it may have of a call's messages that wait.
    pub(super) fn unpack(&mut self, call: CallId) {
        while let Some(stream) = self.store.live(call) {
            let Some(next) = stream.packed.front() else {
                if stream.half_closed_behind || stream.ended.is_some() {
                    self.unpacked(call);
                }
                return;
            };
            if stream.held_messages > AHEAD && stream.held >= AT_HAND {
                return;
            }
            let (compressed, awaited) = (matches!(next, Packed::Compressed(_)), stream.awaited);
            let crowded = self.unread - stream.packed_cost > self.config.limits.unread / SHARE;
            if compressed && crowded && !awaited {
                self.strike(Cause::HeldBack, "unread: messages wait compressed until others are taken");
                return self.hold_back(call);
            }
            let urgent = awaited || (!stream.begun && stream.held_messages == 0);
            if compressed && self.must_stay_packed(call, urgent) {
                return self.hold_back(call);
            }
            let Some(stream) = self.store.live(call) else { return };
            (stream.awaited, stream.gated) = (false, false);
            if let Some(packed) = stream.packed.pop_front()
                && let Err(fault) = self.unpack_one(call, packed)
            {
                self.drop_packed(call);
                return self.fail_message(call, fault);
            }
        }
    }

    fn unpack_one(&mut self, call: CallId, packed: Packed) -> Result<(), MessageFault> {
        let cost = packed.cost();
        let max = self.config.limits.max_receive_message_length;
        let Some(stream) = self.store.live(call) else { return Ok(()) };
        stream.packed_cost -= cost;
        self.unread -= cost;
        let mut deflated = 0;
        let message = match packed {
            Packed::Run(run) => {
                stream.held += run.body_len();
                stream.held_messages += run.len();
                self.unread += cost;
                self.events.push_back(Event::Messages { call, run });
                return Ok(());
            }
            Packed::Plain(message) => message,
            Packed::Compressed(body) => {
                let codecs = self.codecs.get_or_insert_default();
                let message = codecs.decompress(stream.assembler.encoding, &body, max)?;
                stream.inflated += message.len().saturating_sub(body.len());
                deflated = body.len().saturating_sub(message.len());
                Bytes::from(message)
            }
        };
        stream.held += message.len();
        stream.held_messages += 1;
        self.unread += message.len() + MESSAGE_OVERHEAD;
        self.events.push_back(Event::Message { call, message });
        self.keep_books();
        if deflated > 0 {
            self.open_stream_window(call, deflated);
        }
        Ok(())
    }

    /// The application has too much that it has not taken: the call waits until that is less, or somebody for its message.
    fn hold_back(&mut self, call: CallId) {
        let Some(stream) = self.store.live(call) else { return };
        if std::mem::replace(&mut stream.gated, true) {
            return;
        }
        self.events.push_back(Event::LargeMessage { call });
        self.gated.push_back(call);
        if self.gated.len() > 2 * self.store.len() + 16 {
            let store = &self.store;
            self.gated.retain(|call| store.is_live(*call));
        }
    }

    /// Goes on with a call that was held back, if there is one and room for its message. Says whether there was.
    pub(super) fn unpack_next(&mut self) -> bool {
        while let Some(call) = self.next_to_unpack() {
            if self.store.live(call).is_some_and(|stream| std::mem::take(&mut stream.gated)) {
                self.unpack(call);
                return true;
            }
        }
        false
    }

    /// Whether compressed messages wait.
    #[inline]
    pub(super) fn has_held_back(&self) -> bool {
        !self.gated.is_empty() || self.account.has_parched()
    }

    /// The next call that was held back and is not any more, those first that somebody waits for.
    fn next_to_unpack(&mut self) -> Option<CallId> {
        if let Some(call) = self.next_parched() {
            return Some(call);
        }
        let calm = self.unread <= self.config.limits.unread / SHARE;
        let may = calm && !self.gated.is_empty() && self.has_room_to_unpack();
        if may { self.gated.pop_front() } else { None }
    }

    /// No message of the call waits any more: the events that came behind them follow.
    fn unpacked(&mut self, call: CallId) {
        let Some(stream) = self.store.live(call) else { return };
        let half_closed = std::mem::take(&mut stream.half_closed_behind) && !stream.finished;
        let ended = stream.ended.take();
        if half_closed {
            self.events.push_back(Event::HalfClosed { call });
        }
        if let Some(closed) = ended {
            self.end_call(call, *closed);
        }
    }

    /// Nobody wants what waits.
    fn drop_packed(&mut self, call: CallId) {
        let Some(stream) = self.store.live(call) else { return };
        stream.discarding = true;
        stream.packed.clear();
        self.unread -= std::mem::take(&mut stream.packed_cost);
    }

    /// The connection is over. Calls that the peer has answered whole still get what waits, now or never.
    pub(super) fn unpack_all(&mut self) {
        let calls: Vec<CallId> =
            self.store.iter_mut().filter(|stream| stream.ended.is_some()).map(|stream| stream.call).collect();
        for call in calls {
            while let Some(packed) = self.store.live(call).and_then(|stream| stream.packed.pop_front()) {
                if let Err(fault) = self.unpack_one(call, packed) {
                    self.drop_packed(call);
                    self.fail_message(call, fault);
                }
            }
            self.unpacked(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{MESSAGE_OVERHEAD, Packed};
    use crate::RunBuilder;

    #[test]
    fn what_waits_costs_its_bytes_and_what_keeping_each_message_takes() {
        let mut run = RunBuilder::default();
        for message in [&b"one"[..], b"three"] {
            let result: Result<(), ()> = run.push(|buffer| {
                buffer.extend_from_slice(message);
                Ok(())
            });
            result.unwrap();
        }
        let body = Bytes::from_static(b"ten bytes.");
        assert_eq!(Packed::Compressed(body.clone()).cost(), 10 + MESSAGE_OVERHEAD);
        assert_eq!(Packed::Plain(body).cost(), 10 + MESSAGE_OVERHEAD);
        assert_eq!(Packed::Run(run.take()).cost(), 8 + 2 * MESSAGE_OVERHEAD);
    }
}
