//! Calls that wait for a connection.

use std::sync::Arc;

use farcall_core::{Code, Status};

use super::{Channel, Phase};
use crate::{
    Action, Placed, Refusal, Ticket, Until, Waiting,
    balancer::{Pick, PickArgs},
};

impl<C: Clone, K> Channel<C, K> {
    /// Why a call may not wait.
    pub(super) fn refusal(&self, call: &Waiting) -> Option<Refusal> {
        match &self.phase {
            Phase::Shutdown => return Some(Refusal::last(closed())),
            Phase::Lame(status) => return Some(Refusal::last((**status).clone())),
            Phase::Idle | Phase::Active => {}
        }
        call.deadline.is_some_and(|deadline| deadline <= self.now).then(late)
    }

    /// Picks for a call, or has it wait.
    pub(super) fn place(&mut self, ticket: Ticket, key: K, call: Waiting) {
        if let Some(refusal) = self.refusal(&call) {
            return self.actions.push_back(Action::Fail(key, refusal));
        }
        match self.choose(&call) {
            Chosen::Done(placed) => self.actions.push_back(Action::Start(key, placed)),
            Chosen::Refused(refusal) => self.actions.push_back(Action::Fail(key, refusal)),
            Chosen::Wait => self.hold(ticket, key, call, None),
            Chosen::Wake(route) => {
                self.hold(ticket, key, call, None);
                self.wake_once(route);
            }
        }
    }

    /// Has a call wait, if not too many do.
    pub(super) fn hold(&mut self, ticket: Ticket, key: K, call: Waiting, rests: Option<Until>) {
        if self.queue.is_full() {
            let text = format!("{} calls wait for a connection already", self.config.limits.queued_calls);
            let refusal = Refusal::last(Status::new(Code::ResourceExhausted, text));
            return self.actions.push_back(Action::Fail(key, refusal));
        }
        self.queue.insert(ticket, key, call, rests);
    }

    pub(super) fn choose(&mut self, call: &Waiting) -> Chosen<C> {
        let snapshot = Arc::clone(&self.snapshot);
        let (attributes, metadata) = (call.attributes.as_deref(), call.metadata.as_deref());
        let args = PickArgs { path: &call.path, random: self.random.next(), attributes, metadata };
        match snapshot.choose(&args) {
            (Pick::Ready(_), Some(place)) => Chosen::Done(place.placed()),
            (Pick::Ready(_) | Pick::Queue, _) => Chosen::Wait,
            (Pick::Wake(route), _) => Chosen::Wake(route),
            (Pick::Fail(_), _) if call.wait_for_ready => Chosen::Wait,
            (Pick::Fail(status), _) => Chosen::Refused(Refusal { status: (*status).clone(), may_retry: true }),
            (Pick::Drop(status), _) => Chosen::Refused(Refusal::last((*status).clone())),
        }
    }

    /// Wakes a policy for calls that wait, once a drain: one that stays IDLE all the same must not go round for ever.
    pub(super) fn wake_once(&mut self, route: Arc<[u32]>) {
        if self.woken.insert(Arc::clone(&route)) {
            self.wake(&route);
        }
    }

    pub(super) fn wake(&mut self, route: &[u32]) {
        match self.phase {
            Phase::Idle => self.start(),
            Phase::Active => {
                self.tree.wake(route, self.now);
                self.settle();
            }
            Phase::Lame(_) | Phase::Shutdown => {}
        }
    }
}

/// What is to be done with a call of the queue.
pub(super) enum Chosen<C> {
    Done(Placed<C>),
    Wait,
    Wake(Arc<[u32]>),
    Refused(Refusal),
}

pub(super) fn closed() -> Status {
    Status::new(Code::Cancelled, "Channel closed!")
}

pub(super) fn late() -> Refusal {
    Refusal::last(Status::new(Code::DeadlineExceeded, "Deadline Exceeded"))
}
