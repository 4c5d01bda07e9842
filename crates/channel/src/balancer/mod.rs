//! Load balancing: which connections there are, and which of them a call takes.
//!
//! A [`Policy`] is stepped, as the whole brain is: it hears of endpoints and of its subchannels, and asks for what it wants
//! through a [`Helper`], which collects. Nothing that it asks for happens before it has returned, so no policy is entered
//! from within. Policies nest: a parent calls its child [`within`](Helper::within) a key, and looks at the child's
//! state once, when the child has returned.
//!
//! A policy of a user's own is [registered](Registry::register) by name, and has its place in service configs like any other. It must not
//! block, take locks or make calls on its channel, for it runs while the channel is locked. When it panics its subchannels are
//! let go, and calls fail with the panic's text until the next resolution, for which it is made anew; a picker that panics
//! fails the call that it was to place. A policy that goes on without end holds nobody up: it gets so many
//! [steps at a time](crate::Limits::steps_per_subchannel).

mod aggregate;
mod children;
mod failing;
mod fields;
mod graceful_switch;
mod guarded;
mod helper;
mod hooks;
mod least_request;
mod named;
mod outlier_detection;
mod pick_first;
mod priority;
mod random_subsetting;
mod registry;
mod ring;
mod ring_hash;
mod round_robin;
mod sharded;
mod slow_start;
mod stride;
mod weighted_round_robin;
mod weighted_target;
mod xxhash;

use std::{any::Any, fmt, sync::Arc, time::Instant};

use farcall_core::{Metadata, Status};

pub use aggregate::{States, aggregate};
pub use children::{ChildPolicy, Children};
pub use failing::{Failing, Queueing};
pub use graceful_switch::GracefulSwitch;
pub(crate) use helper::{Collected, Slots};
pub use helper::{Helper, New};
pub use hooks::{CallHook, Done, End, Hooks, LoadListener, LoadReports};
pub use least_request::{LeastRequest, LeastRequestConfig};
pub use outlier_detection::{
    FailurePercentage, OutlierDetection, OutlierDetectionConfig, OutlierDetectionFactory, SuccessRate,
};
pub use pick_first::{PickFirst, PickFirstConfig};
pub use priority::{Priority, PriorityChild, PriorityConfig, PriorityFactory};
pub use random_subsetting::{RandomSubsetting, RandomSubsettingConfig, RandomSubsettingFactory};
pub use registry::{PolicyFactory, Registry};
pub use ring_hash::{RingHash, RingHashConfig};
pub use round_robin::{RoundRobin, RoundRobinConfig};
pub use slow_start::SlowStart;
pub use weighted_round_robin::{WeightedRoundRobin, WeightedRoundRobinConfig};
pub use weighted_target::{WeightedTarget, WeightedTargetChild, WeightedTargetConfig, WeightedTargetFactory};

use crate::{Attributes, Connectivity, resolver::Endpoint};

/// Where a policy stands among its parents: the keys of children from the root down to it.
pub type Route<'a> = &'a [u32];

/// Names a subchannel of one channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubchannelId {
    /// Its place in the snapshot.
    pub(crate) slot: u32,
    /// How often that place has been given away before.
    pub(crate) generation: u32,
}

/// What a subchannel has become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Update {
    /// It is not connected, and [`Helper::connect`] will connect it.
    Idle,
    /// It is being connected.
    Connecting,
    /// It takes calls.
    Ready,
    /// It is connected, and its server has not said yet whether it is healthy; only for policies that want to know.
    Checking,
    /// It is connected, and its server is not healthy, for this reason; only for policies that want to know.
    Unhealthy(Arc<str>),
    /// It could not be connected, and says why; [`Idle`](Update::Idle) follows after a back-off.
    Failed(Arc<str>),
}

/// What a policy balances: its endpoints, and its config.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The endpoints, each with one or more addresses.
    pub endpoints: Arc<[Endpoint]>,
    /// The policy's config.
    pub config: Arc<dyn PolicyConfig>,
}

impl Resolution {
    /// The config, if it is one of type `T`; a policy that gets another's may take its defaults.
    pub fn config<T: PolicyConfig>(&self) -> Option<&T> {
        let config: &dyn Any = &*self.config;
        config.downcast_ref()
    }
}

/// The config of a policy, which makes the policy.
pub trait PolicyConfig: Any + fmt::Debug + Send + Sync {
    /// The policy's name, as `loadBalancingConfig` has it.
    fn name(&self) -> &str;

    /// A policy that has heard of nothing yet.
    fn policy(&self) -> Box<dyn Policy>;
}

/// A load balancing policy.
///
/// After each method the policy's parent looks at [`state`](Policy::state), if the policy has said
/// [`Helper::changed`]. A policy must not block or take locks: it runs while its channel is locked.
pub trait Policy: Send {
    /// New endpoints, or a new config. A policy begins to connect at the first ones, if it is one that connects by itself.
    ///
    /// # Errors
    /// What is wrong with them: they are resolved again after a back-off.
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String>;

    /// A subchannel has changed that was made at `route` below this policy.
    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper);

    /// The time of [`poll_timeout`](Policy::poll_timeout) has come; it is in [`Helper::now`].
    fn handle_timeout(&mut self, helper: &mut Helper) {
        let _ = helper;
    }

    /// A call or the application wants the policy at `route` to leave IDLE; an empty route means this one and all below it.
    fn wake(&mut self, route: Route<'_>, helper: &mut Helper);

    /// When [`handle_timeout`](Policy::handle_timeout) must be called.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The connectivity state; CONNECTING before the first endpoints.
    fn state(&self) -> Connectivity;

    /// What picks now. It is asked for when calls are to see a change, not at each change.
    fn picker(&self) -> Arc<dyn Picker>;

    /// In TRANSIENT_FAILURE: what went wrong last, in the words of the connection it went wrong with.
    fn failure(&self) -> Option<Arc<str>>;
}

/// Picks a subchannel for a call. It is called by many threads at once and takes no lock.
pub trait Picker: Send + Sync {
    /// Where this call goes.
    fn pick(&self, args: &PickArgs<'_>) -> Pick;
}

/// What a pick may depend on.
#[derive(Clone, Copy, Debug)]
pub struct PickArgs<'a> {
    /// `/package.Service/Method`.
    pub path: &'a str,
    /// Random bits, other ones for each pick.
    pub random: u64,
    /// What the selector has said of the call.
    pub attributes: Option<&'a Attributes>,
    /// What the call sends; `None`: nothing is known of it.
    pub metadata: Option<&'a Metadata>,
}

impl<'a> PickArgs<'a> {
    /// Those of a call of this path, of which nothing more is known.
    pub fn new(path: &'a str, random: u64) -> PickArgs<'a> {
        PickArgs { path, random, attributes: None, metadata: None }
    }
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub enum Pick {
    /// Onto this subchannel.
    Ready(SubchannelId),
    /// Nowhere yet: it waits for the next picker.
    Queue,
    /// As [`Queue`](Pick::Queue), and the policy at this route is to leave IDLE.
    Wake(Arc<[u32]>),
    /// It fails with this status, unless it waits for ready or may be made again.
    Fail(Arc<Status>),
    /// It fails with this status, whatever it waits for.
    Drop(Arc<Status>),
}
