//! What policies want of the hands, and what calls see of them.

use std::sync::Arc;

use farcall_core::Status;

use super::{
    Channel, Phase,
    waiting::{Chosen, closed},
};
use crate::{
    Action, Connectivity, Dial, Discarded, Note, Place, Snapshot,
    balancer::{Failing, Pick, PickArgs, Picker, Queueing},
    subchannel::Order,
    tree::Settled,
};

impl<C: Clone, K> Channel<C, K> {
    /// Has the policies settle, and hands on what they want.
    pub(super) fn settle(&mut self) {
        let Settled { states, changed, resolve_again, restless } = self.tree.settle(self.now);
        self.stale |= changed;
        for order in self.tree.subchannels.take_orders() {
            self.order(order);
        }
        self.actions.extend(self.tree.take_discarded().into_iter().map(|what| Action::Drop(Discarded::Other(what))));
        if restless {
            self.actions.push_back(Action::Note(Note::Restless));
        }
        if matches!(self.phase, Phase::Active) {
            states.into_iter().for_each(|state| self.report(state));
            if resolve_again {
                self.names.resolve_again(self.now);
                self.resolved();
            }
        }
        self.report(self.state());
    }

    pub(super) fn order(&mut self, order: Order) {
        match order {
            Order::Dial(id, address) => {
                let dial = Dial {
                    address,
                    hop: self.names.hop.clone(),
                    keepalive_time: self.keepalive_time,
                    timeout: self.config.connect_timeout,
                };
                self.actions.push_back(Action::Dial(id, dial));
            }
            Order::Abandon(id) => self.actions.push_back(Action::Abandon(id)),
            Order::Open(id, dial, request) => {
                let connection = self.connections.get(&dial).cloned();
                self.actions.extend(connection.map(|connection| Action::Open(id, connection, request)));
            }
            Order::Cancel(id) => self.actions.push_back(Action::Cancel(id)),
            Order::Note(note) => self.actions.push_back(Action::Note(note)),
            Order::Release(id) => {
                self.actions.extend(self.connections.get(&id).cloned().map(Action::Release));
            }
        }
    }

    pub(super) fn report(&mut self, state: Connectivity) {
        if state != self.reported {
            self.reported = state;
            self.stale = true;
            self.actions.push_back(Action::StateChanged(state));
        }
    }

    /// Publishes a snapshot if the last one is out of date, and has those who wait pick again; whether it was.
    pub(super) fn publish(&mut self) -> bool {
        if !std::mem::take(&mut self.stale) {
            return false;
        }
        let snapshot = Arc::new(self.take_snapshot());
        let old = std::mem::replace(&mut self.snapshot, Arc::clone(&snapshot));
        self.actions.push_back(Action::Publish(snapshot));
        self.actions.push_back(Action::Drop(Discarded::Snapshot(old)));
        for ticket in self.queue.awaiting() {
            let Some(call) = self.queue.call(ticket).cloned() else { continue };
            let chosen = self.choose(&call);
            if let Chosen::Wait = chosen {
                continue;
            }
            if let Chosen::Wake(route) = chosen {
                self.wake_once(route);
                continue;
            }
            let Some(entry) = self.queue.remove(ticket) else { continue };
            match chosen {
                Chosen::Done(placed) => self.actions.push_back(Action::Start(entry.key, placed)),
                Chosen::Refused(refusal) => self.actions.push_back(Action::Fail(entry.key, refusal)),
                Chosen::Wait | Chosen::Wake(_) => {}
            }
        }
        true
    }

    pub(super) fn take_snapshot(&self) -> Snapshot<C> {
        let mut places: Vec<Option<Arc<Place<C>>>> = vec![None; self.tree.subchannels.slots()];
        for (id, dial, address, hooks) in self.tree.subchannels.ready() {
            let slot = id.slot as usize;
            let before = self.snapshot.places.get(slot).and_then(Option::as_ref);
            let same = before.filter(|place| place.generation == id.generation && place.dial == dial).cloned();
            let new = || {
                let connection = self.connections.get(&dial)?.clone();
                let (address, hooks, generation) = (address.clone(), hooks.clone(), id.generation);
                Some(Arc::new(Place { generation, dial, connection, address, hooks }))
            };
            if let Some(place) = places.get_mut(slot) {
                *place = same.or_else(new);
            }
        }
        let picker = match (&self.phase, self.tree.picker(), &self.failure) {
            (Phase::Active, Some(picker), _) => picker,
            (Phase::Active, None, Some(failure)) => Arc::new(Failing(Arc::clone(failure))) as Arc<dyn Picker>,
            (phase, _, _) => picker_of(phase),
        };
        Snapshot {
            generation: self.snapshot.generation + 1,
            state: self.state(),
            picker,
            places: places.into(),
            selector: self.selector.clone().unwrap_or_else(|| self.service_config.clone()),
            throttle: self.throttle.clone(),
            knows: self.accepted || !self.names.configures(),
            activity: Arc::clone(&self.activity),
        }
    }
}

/// What picks while no policy does.
pub(super) fn picker_of(phase: &Phase) -> Arc<dyn Picker> {
    match phase {
        Phase::Idle => Arc::new(Queueing(Some([].into()))),
        Phase::Active => Arc::new(Queueing(None)),
        Phase::Lame(status) => Arc::new(Dropping(Arc::clone(status))),
        Phase::Shutdown => Arc::new(Dropping(Arc::new(closed()))),
    }
}

/// Every call ends so.
struct Dropping(Arc<Status>);

impl Picker for Dropping {
    fn pick(&self, _: &PickArgs<'_>) -> Pick {
        Pick::Drop(Arc::clone(&self.0))
    }
}
