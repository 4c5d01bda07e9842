//! A channel's calls: how they begin, where they go, and what they wait for.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Instant,
};

use farcall_channel::{
    Choice, Head, How, MethodConfig, Placed, Refusal, Ticket, Until,
    balancer::PickArgs,
    call::{Plan, Replay, Rpc},
    limits::REPLAY_WITHOUT_POLICY,
};
use farcall_system::{
    channelz::Tally,
    lock,
    message::{Message, NO_MORE_CALLS, too_large},
    process,
};
use pyo3::prelude::*;

use super::Channel;
use crate::aio::{
    call::{Begun, Call, NewCall, Outgoing, deadline_exceeded},
    connection::Connection,
    due::Due,
};

impl Channel {
    /// Starts a call, with its only request if one is given; never waits.
    pub(crate) fn start(
        self: &Arc<Self>,
        py: Python<'_>,
        mut new: NewCall,
        message: Option<Message<'_>>,
        deadline: Option<Instant>,
    ) -> PyResult<Arc<Call>> {
        let tally = Tally::of_client(&self.entity);
        let snapshot = Arc::clone(&lock(&self.snapshot));
        let config = match snapshot.select(&Head { path: &new.path }) {
            Ok(selection) => selection.method.cloned(),
            Err(status) => return Ok(Call::failed(status, &self.event_loop)),
        };
        let bytes = message.as_ref().map_or(0, Message::len);
        let (deadline, plan) = match &config {
            Some(config) => self.plan(config, &mut new, deadline, bytes),
            None => (deadline, None),
        };
        let late = || deadline.filter(|deadline| *deadline <= Instant::now()).map(|_| deadline_exceeded());
        let refused = config.as_ref().and_then(|config| too_large("Sent", bytes, config.max_request));
        let refused = refused.or_else(late);
        let (held, wait_for_ready) = (new.held, new.wait_for_ready.unwrap_or(false));
        let choice = if held || refused.is_some() {
            Choice::Queue
        } else {
            // Steps of the golden ratio: well spread, and cheap.
            let random = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            snapshot.pick(&PickArgs { metadata: Some(&new.metadata), ..PickArgs::new(&new.path, random) })
        };
        let replay = match &plan {
            Some(_) => Replay::new(self.retry.buffer, Some(Arc::clone(&self.budget))),
            None => Replay::new(self.retry.buffer.min(REPLAY_WITHOUT_POLICY), None),
        };
        let mut outgoing = Outgoing::new(Weak::clone(&self.me), new, Rpc::new(plan), replay);
        if let Some(message) = message {
            outgoing.ask(message);
        }
        let call = Call::of_client(outgoing, deadline, &self.event_loop, config, tally);
        match (refused, choice) {
            (Some(status), _) => call.fail_waiting(status, &mut Vec::new()),
            (None, Choice::Ready(picked)) => self.place(py, &call, picked.into_placed())?,
            (None, Choice::Fail(refusal)) if !(wait_for_ready && refusal.may_retry) => {
                self.refuse(py, &call, refusal, &mut Vec::new())?;
            }
            (None, _) if held => self.wait(py, &call, Some(Until::Resumed))?,
            (None, Choice::Queue | Choice::Fail(_)) => self.wait(py, &call, None)?,
        }
        Ok(call)
    }

    /// What the service config makes of a call: its deadline, and whether it is made again. What is too long to be kept is not.
    fn plan(
        &self,
        config: &Arc<MethodConfig>,
        new: &mut NewCall,
        deadline: Option<Instant>,
        bytes: usize,
    ) -> (Option<Instant>, Option<Box<Plan>>) {
        new.wait_for_ready = new.wait_for_ready.or(config.wait_for_ready);
        let timeout = config.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let enabled = self.retry.enabled && (self.retry.hedging || config.hedging.is_none());
        let again = enabled && bytes <= self.retry.buffer;
        let plan = again.then(|| Plan::new(config, lock(&self.snapshot).throttle(), process::random())).flatten();
        ([deadline, timeout].into_iter().flatten().min(), plan)
    }

    /// Puts an attempt at a call onto a connection, or has it wait for another.
    pub(super) fn place(
        self: &Arc<Self>,
        py: Python<'_>,
        call: &Arc<Call>,
        placed: Placed<Arc<Connection>>,
    ) -> PyResult<()> {
        let Placed { connection, dial, done } = placed;
        match connection.adopt(py, call, &self.authority, done)? {
            Begun::On { next: Some(at), .. } => self.wait(py, call, Some(Until::Time(at))),
            Begun::On { next: None, .. } | Begun::Nothing => Ok(()),
            Begun::Refused => {
                // Its end is about to be told; the call waits for what comes after.
                self.lost(py, dial, How::Draining, NO_MORE_CALLS, &connection)?;
                self.wait(py, call, None)
            }
        }
    }

    /// There is no connection for a call.
    pub(super) fn refuse(
        self: &Arc<Self>,
        py: Python<'_>,
        call: &Arc<Call>,
        refusal: Refusal,
        due: &mut Vec<Due>,
    ) -> PyResult<()> {
        match call.refuse_place(refusal, due) {
            Some(at) => self.wait(py, call, Some(Until::Time(at))),
            None => Ok(()),
        }
    }

    /// Has the next attempt at a call wait for a connection, perhaps for something else before.
    pub(in crate::aio) fn wait(
        self: &Arc<Self>,
        py: Python<'_>,
        call: &Arc<Call>,
        until: Option<Until>,
    ) -> PyResult<()> {
        let Some((waiting, before)) = call.waits_again() else { return Ok(()) };
        self.step(py, |state, now| {
            if let Some(before) = before {
                state.brain.forget(before);
            }
            let until = until.filter(|until| !matches!(until, Until::Time(at) if *at <= now));
            call.set_ticket(match until {
                Some(until) => state.brain.rest(Arc::clone(call), waiting, until, now),
                None => state.brain.queue(Arc::clone(call), waiting, now),
            });
        })
    }

    /// What a call was held for has come.
    pub(crate) fn resume(self: &Arc<Self>, py: Python<'_>, ticket: Ticket) -> PyResult<()> {
        self.step(py, |state, now| state.brain.resume(ticket, now))
    }

    /// A call that waited has ended.
    pub(crate) fn forget(self: &Arc<Self>, py: Python<'_>, ticket: Ticket) -> PyResult<()> {
        self.step(py, |state, _| {
            state.brain.forget(ticket);
        })
    }
}
