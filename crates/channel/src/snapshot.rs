//! What a call reads without the channel's lock: the picker, the connections it may pick, and the config of methods.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use farcall_core::Status;

use crate::{
    Address, ConfigSelector, Connectivity, DialId, Head, Selection, Throttle,
    balancer::{Done, Hooks, Pick, PickArgs, Picker},
};

/// What a channel is to its calls, until it publishes another.
pub struct Snapshot<C> {
    pub(crate) generation: u64,
    pub(crate) state: Connectivity,
    pub(crate) picker: Arc<dyn Picker>,
    /// By the slot of subchannels.
    pub(crate) places: Box<[Option<Arc<Place<C>>>]>,
    pub(crate) selector: Arc<dyn ConfigSelector>,
    pub(crate) throttle: Option<Arc<Throttle>>,
    /// The selector is not to change because something is found for the first time.
    pub(crate) knows: bool,
    pub(crate) activity: Arc<Activity>,
}

/// A connection in a snapshot.
pub(crate) struct Place<C> {
    pub(crate) generation: u32,
    pub(crate) dial: DialId,
    pub(crate) connection: C,
    pub(crate) address: Address,
    pub(crate) hooks: Hooks,
}

impl<C: Clone> Place<C> {
    /// A call goes onto it.
    pub(crate) fn placed(&self) -> Placed<C> {
        Placed { connection: self.connection.clone(), dial: self.dial, done: Done::start(&self.hooks) }
    }
}

/// Where a call goes.
#[derive(Debug)]
pub enum Choice<'a, C> {
    /// Onto this connection.
    Ready(Picked<'a, C>),
    /// Nowhere yet: [`Channel::queue`](crate::Channel::queue) has it wait.
    Queue,
    /// Nowhere: it fails, unless it waits for ready or is made again.
    Fail(Refusal),
}

/// A connection that a call was picked for. When the call does not go onto it after all, this is dropped.
#[derive(Debug)]
pub struct Picked<'a, C> {
    /// The connection.
    pub connection: &'a C,
    /// Its name among the channel's, as [`handle_lost`](crate::Channel::handle_lost) wants it.
    pub dial: DialId,
    /// Where it leads.
    pub address: &'a Address,
    /// Hears how the call ends.
    pub done: Done,
}

impl<C: Clone> Picked<'_, C> {
    /// The same without the snapshot.
    pub fn into_placed(self) -> Placed<C> {
        let Picked { connection, dial, address: _, done } = self;
        Placed { connection: connection.clone(), dial, done }
    }
}

/// A connection that a call of the queue was picked for.
#[derive(Debug)]
pub struct Placed<C> {
    /// The connection.
    pub connection: C,
    /// Its name among the channel's.
    pub dial: DialId,
    /// Hears how the call ends.
    pub done: Done,
}

/// Why a call goes nowhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// How it ends.
    pub status: Status,
    /// Whether its retry policy has a word in it (gRFC A6): not when it was dropped on purpose, came too late or the channel is
    /// closed.
    pub may_retry: bool,
}

impl Refusal {
    pub(crate) fn last(status: Status) -> Refusal {
        Refusal { status, may_retry: false }
    }
}

impl<C> Snapshot<C> {
    /// Which of the channel's snapshots it is: later ones have greater numbers.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The connectivity state.
    pub fn state(&self) -> Connectivity {
        self.state
    }

    /// What counts the channel's failures, if its service config has `retryThrottling`: for the plan of a call.
    pub fn throttle(&self) -> Option<&Arc<Throttle>> {
        self.throttle.as_ref()
    }

    /// Whether [`select`](Snapshot::select) knows what the resolver wants of calls. Where service configs come from a resolver, it
    /// does not before the first is found: a call waits for that as it does for a connection, and selects then.
    pub fn knows(&self) -> bool {
        self.knows
    }

    /// What is asked of a call of this path. It is asked for once a call, before the first pick.
    ///
    /// # Errors
    /// How the call ends that may not be made.
    pub fn select(&self, head: &Head<'_>) -> Result<Selection<'_>, Status> {
        self.selector.select(head)
    }

    /// Where a call goes. It takes no lock and allocates nothing, unless the call fails.
    pub fn pick(&self, args: &PickArgs<'_>) -> Choice<'_, C> {
        self.activity.touch();
        match self.choose(args) {
            (Pick::Ready(_), Some(place)) => Choice::Ready(Picked {
                connection: &place.connection,
                dial: place.dial,
                address: &place.address,
                done: Done::start(&place.hooks),
            }),
            (Pick::Fail(status), _) => Choice::Fail(Refusal { status: (*status).clone(), may_retry: true }),
            (Pick::Drop(status), _) => Choice::Fail(Refusal::last((*status).clone())),
            (Pick::Ready(_) | Pick::Queue | Pick::Wake(_), _) => Choice::Queue,
        }
    }

    /// What the picker says, and the place it means.
    pub(crate) fn choose(&self, args: &PickArgs<'_>) -> (Pick, Option<&Place<C>>) {
        let pick = self.picker.pick(args);
        let place = match &pick {
            Pick::Ready(id) => self
                .places
                .get(id.slot as usize)
                .and_then(Option::as_deref)
                .filter(|place| place.generation == id.generation),
            _ => None,
        };
        (pick, place)
    }
}

impl<C> fmt::Debug for Snapshot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.places.iter().flatten().map(|place| place.address.to_string());
        f.debug_struct("Snapshot")
            .field("generation", &self.generation)
            .field("state", &self.state)
            .field("ready", &ready.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Whether calls have been made since last asked.
#[derive(Default, Debug)]
pub(crate) struct Activity(AtomicBool);

impl Activity {
    /// A call is made. The flag is written only when it is not set, so that threads share it in peace.
    pub(crate) fn touch(&self) {
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
