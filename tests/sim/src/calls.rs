//! Calls over their attempts: each picks from a snapshot, waits in the channel's brain or is on a connection.

use std::{sync::Arc, time::Instant};

use farcall_channel::{
    Choice, Connectivity, DialId, Head, How, Lost, PREVIOUS_ATTEMPTS, Placed, Refusal, Snapshot, Ticket, Until,
    Waiting,
    balancer::{Done, PickArgs},
    call::{AttemptId, End, Plan as Policy, Rpc, Seen, Verdict},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{Encoding, Request};

use crate::{
    attempt::{Attempt, Side},
    hand::closed,
    plan::Plan,
    witness::Handle,
    world::{Task, World},
};

/// A call as its caller knows it.
pub(crate) struct Call {
    pub(crate) client: usize,
    pub(crate) plan: Plan,
    pub(crate) deadline: Option<Instant>,
    /// When its application gives it up, if it is on no connection then.
    give_up_at: Option<Instant>,
    pub(crate) rpc: Rpc,
    /// Attempts that have begun and are not over.
    pub(crate) live: Vec<Live>,
    /// It rests in the brain, with no attempt under way.
    resting: Option<(Ticket, u64)>,
    /// The attempt with response headers.
    pub(crate) winner: Option<AttemptId>,
    pub(crate) status: Option<Status>,
}

/// An attempt that has begun.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: AttemptId,
    previous: u32,
    place: Place,
}

/// Where an attempt is.
#[derive(Debug)]
enum Place {
    /// It has read this snapshot, and picks from it after so many turns.
    Held(Arc<Snapshot<Handle>>, u32),
    /// In the brain.
    Queued(Ticket, u64),
    /// On a connection.
    Placed,
}

impl Call {
    /// The call ends with this status, once.
    pub(crate) fn end(&mut self, status: Status) {
        assert!(self.status.is_none(), "a call ends twice");
        self.status = Some(status);
    }

    /// Attempts that the policy allows, and that may be under way beside each other.
    fn bounds(&self) -> (u32, usize) {
        let policy = self.plan.policy.as_ref();
        let hedges = policy.and_then(|policy| policy.hedging.as_ref()).map(|hedging| hedging.max_attempts);
        let retries = policy.and_then(|policy| policy.retry.as_ref()).map(|retry| retry.max_attempts);
        (hedges.or(retries).unwrap_or(1), hedges.unwrap_or(1) as usize)
    }

    pub(crate) fn is_live(&self, id: AttemptId) -> bool {
        self.live.iter().any(|live| live.id == id)
    }

    /// Whether it is on a connection, which then knows its deadline.
    fn is_placed(&self) -> bool {
        self.live.iter().any(|live| matches!(live.place, Place::Placed))
    }

    /// Whether the brain has it, which then knows its deadline.
    fn is_queued(&self) -> bool {
        self.resting.is_some() || self.live.iter().any(|live| matches!(live.place, Place::Queued(..)))
    }

    /// When its application does something about it.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let due = self.rpc.poll_timeout().filter(|_| self.resting.is_none());
        let given_up = self.give_up_at.filter(|_| !self.is_placed());
        let late = self.deadline.filter(|_| !self.is_placed() && !self.is_queued());
        [due, given_up, late].into_iter().flatten().min()
    }

    fn waiting(&self, path: String) -> Waiting {
        Waiting::new(&path, self.plan.wait_for_ready, self.deadline)
    }

    fn path(&self, tag: usize, id: AttemptId) -> String {
        format!("/sim.S{}/{tag}.{}", self.plan.service, id.0)
    }

    /// Notes an attempt that begins.
    fn begin(&mut self, tag: usize, id: AttemptId, previous: u32, place: Place) {
        assert!(self.winner.is_none() && self.status.is_none(), "call {tag} is committed, and made again");
        self.live.push(Live { id, previous, place });
        let (most, beside) = self.bounds();
        assert!(previous < most && self.live.len() <= beside, "call {tag}: too many attempts");
    }
}

impl World<'_> {
    /// A new call of a client.
    pub(crate) fn begin(&mut self, client: usize, mut plan: Plan) {
        let tag = self.calls.len();
        let hand = &self.clients[client];
        let path = format!("/sim.S{}/{tag}.0", plan.service);
        let selection = hand.snapshot.select(&Head { path: &path }).expect("every call may be made");
        let method = selection.method.cloned();
        drop(selection);
        if let Some(method) = method {
            plan.timeout = [plan.timeout, method.timeout].into_iter().flatten().min();
            plan.wait_for_ready |= method.wait_for_ready == Some(true);
            plan.policy = Some(method);
        }
        let policy = plan.policy.as_ref().and_then(|method| {
            let throttle = hand.throttle.as_ref();
            Policy::new(method, throttle, self.rng.u64(..))
        });
        plan.policy = plan.policy.filter(|_| policy.is_some());
        let deadline = plan.timeout.map(|timeout| self.now + timeout);
        let give_up_at = plan.cancel[0].map(|after| self.now + after);
        let (rpc, live, resting) = (Rpc::new(policy), Vec::new(), None);
        let call = Call { client, plan, deadline, give_up_at, rpc, live, resting, winner: None, status: None };
        self.calls.push(call);
        if self.rng.u8(0..10) > 0 || self.healed {
            self.drive(tag);
            return;
        }
        // Somebody else has a say in it first.
        let (ticket, _) = self.rest(tag, Until::Resumed);
        let after = self.delay(2_000);
        self.later(after, Task::Resume { client, ticket });
    }

    /// A call with no attempt under way rests in the brain.
    fn rest(&mut self, tag: usize, until: Until) -> (Ticket, u64) {
        let call = &mut self.calls[tag];
        let waiting = call.waiting(call.path(tag, AttemptId(0)));
        let ticket = self.clients[call.client].rest(tag, waiting, until, self.now);
        call.resting = Some(ticket);
        ticket
    }

    /// Begins the attempts at a call that are due, and cancels those that have lost. Says whether there were any.
    pub(crate) fn drive(&mut self, tag: usize) -> bool {
        let mut moved = false;
        while let Some(id) = self.calls[tag].rpc.poll_cancel() {
            moved = true;
            self.lose(tag, id);
        }
        if self.calls[tag].resting.is_some() {
            return moved;
        }
        while let Some(attempt) = self.calls[tag].rpc.attempt(self.now) {
            moved = true;
            let call = &mut self.calls[tag];
            let steps = if self.rng.bool() { 0 } else { self.rng.u32(0..20) };
            let snapshot = Arc::clone(&self.clients[call.client].snapshot);
            call.begin(tag, attempt.id, attempt.previous, Place::Held(snapshot, steps));
            if attempt.elsewhere {
                self.queue(tag, attempt.id);
            }
        }
        moved
    }

    /// Cancels an attempt, wherever it is.
    fn lose(&mut self, tag: usize, id: AttemptId) {
        let call = &mut self.calls[tag];
        let Some(index) = call.live.iter().position(|live| live.id == id) else { return };
        match call.live.swap_remove(index).place {
            Place::Held(..) => {}
            Place::Queued(ticket, serial) => self.clients[call.client].forget((ticket, serial)),
            Place::Placed => {
                let its = |attempt: &&mut Attempt| (attempt.tag, attempt.id()) == (tag, id);
                if let Some(attempt) = self.attempts.iter_mut().find(its) {
                    attempt.lose(&mut self.links[attempt.link].ends);
                }
            }
        }
    }

    /// The application's own end of a call.
    fn give_up(&mut self, tag: usize, status: Status) {
        let call = &mut self.calls[tag];
        call.rpc.give_up();
        call.end(status);
        if let Some(ticket) = call.resting.take() {
            self.clients[call.client].forget(ticket);
        }
        for id in self.calls[tag].live.iter().map(|live| live.id).collect::<Vec<_>>() {
            self.lose(tag, id);
        }
    }

    /// An attempt has ended: what becomes of its call.
    pub(crate) fn attempt_ended(&mut self, tag: usize, id: AttemptId, end: End<'_>, status: Status) {
        let call = &mut self.calls[tag];
        let was_live = call.is_live(id);
        call.live.retain(|live| live.id != id);
        let verdict = call.rpc.handle_ended(id, end, self.now);
        match verdict {
            Verdict::Deliver => {
                assert!(call.winner.is_none_or(|winner| winner == id), "call {tag} ends as an attempt that lost");
                call.end(status);
            }
            Verdict::Again(at) => {
                assert!(call.winner.is_none() && call.status.is_none(), "call {tag} is committed, and made again");
                if at > self.now && call.live.is_empty() && !call.rpc.hedges() && self.rng.bool() {
                    self.rest(tag, Until::Time(at));
                }
            }
            Verdict::Lost => {
                let beside = !call.live.is_empty() || call.status.is_some();
                assert!(beside, "call {tag}: the last attempt is lost, and the call does not end");
            }
        }
        self.drive(tag);
        let call = &self.calls[tag];
        if let Verdict::Again(at) = verdict {
            assert!(at > self.now || !call.live.is_empty(), "call {tag} does not go again");
        }
        if call.status.is_some() {
            assert!(call.live.is_empty(), "call {tag} is over, and {:?} not cancelled", call.live);
        }
        assert!(was_live || call.rpc.is_committed(), "call {tag}: an attempt of nobody's");
    }

    /// What calls do whose time has come, and those that hold a snapshot.
    pub(crate) fn step_calls(&mut self) -> bool {
        let mut moved = false;
        for tag in 0..self.calls.len() {
            let call = &self.calls[tag];
            if call.status.is_some() {
                continue;
            }
            let passed = |at: Option<Instant>| at.is_some_and(|at| at <= self.now);
            if passed(call.deadline) && !call.is_placed() && !call.is_queued() {
                moved = true;
                self.give_up(tag, Status::new(Code::DeadlineExceeded, "Deadline Exceeded"));
                continue;
            }
            if passed(call.give_up_at) && !call.is_placed() {
                moved = true;
                self.give_up(tag, Status::from(Code::Cancelled));
                continue;
            }
            if passed(call.rpc.poll_timeout()) && call.resting.is_none() {
                moved = true;
                self.drive(tag);
                let at = self.calls[tag].rpc.poll_timeout();
                assert!(at.is_none_or(|at| at > self.now), "call {tag} is due again at once");
            }
            moved |= self.step_held(tag);
        }
        moved
    }

    /// Attempts that hold a snapshot pick from it, some of them.
    fn step_held(&mut self, tag: usize) -> bool {
        let mut moved = false;
        let mut due = Vec::new();
        for live in &mut self.calls[tag].live {
            if let Place::Held(snapshot, turns) = &mut live.place {
                moved = true;
                match turns.checked_sub(1) {
                    Some(left) => *turns = left,
                    None => due.push((live.id, Arc::clone(snapshot))),
                }
            }
        }
        for (id, snapshot) in due {
            if self.calls[tag].is_live(id) {
                self.pick(tag, id, &snapshot);
            }
        }
        moved
    }

    /// Brings an attempt to a connection of a snapshot, new or old, if there is one.
    fn pick(&mut self, tag: usize, id: AttemptId, snapshot: &Snapshot<Handle>) {
        let call = &self.calls[tag];
        let path = call.path(tag, id);
        let choice = snapshot.pick(&PickArgs::new(&path, self.rng.u64(..)));
        let fits = match (&choice, snapshot.state()) {
            (Choice::Ready(_), Connectivity::Ready) => true,
            (Choice::Queue, Connectivity::Idle | Connectivity::Connecting) => true,
            (Choice::Fail(refusal), Connectivity::TransientFailure) => refusal.may_retry,
            (Choice::Fail(refusal), Connectivity::Shutdown) => !refusal.may_retry,
            _ => false,
        };
        assert!(fits, "{:?} was picked in {}", choice, snapshot.state());
        match choice {
            Choice::Ready(picked) => {
                let (link, dial) = (picked.connection.link, picked.dial);
                assert_eq!(picked.connection.dial, dial, "a connection has another's name");
                self.clients[call.client].check_pick(snapshot.generation(), dial);
                self.place(tag, id, link, dial, picked.done);
            }
            Choice::Fail(refusal) if !(refusal.may_retry && call.plan.wait_for_ready) => {
                self.refused(tag, id, refusal);
            }
            Choice::Queue | Choice::Fail(_) => self.queue(tag, id),
        }
    }

    fn queue(&mut self, tag: usize, id: AttemptId) {
        let call = &mut self.calls[tag];
        let waiting = call.waiting(call.path(tag, id));
        let (ticket, serial) = self.clients[call.client].queue((tag, id), waiting, self.now);
        if let Some(live) = call.live.iter_mut().find(|live| live.id == id) {
            live.place = Place::Queued(ticket, serial);
        }
    }

    /// The brain has found a connection for a call, or will not.
    pub(crate) fn given(
        &mut self,
        (tag, attempt, serial): (usize, Option<AttemptId>, u64),
        given: Result<Placed<Handle>, Refusal>,
    ) {
        let call = &mut self.calls[tag];
        let id = match attempt {
            // Those that have been given up meanwhile want nothing any more.
            Some(id) => {
                let its = |live: &Live| live.id == id && matches!(live.place, Place::Queued(_, own) if own == serial);
                if !call.live.iter().any(its) {
                    return;
                }
                id
            }
            None => {
                if call.resting.take_if(|(_, own)| *own == serial).is_none() {
                    return;
                }
                if let Err(refusal) = &given
                    && !refusal.may_retry
                {
                    return self.give_up(tag, refusal.status.clone());
                }
                let attempt = call.rpc.attempt(self.now).expect("what has rested is due");
                call.begin(tag, attempt.id, attempt.previous, Place::Placed);
                attempt.id
            }
        };
        match given {
            Ok(placed) => self.place(tag, id, placed.connection.link, placed.dial, placed.done),
            Err(refusal) => self.refused(tag, id, refusal),
        }
        self.drive(tag);
    }

    /// An attempt goes nowhere.
    fn refused(&mut self, tag: usize, id: AttemptId, refusal: Refusal) {
        let call = &self.calls[tag];
        let Refusal { status, may_retry } = refusal;
        let client = &self.clients[call.client];
        let late = status.code == Code::DeadlineExceeded && call.deadline.is_some_and(|at| at <= self.now);
        let left = client.left && status == closed();
        assert!(may_retry || late || left, "call {tag} was refused: {status}");
        let failed = may_retry && !call.plan.wait_for_ready && (!self.fair || client.witness.ejects());
        assert!(failed || !may_retry, "call {tag} failed: {status}");
        let seen = if may_retry { Seen::Perhaps } else { Seen::Dropped };
        let end = End { code: status.code, trailers: &Metadata::new(), completed: false, seen };
        self.attempt_ended(tag, id, end, status);
    }

    /// An attempt goes onto a connection, or back to the brain if that takes no calls.
    fn place(&mut self, tag: usize, id: AttemptId, index: usize, dial: DialId, done: Done) {
        if self.open(tag, id, index, done) {
            return;
        }
        let link = &mut self.links[index];
        assert!(!link.ends[0].connection.accepts_calls(), "a connection that takes calls took none");
        if !link.told_lost && self.rng.bool() {
            // The word has not reached the channel yet.
            link.told_lost = true;
            let lost =
                Lost { how: How::Draining, why: "no more calls", useful: link.is_useful(), keepalive_time: None };
            self.clients[link.client].handle_lost(dial, lost, self.now, &mut self.rng);
        } else if !link.told_lost {
            // It reaches it before the call does.
            self.look_at(index);
        }
        self.queue(tag, id);
    }

    fn open(&mut self, tag: usize, id: AttemptId, index: usize, done: Done) -> bool {
        let call = &mut self.calls[tag];
        let link = &mut self.links[index];
        let path = call.path(tag, id);
        let configs = [&self.clients[link.client].engine, &self.servers[link.server].config];
        if configs.iter().any(|config| config.limits.unread < 1 << 20) {
            // Where little may be unread a compressed message can end its call.
            call.plan.encoding = [Encoding::Identity; 2];
        }
        let [end, _] = &mut link.ends;
        let live = call.live.iter_mut().find(|live| live.id == id).expect("an attempt that has begun");
        let previous = live.previous;
        let mut metadata = call.plan.metadata.clone();
        if previous > 0 {
            metadata.append(PREVIOUS_ATTEMPTS, previous.to_string()).expect("legal metadata");
        }
        let request = Request { path: &path, authority: "sim.example", metadata: &metadata, deadline: call.deadline };
        let Ok(opened) = end.connection.open_encoded(request, call.plan.encoding[0], self.now) else { return false };
        live.place = Place::Placed;
        end.opened(opened);
        end.drain();
        let plan = call.plan.of_attempt(previous);
        let client = Side::new(opened, 0, &plan, self.now);
        let attempt = Attempt {
            tag,
            number: id.0 as usize,
            previous,
            plan,
            begun: false,
            link: index,
            deadline: call.deadline,
            done: Some(done),
            client,
            server: None,
        };
        self.attempts.push(attempt);
        true
    }
}
