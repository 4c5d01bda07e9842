//! One attempt at a call on one connection: what both applications do with it, and what must come of it.

use std::{collections::VecDeque, time::Instant};

use farcall_channel::{balancer::Done, call::AttemptId};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Closed};

use crate::{
    end::End,
    plan::{Order, Plan, Text},
};

/// An attempt, seen from both ends.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Whose attempt it is, and its number.
    pub(crate) tag: usize,
    pub(crate) number: usize,
    /// Those before it that count.
    pub(crate) previous: u32,
    /// What comes of it.
    pub(crate) plan: Plan,
    /// Response headers have come, and the call was told.
    pub(crate) begun: bool,
    pub(crate) link: usize,
    /// The client's.
    pub(crate) deadline: Option<Instant>,
    /// Hears how it ends.
    pub(crate) done: Option<Done>,
    pub(crate) client: Side,
    /// `None` until the server sees the request.
    pub(crate) server: Option<Side>,
}

/// What one application has done with its end of the call.
#[derive(Debug)]
pub(crate) struct Side {
    call: CallId,
    side: usize,
    pub(crate) sent: usize,
    received: usize,
    /// Lengths of messages that the application still holds, and until when.
    held: VecDeque<(Instant, usize)>,
    /// The next message is thought over until then.
    next_send: Instant,
    /// The send buffer is full, and this many times was told otherwise before.
    crowded: Option<usize>,
    cancel_at: Option<Instant>,
    cancelled: bool,
    /// Half-closed or answered.
    finished: bool,
    pub(crate) over: bool,
}

/// What is known of the world apart from the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) now: Instant,
    /// Nothing hangs any more.
    pub(crate) healed: bool,
    /// The connection was broken or closed: a call may end for that.
    pub(crate) disturbed: bool,
    /// The connection goes away politely, or takes only so many calls: one that was not begun may be refused.
    pub(crate) refusing: bool,
}

impl Side {
    pub(crate) fn new(call: CallId, side: usize, plan: &Plan, now: Instant) -> Side {
        Side {
            call,
            side,
            sent: 0,
            received: 0,
            held: VecDeque::new(),
            next_send: now + plan.think[side],
            crowded: None,
            cancel_at: plan.cancel[side].map(|after| now + after),
            cancelled: false,
            finished: false,
            over: false,
        }
    }

    /// When it does something by itself again.
    pub(crate) fn wake(&self, now: Instant) -> Option<Instant> {
        if self.over {
            return None;
        }
        let think = (!self.finished).then_some(self.next_send).filter(|at| *at > now);
        let cancel = self.cancel_at.filter(|_| !self.cancelled);
        [think, cancel, self.held.front().map(|(until, _)| *until)].into_iter().flatten().min()
    }

    fn outgoing<'a>(&self, plan: &'a Plan) -> &'a [usize] {
        if self.side == 0 { &plan.requests } else { &plan.responses }
    }

    fn incoming<'a>(&self, plan: &'a Plan) -> &'a [usize] {
        if self.side == 0 { &plan.responses } else { &plan.requests }
    }
}

impl Attempt {
    pub(crate) fn id(&self) -> AttemptId {
        AttemptId(u32::try_from(self.number).expect("few attempts"))
    }

    /// Whether response headers have come since this was asked last.
    pub(crate) fn begins(&mut self, ends: &[End; 2]) -> bool {
        let before = std::mem::replace(&mut self.begun, ends[0].call(self.client.call).headers.is_some());
        self.begun && !before
    }

    /// Bytes of messages that the client has sent.
    pub(crate) fn sent(&self) -> usize {
        self.plan.requests[..self.client.sent].iter().sum()
    }

    /// Another attempt at the call has won.
    pub(crate) fn lose(&mut self, ends: &mut [End; 2]) {
        if !self.client.over {
            self.client.cancelled = true;
            ends[0].connection.cancel(self.client.call, Status::new(Code::Cancelled, "another attempt has won"));
            ends[0].drain();
        }
    }

    /// Both applications do what they can do now; says whether either did anything.
    pub(crate) fn step(&mut self, ends: &mut [End; 2], text: &Text, now: Circumstances) -> bool {
        let (plan, [client, server]) = (&self.plan, ends);
        let client = step(&mut self.client, (self.tag, self.number), client, plan, text, now);
        self.server.as_mut().is_some_and(|side| step(side, (self.tag, self.number), server, plan, text, now)) | client
    }

    /// How the client's call ended, once, when it has; held against the plan.
    pub(crate) fn client_closed(&mut self, ends: &[End; 2], world: Circumstances) -> Option<Closed> {
        let plan = &self.plan;
        let seen = ends[0].call(self.client.call);
        // An application learns of a good end behind the messages that came before it.
        let heard = |closed: &&Closed| !self.client.over && (seen.messages.is_empty() || !closed.completed);
        let closed = seen.closed.as_ref().filter(heard)?;
        self.client.over = true;
        let deadline = self.expired(closed, world);
        if closed.completed && !deadline {
            let server = self.server.as_ref().unwrap_or_else(|| panic!("call {}: nobody answered", self.tag));
            assert!(server.finished, "call {}: the answer came before it was given", self.tag);
            assert_eq!((&closed.status, &closed.trailers), (&plan.status, &plan.trailers), "call {}", self.tag);
            assert_eq!(self.client.received, server.sent, "call {} lost responses", self.tag);
            if server.sent > 0 || plan.headers_first {
                let expected = if plan.headers_first { plan.metadata.clone() } else { Metadata::new() };
                let headers = ends[0].call(self.client.call).headers.as_ref();
                assert_eq!(headers, Some(&expected), "call {}: initial metadata", self.tag);
            }
        } else if !deadline {
            let cancelled = self.client.cancelled || self.server.as_ref().is_some_and(|side| side.cancelled);
            let late = self.deadline.is_some_and(|at| at <= world.now);
            let lost = world.disturbed || world.refusing && closed.unprocessed;
            assert!(cancelled || late || lost, "call {} ended for no reason: {closed:?}", self.tag);
        }
        Some(closed.clone())
    }

    /// Whether the server's call has ended, once, when it has; held against the plan.
    pub(crate) fn server_closed(&mut self, ends: &[End; 2], world: Circumstances) -> Option<Closed> {
        let plan = &self.plan;
        let Some(side) = &mut self.server else { return None };
        let closed = ends[1].call(side.call).closed.as_ref().filter(|_| !side.over)?;
        side.over = true;
        let (cancelled, finished) = (side.cancelled || self.client.cancelled, side.finished);
        if closed.completed {
            assert!(finished && closed.status == plan.status, "call {}: {closed:?}", self.tag);
        } else if !self.expired(closed, world) {
            let late = plan.timeout.is_some();
            assert!(cancelled || late || world.disturbed, "call {} ended for no reason: {closed:?}", self.tag);
        }
        Some(closed.clone())
    }

    /// Whether it ended because its time was up, which then must be so.
    fn expired(&self, closed: &Closed, world: Circumstances) -> bool {
        if closed.status.code != Code::DeadlineExceeded || closed.status.message != "Deadline Exceeded" {
            return false;
        }
        assert!(self.deadline.is_some_and(|at| at <= world.now), "call {} was given up too early", self.tag);
        true
    }

    /// No call outlives its deadline.
    pub(crate) fn check_deadlines(&self, ends: &[End; 2], now: Instant) {
        let late = self.deadline.is_some_and(|at| at <= now);
        assert!(self.client.over || !late, "call {} outlives its deadline at the client", self.tag);
        let Some(side) = &self.server else { return };
        let seen = ends[1].call(side.call);
        let late = seen.head.as_ref().and_then(|head| head.deadline).is_some_and(|at| at <= now);
        // What is answered may wait for the transport.
        assert!(side.over || side.finished || !late, "call {} outlives its deadline at the server", self.tag);
    }
}

fn step(side: &mut Side, name: (usize, usize), end: &mut End, plan: &Plan, text: &Text, world: Circumstances) -> bool {
    if side.over {
        return false;
    }
    let mut moved = receive(side, name, end, plan, text, world.now);
    if end.call(side.call).closed.is_some() {
        // Seen to by the checks; what the application does now is refused, as it must be.
        assert!(end.connection.send_message(side.call, &b"too late"[..]).is_err());
        return moved;
    }
    if side.cancel_at.is_some_and(|at| at <= world.now) && !side.cancelled {
        side.cancelled = true;
        end.connection.cancel(side.call, Status::new(Code::Cancelled, "given up"));
        end.drain();
        return true;
    }
    if side.side == 1 && side.sent == 0 && !side.finished {
        // Refused once the headers are gone.
        let _ = end.connection.set_encoding(side.call, plan.encoding[1]);
    }
    if side.side == 1 && plan.headers_first && side.sent == 0 && !side.finished {
        moved |= end.connection.send_headers(side.call, &plan.metadata).is_ok();
    }
    while !side.finished && side.next_send <= world.now && act(side, name, end, plan, text, world) {
        moved = true;
        side.next_send = world.now + plan.think[side.side];
    }
    end.drain();
    moved
}

/// Takes what came, compares it with what was sent, and gives the window back when the application is done with it.
fn receive(side: &mut Side, name: (usize, usize), end: &mut End, plan: &Plan, text: &Text, now: Instant) -> bool {
    let mut moved = false;
    let large = end.large.len();
    end.large.retain(|call| *call != side.call);
    if end.large.len() < large {
        end.connection.want(side.call);
        moved = true;
    }
    for message in end.messages(side.call) {
        let incoming = side.incoming(plan);
        let len = *incoming.get(side.received).unwrap_or_else(|| panic!("call {}: too many messages", name.0));
        let sent = text.message(name.0, name.1, 1 - side.side, side.received, len);
        assert!(message == sent, "call {}: message {} came changed", name.0, side.received);
        side.received += 1;
        side.held.push_back((now + plan.hold[side.side], len));
        moved = true;
    }
    while side.held.front().is_some_and(|(until, _)| *until <= now) {
        let Some((_, len)) = side.held.pop_front() else { break };
        // Some applications say when they are done with a message, some keep it until the next.
        if len.is_multiple_of(2) {
            end.connection.release(side.call, len);
        } else {
            end.connection.take_many(side.call, 1, len);
        }
        moved = true;
    }
    moved
}

/// Sends the next message or the end, if it is time for either.
fn act(side: &mut Side, name: (usize, usize), end: &mut End, plan: &Plan, text: &Text, world: Circumstances) -> bool {
    let seen = end.call(side.call);
    let all_came = seen.half_closed;
    let served = side.side == 1;
    let outgoing = side.outgoing(plan);
    let early = served && plan.early.is_some_and(|count| side.received >= count);
    if side.sent < outgoing.len() && !early {
        let its_turn = match (plan.order, served) {
            (Order::AfterAll, true) => all_came,
            (Order::InTurn, true) => side.received > side.sent,
            (Order::InTurn, false) => side.received >= side.sent,
            (Order::Free, _) | (Order::AfterAll, false) => true,
        };
        let writables = seen.writable;
        if !its_turn || side.crowded.is_some_and(|before| writables == before) {
            return false;
        }
        side.crowded = None;
        let message = text.message(name.0, name.1, side.side, side.sent, outgoing[side.sent]);
        let sent = if message.len() < 1000 {
            end.connection.send_message(side.call, &message[..])
        } else {
            end.connection.send_message(side.call, message)
        };
        sent.expect("the call is open");
        side.sent += 1;
        side.crowded = (!end.connection.writable(side.call)).then_some(writables);
        return true;
    }
    if served {
        if plan.hangs && !world.healed || !(early || all_came) {
            return false;
        }
        end.connection.respond(side.call, &plan.status, &plan.trailers).expect("the call is open");
    } else {
        end.connection.half_close(side.call).expect("the call is open");
    }
    side.finished = true;
    true
}
