//! A channel's calls: where they go, and what they wait for.

use std::{cell::Cell, sync::Arc, time::Instant};

use farcall_channel::{
    Choice, DialId, Head, How, MethodConfig, Picked, Refusal, Ticket, Until, Waiting,
    balancer::{Done, PickArgs},
    call::Plan,
};
use farcall_system::{
    channelz::Tally,
    message::{Message, NO_MORE_CALLS, too_large},
    process,
};

use super::{AT_ONCE, Brain, Channel};
use crate::{
    attempts::Due,
    call::{Call, Outbox, deadline_exceeded},
    connection::{Connection, Then},
};

impl Channel {
    /// Starts a call with what is in `outbox`; never waits. `then` says whether the caller waits for it next.
    pub fn start(
        self: &Arc<Self>,
        mut outbox: Outbox,
        message: Option<Message<'_>>,
        deadline: Option<Instant>,
        then: Then,
    ) -> Arc<Call> {
        outbox.channel = Arc::downgrade(self);
        outbox.tally = Some(Tally::of_client(&self.entity));
        outbox.retry_buffer = self.retry.buffer;
        let snapshot = self.snapshot.load();
        let config = match snapshot.select(&Head { path: &outbox.path }) {
            Ok(selection) => selection.method.cloned(),
            Err(status) => return Call::failed(status),
        };
        let (deadline, plan) = match &config {
            Some(config) => self.plan(config, &mut outbox, deadline),
            None => (deadline, None),
        };
        if let Some(message) = message {
            outbox.push(message.into_bytes());
        }
        let late = || deadline.filter(|deadline| *deadline <= Instant::now()).map(|_| deadline_exceeded());
        let refused = config.as_ref().and_then(|config| too_large("Sent", outbox.bytes, config.max_request));
        let refused = refused.or_else(late);
        let (held, wait_for_ready) = (outbox.held, outbox.wait_for_ready.unwrap_or(false));
        let choice = if held || refused.is_some() {
            Choice::Queue
        } else {
            let args = PickArgs { metadata: Some(&outbox.metadata), ..PickArgs::new(&outbox.path, random()) };
            snapshot.pick(&args)
        };
        let then = if plan.as_ref().is_some_and(|plan| plan.hedges()) { Then::Go } else { then };
        let call = Call::of_client(
            outbox,
            deadline,
            Arc::clone(&self.notifier),
            config,
            plan.map(|plan| (plan, &self.budget)),
        );
        match (refused, choice) {
            (Some(status), _) => call.fail_waiting(status),
            (None, Choice::Ready(Picked { connection, dial, done, .. })) => {
                self.place(&call, (connection, dial, done), then);
            }
            (None, Choice::Fail(refusal)) if !(wait_for_ready && refusal.may_retry) => self.refuse(&call, refusal),
            (None, _) if held => self.rest(&call, Until::Resumed, AT_ONCE),
            (None, Choice::Queue | Choice::Fail(_)) => self.queue(&call, AT_ONCE),
        }
        call
    }

    /// What the service config makes of a call: its deadline, and whether it is made again.
    fn plan(
        &self,
        config: &Arc<MethodConfig>,
        outbox: &mut Outbox,
        deadline: Option<Instant>,
    ) -> (Option<Instant>, Option<Box<Plan>>) {
        outbox.wait_for_ready = outbox.wait_for_ready.or(config.wait_for_ready);
        let timeout = config.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let again = self.retry.enabled && (self.retry.hedging || config.hedging.is_none());
        let plan = again.then(|| Plan::new(config, self.snapshot.load().throttle(), process::random())).flatten();
        ([deadline, timeout].into_iter().flatten().min(), plan)
    }

    /// Puts a call onto a connection, or has it wait for another.
    pub(super) fn place(
        self: &Arc<Self>,
        call: &Arc<Call>,
        (connection, dial, done): (&Arc<Connection>, DialId, Done),
        then: Then,
    ) {
        if !connection.adopt(call, &self.authority, then, done) {
            // Its end is about to be told; the call waits for what comes after.
            self.lost(dial, How::Draining, NO_MORE_CALLS, connection, AT_ONCE);
            self.queue(call, AT_ONCE);
        } else if call.hedges {
            self.go_on(call, AT_ONCE);
        }
    }

    /// A call goes nowhere, unless it is made again.
    pub(super) fn refuse(self: &Arc<Self>, call: &Arc<Call>, refusal: Refusal) {
        call.refuse_place(refusal, Instant::now());
        self.go_on(call, AT_ONCE);
    }

    /// Sees to the next attempt at a call, if there is to be one.
    pub(crate) fn go_on(self: &Arc<Self>, call: &Arc<Call>, most: usize) {
        match call.due(Instant::now()) {
            None => {}
            Some(Due::Now) => self.queue(call, most),
            Some(Due::At(at)) => self.rest(call, Until::Time(at), most),
            Some(Due::Beside(at)) => {
                let (channel, weak) = (Arc::downgrade(self), Arc::downgrade(call));
                let hedge = move || {
                    if let (Some(channel), Some(call)) = (channel.upgrade(), weak.upgrade()) {
                        channel.go_on(&call, AT_ONCE);
                    }
                };
                call.set_timer(self.reactor.at(at, Box::new(hedge)));
            }
        }
    }

    /// Has a call wait for a connection.
    fn queue(self: &Arc<Self>, call: &Arc<Call>, most: usize) {
        self.wait(call, most, |brain, call, waiting, now| brain.queue(call, waiting, now));
    }

    /// Has a call wait for something else, and then for a connection.
    fn rest(self: &Arc<Self>, call: &Arc<Call>, until: Until, most: usize) {
        self.wait(call, most, |brain, call, waiting, now| brain.rest(call, waiting, until, now));
    }

    fn wait(
        self: &Arc<Self>,
        call: &Arc<Call>,
        most: usize,
        enter: impl FnOnce(&mut Brain, Arc<Call>, Waiting, Instant) -> Ticket,
    ) {
        let Some(waiting) = call.waiting() else { return };
        self.step(most, |state, now| {
            let ticket = enter(&mut state.brain, Arc::clone(call), waiting, now);
            if !call.set_ticket(ticket) {
                // It has been cancelled meanwhile.
                state.brain.forget(ticket);
            }
        });
    }

    /// What a call was held for has come.
    pub(crate) fn resume(self: &Arc<Self>, ticket: Ticket) {
        self.step(AT_ONCE, |state, now| state.brain.resume(ticket, now));
    }

    /// A call that waited has ended.
    pub(crate) fn forget(self: &Arc<Self>, ticket: Ticket) {
        self.step(AT_ONCE, |state, _| {
            state.brain.forget(ticket);
        });
    }
}

/// For a pick: steps of the golden ratio, well spread, of each thread's own, so that none waits for another.
fn random() -> u64 {
    thread_local!(static LAST: Cell<u64> = Cell::new(process::random()));
    LAST.with(|last| {
        last.set(last.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        last.get()
    })
}
