//! The streams that a channel itself has on its connections, of either kind.

use std::time::Instant;

use super::{Connector, Order, State, Subchannels};
use crate::{
    Address, DialId,
    stream::{StreamEvent, StreamId, StreamRequest},
};

/// What a stream is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Health,
    Loads,
}

impl Connector {
    /// The connection, while there is one.
    pub(super) fn connection(&self) -> Option<DialId> {
        if let State::Ready { dial, .. } = self.state { Some(dial) } else { None }
    }

    /// When one of its streams is to be opened again.
    pub(super) fn streams_due(&self) -> Option<Instant> {
        let health = self.health.as_ref().and_then(|watch| watch.stream.poll_timeout());
        let loads = self.loads.as_ref().and_then(|loads| loads.stream.poll_timeout());
        health.into_iter().chain(loads).min()
    }
}

impl Subchannels {
    /// Begins or ends the streams of an address, as its connection comes and goes and with it those who want to know.
    pub(super) fn mind_streams(&mut self, address: &Address, now: Instant) {
        self.mind_health(address, now);
        self.mind_loads(address, now);
    }

    /// The time may have come to open some again.
    pub(super) fn retry_streams(&mut self, address: &Address, now: Instant) {
        self.retry_health(address, now);
        self.retry_loads(address, now);
    }

    /// Asks for a stream on this connection.
    pub(super) fn open_stream(
        &mut self,
        address: &Address,
        dial: DialId,
        kind: Kind,
        request: StreamRequest,
    ) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        self.streams.insert(id, (address.clone(), kind));
        self.orders.push(Order::Open(id, dial, request));
        id
    }

    pub(super) fn cancel(&mut self, id: Option<StreamId>) {
        if let Some(id) = id
            && self.streams.remove(&id).is_some()
        {
            self.orders.push(Order::Cancel(id));
        }
    }

    /// Something has come on a stream.
    pub(crate) fn handle_stream(&mut self, id: StreamId, event: StreamEvent<'_>, now: Instant) {
        let Some((address, kind)) = self.streams.get(&id).cloned() else { return };
        if let StreamEvent::Ended(_) = event {
            self.streams.remove(&id);
        }
        match (kind, event) {
            (Kind::Health, StreamEvent::Message(message)) => self.handle_health(&address, message, now),
            (Kind::Health, StreamEvent::Ended(status)) => self.handle_health_ended(&address, status, now),
            (Kind::Loads, StreamEvent::Message(message)) => self.handle_loads(&address, message, now),
            (Kind::Loads, StreamEvent::Ended(status)) => self.handle_loads_ended(&address, status, now),
        }
        self.set_timer(&address, now);
    }
}
