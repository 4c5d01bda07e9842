use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use bytes::{Buf, Bytes};
use farcall_core::Metadata;
use farcall_engine::{CallId, Closed, Config, Connection, ConnectionError, Event, RequestHead, Role};
use fastrand::Rng;

use super::wire::{Arrival, Wire};

/// One connection with the hands around it: writes what it has to write, hands it what arrived, fires its time-outs,
/// and keeps what it told. Each event is held against the contract as it comes.
pub struct End {
    pub connection: Connection,
    role: Role,
    /// What this end told about each call, dead ones too.
    pub seen: BTreeMap<CallId, Seen>,
    /// Server: calls whose request has not been taken yet.
    requests: VecDeque<CallId>,
    /// Bytes on the way to this end.
    pub inbound: Wire,
    /// Give window back for each message as it comes. On unless a test wants to hold it.
    pub release: bool,
    /// Wait for messages larger than their windows. On unless a test does.
    pub want: bool,
    /// Calls with one that were told, and not answered yet.
    pub large: Vec<CallId>,
    pub ready: bool,
    pub draining: bool,
    /// Bounds that have struck, by name, with how often.
    pub struck: BTreeMap<&'static str, u32>,
    pub disconnected: Option<ConnectionError>,
    /// The transport has ended for this end, or it let go of it.
    hung_up: bool,
}

/// What one end told about one call.
#[derive(Debug, Default)]
pub struct Seen {
    pub head: Option<RequestHead>,
    pub headers: Option<Metadata>,
    pub messages: Vec<Bytes>,
    pub half_closed: bool,
    pub writable: usize,
    pub closed: Option<Closed>,
}

impl End {
    pub fn new(config: Config, wire: Wire, now: Instant) -> End {
        End {
            role: config.role,
            connection: Connection::new(config, now),
            seen: BTreeMap::new(),
            requests: VecDeque::new(),
            inbound: wire,
            release: true,
            want: true,
            large: Vec::new(),
            ready: false,
            draining: false,
            struck: BTreeMap::new(),
            disconnected: None,
            hung_up: false,
        }
    }

    /// What was told about a call so far.
    #[track_caller]
    pub fn call(&self, call: CallId) -> &Seen {
        self.seen.get(&call).expect("the call is known")
    }

    /// How a call ended.
    #[track_caller]
    pub fn closed(&self, call: CallId) -> &Closed {
        self.call(call).closed.as_ref().expect("the call is over")
    }

    /// Takes the messages that came for a call.
    #[track_caller]
    pub fn messages(&mut self, call: CallId) -> Vec<Bytes> {
        std::mem::take(&mut self.seen.get_mut(&call).expect("the call is known").messages)
    }

    /// The next request that no test has taken yet.
    pub fn poll_request(&mut self) -> Option<CallId> {
        self.requests.pop_front()
    }

    /// The next request; there must be one.
    #[track_caller]
    pub fn request(&mut self) -> CallId {
        self.poll_request().expect("a request came")
    }

    /// Notes a call that this end opened.
    pub fn opened(&mut self, call: CallId) {
        let before = self.seen.insert(call, Seen::default());
        assert!(before.is_none(), "{call:?} was given twice");
    }

    /// Writes a piece of what waits to be written; says whether there was any.
    pub fn write(&mut self, peer: &mut Wire, now: Instant, rng: &mut Rng) -> bool {
        if self.hung_up {
            return false;
        }
        let room = peer.room();
        let mut wrote = false;
        if room > 0
            && let Some(transmit) = self.connection.poll_transmit(now)
        {
            assert!(transmit.has_remaining(), "a transmit has something to transmit");
            let len = peer.chop(transmit.remaining().min(room), rng);
            peer.send(Arrival::Bytes(transmit.copy_to_bytes(len)), now, rng);
            wrote = true;
        }
        self.drain();
        if self.disconnected.is_some() && self.connection.poll_transmit(now).is_none() {
            self.hung_up = true;
            peer.send(Arrival::EndOfFile, now, rng);
            return true;
        }
        wrote
    }

    /// Hands over a piece of what has arrived by now; says whether there was any.
    pub fn read(&mut self, now: Instant, rng: &mut Rng) -> bool {
        if !self.inbound.has_arrived(now) {
            return false;
        }
        if self.hung_up || self.disconnected.is_some() {
            self.inbound.discard(now);
            return true;
        }
        // Like hands with a vectored read or like ones without.
        let [first, mut second] = self.connection.receive_buffers();
        if rng.bool() {
            second = &mut [];
        }
        assert!(!first.is_empty(), "there is always room to read into");
        let (room, goes_on) = (first.len(), !second.is_empty());
        let read = match self.inbound.receive(first, now, rng) {
            Ok(len) if goes_on && len == room && self.inbound.has_bytes(now) => {
                self.inbound.receive(second, now, rng).map(|more| len + more)
            }
            read => read,
        };
        match read {
            Ok(len) => self.connection.handle_received(len, now),
            Err(why) => self.connection.handle_transport_closed(why, now),
        }
        self.drain();
        true
    }

    /// Fires the time-out if it is due; says whether it was.
    pub fn time_out(&mut self, now: Instant) -> bool {
        if self.connection.poll_timeout().is_none_or(|at| at > now) || self.disconnected.is_some() {
            return false;
        }
        self.connection.handle_timeout(now);
        self.drain();
        let next = self.connection.poll_timeout();
        assert!(next.is_none_or(|at| at > now), "a time-out that was handled is not due again at once");
        true
    }

    /// When this end wants to be woken.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.disconnected.is_some() { None } else { self.connection.poll_timeout() }
    }

    /// Takes every event.
    pub fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            self.note(event);
        }
    }

    fn note(&mut self, event: Event) {
        assert!(self.disconnected.is_none(), "nothing comes after Disconnected, but {event:?}");
        match event {
            Event::Ready => {
                assert!(!self.ready, "Ready comes once");
                self.ready = true;
            }
            Event::Request { call, head } => {
                assert_eq!(self.role, Role::Server);
                self.opened(call);
                self.live(call).head = Some(*head);
                self.requests.push_back(call);
            }
            Event::Headers { call, metadata } => {
                assert_eq!(self.role, Role::Client);
                let seen = self.live(call);
                assert!(seen.headers.is_none() && seen.messages.is_empty(), "headers come once, and first");
                seen.headers = Some(metadata);
            }
            Event::Message { call, message } => {
                let len = message.len();
                self.note_messages(call, [message]);
                if self.release {
                    self.connection.release(call, len);
                }
            }
            Event::Messages { call, run } => {
                let (count, len) = (run.len(), run.body_len());
                assert!(count > 1, "a run is of several");
                self.note_messages(call, run);
                if self.release {
                    self.connection.release_many(call, count, len);
                }
            }
            Event::LargeMessage { call } => {
                let _ = self.live(call);
                match self.want {
                    true => self.connection.want(call),
                    false => self.large.push(call),
                }
            }
            Event::HalfClosed { call } => {
                assert_eq!(self.role, Role::Server);
                let seen = self.live(call);
                assert!(!seen.half_closed, "the half-close comes once");
                seen.half_closed = true;
            }
            Event::Writable { call } => {
                self.live(call).writable += 1;
            }
            Event::Closed { call, closed } => {
                self.live(call).closed = Some(*closed);
            }
            Event::Draining => {
                assert!(!self.draining, "Draining comes once");
                self.draining = true;
            }
            Event::Struck { what, times, .. } => {
                let name = what.split(':').next().unwrap_or(what);
                *self.struck.entry(name).or_default() += times;
            }
            Event::Disconnected(error) => {
                for (call, seen) in &self.seen {
                    assert!(seen.closed.is_some(), "{call:?} was not closed before Disconnected");
                }
                assert_eq!(self.connection.error(), Some(&error));
                self.disconnected = Some(error);
            }
            other => panic!("an event the fake world does not know: {other:?}"),
        }
    }

    fn note_messages(&mut self, call: CallId, messages: impl IntoIterator<Item = Bytes>) {
        let client = self.role == Role::Client;
        let seen = self.live(call);
        assert!(!seen.half_closed, "no message comes after the half-close");
        assert!(!client || seen.headers.is_some(), "headers come before messages");
        seen.messages.extend(messages);
    }

    /// A call that may still have events.
    #[track_caller]
    fn live(&mut self, call: CallId) -> &mut Seen {
        let seen = self.seen.get_mut(&call).unwrap_or_else(|| panic!("an event for {call:?}, which never was"));
        assert!(seen.closed.is_none(), "an event for {call:?}, which is closed");
        seen
    }
}
