//! `pick_first` (gRFC A62), with happy eyeballs (RFC 8305, gRFC A61): one connection, to the first address that answers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

use farcall_core::{Code, Status};
use serde_json::Value;

use super::{
    Failing, Helper, Pick, PickArgs, Picker, Policy, PolicyConfig, PolicyFactory, Queueing, Registry, Resolution,
    Route, SubchannelId, Update,
};
use crate::{Address, Connectivity, resolver::Endpoint};

const NAME: &str = "pick_first";

/// The config of `pick_first`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PickFirstConfig {
    /// Whether endpoints are tried in random order, so that many clients spread over them. Default false.
    pub shuffle: bool,
}

impl PolicyConfig for PickFirstConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(PickFirst::default())
    }
}

impl PolicyFactory for PickFirstConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, config: &Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let shuffle = match config.get("shuffleAddressList") {
            None => false,
            Some(Value::Bool(shuffle)) => *shuffle,
            Some(_) => {
                let fault = "[field:shuffleAddressList error:is not a boolean]";
                return Err(format!("errors validating pick_first LB policy config: {fault}"));
            }
        };
        Ok(Arc::new(PickFirstConfig { shuffle }))
    }
}

/// `pick_first`.
///
/// It tries one address after the other, each a while after the one before, and takes the first that connects; it lets the
/// others go then. When all have failed it is in TRANSIENT_FAILURE, and stays so until one connects, while each is tried
/// again after its own back-off. When its connection is lost it is IDLE until it is woken.
#[derive(Default)]
pub struct PickFirst {
    addresses: Vec<Address>,
    /// Those there are subchannels of: all, in the order of `addresses`, or the selected one.
    subchannels: Vec<Subchannel>,
    phase: Phase,
    /// It has failed since it was last READY, and shows no other state until it is.
    failing: bool,
    /// What went wrong last.
    last: Option<Arc<str>>,
    /// What the server that it is connected to says of itself.
    health: Health,
    route: Arc<[u32]>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Health {
    /// It is well, or not asked.
    #[default]
    Well,
    /// It has not said yet.
    Unknown,
    /// Why is in `last`.
    Unwell,
}

#[derive(Debug)]
struct Subchannel {
    id: SubchannelId,
    address: Address,
    state: Is,
    /// It has failed in this pass, and is not tried again before the pass is over.
    failed: bool,
}

/// The state of a subchannel as it was last heard of; one that has been asked to connect is CONNECTING.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Is {
    Idle,
    Connecting,
    Failed,
}

/// Named for what it waits for.
#[derive(Default, PartialEq, Eq, Debug)]
enum Phase {
    /// Endpoints.
    #[default]
    New,
    /// A call.
    Idle,
    /// The first pass over all addresses: `at` is the one begun last, the next is begun `next_at`.
    FirstPass { at: usize, next_at: Option<Instant> },
    /// Any of them: all have failed, and so many attempts since they were last resolved.
    Failing { failures: usize },
    /// The loss of the connection.
    Ready,
}

impl Policy for PickFirst {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        self.route = helper.route();
        let shuffle = resolution.config::<PickFirstConfig>().is_some_and(|config| config.shuffle);
        let addresses = in_order(&resolution.endpoints, shuffle.then_some(&mut *helper));
        if addresses.is_empty() {
            self.forget_all_but(&BTreeSet::new(), helper);
            self.addresses = addresses;
            self.last = Some("no address".into());
            self.fail(helper);
            return Err("no address".to_owned());
        }
        if addresses == self.addresses || (shuffle && same(&addresses, &self.addresses)) {
            return Ok(());
        }
        let kept: BTreeSet<&Address> = addresses.iter().collect();
        self.forget_all_but(&kept, helper);
        self.addresses = addresses;
        match self.phase {
            Phase::Ready if !self.subchannels.is_empty() => {}
            Phase::Idle => {}
            _ => self.start_pass(helper),
        }
        Ok(())
    }

    fn handle_subchannel(&mut self, _: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        let Some(index) = self.find(id) else { return };
        let Some(subchannel) = self.subchannels.get_mut(index) else { return };
        match update {
            Update::Ready => self.select(index, Health::Well, helper),
            Update::Checking => self.select(index, Health::Unknown, helper),
            Update::Unhealthy(why) => {
                self.select(index, Health::Unwell, helper);
                self.last = Some(Arc::clone(why));
                // Another may have been put in its place.
                helper.resolve_again();
            }
            Update::Connecting => subchannel.state = Is::Connecting,
            Update::Idle => {
                subchannel.state = Is::Idle;
                match self.phase {
                    Phase::Ready => {
                        self.phase = Phase::Idle;
                        // It may have gone elsewhere.
                        helper.resolve_again();
                        helper.changed();
                    }
                    Phase::Failing { .. } => {
                        subchannel.state = Is::Connecting;
                        helper.connect(id);
                    }
                    Phase::FirstPass { .. } => self.advance(helper),
                    Phase::New | Phase::Idle => {}
                }
            }
            Update::Failed(why) => {
                (subchannel.state, subchannel.failed) = (Is::Failed, true);
                self.handle_failure(index, why, helper);
            }
        }
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        if let Phase::FirstPass { at, next_at } = &mut self.phase
            && next_at.is_some_and(|due| due <= helper.now())
        {
            (*at, *next_at) = (*at + 1, None);
            self.advance(helper);
        }
    }

    fn wake(&mut self, _: Route<'_>, helper: &mut Helper) {
        if self.phase == Phase::Idle {
            self.start_pass(helper);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if let Phase::FirstPass { next_at, .. } = self.phase { next_at } else { None }
    }

    fn state(&self) -> Connectivity {
        match self.phase {
            Phase::Ready => match self.health {
                Health::Well => Connectivity::Ready,
                Health::Unknown => Connectivity::Connecting,
                Health::Unwell => Connectivity::TransientFailure,
            },
            Phase::Idle => Connectivity::Idle,
            Phase::New | Phase::FirstPass { .. } | Phase::Failing { .. } if self.failing => {
                Connectivity::TransientFailure
            }
            Phase::New | Phase::FirstPass { .. } | Phase::Failing { .. } => Connectivity::Connecting,
        }
    }

    fn picker(&self) -> Arc<dyn Picker> {
        match (self.state(), self.subchannels.first()) {
            (Connectivity::Ready, Some(selected)) => Arc::new(Fixed(selected.id)),
            (Connectivity::TransientFailure, _) => {
                let last = self.last.as_deref().unwrap_or("no address");
                let text = format!("failed to connect to all addresses; last error: {last}");
                Arc::new(Failing(Arc::new(Status::new(Code::Unavailable, text))))
            }
            (Connectivity::Idle, _) => Arc::new(Queueing(Some(Arc::clone(&self.route)))),
            _ => Arc::new(Queueing(None)),
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.last.clone()
    }
}

impl PickFirst {
    fn find(&self, id: SubchannelId) -> Option<usize> {
        self.subchannels.iter().position(|subchannel| subchannel.id == id)
    }

    /// Lets go the subchannels of other addresses.
    fn forget_all_but(&mut self, kept: &BTreeSet<&Address>, helper: &mut Helper) {
        self.subchannels.retain(|subchannel| {
            let keep = kept.contains(&subchannel.address);
            if !keep {
                helper.release(subchannel.id);
            }
            keep
        });
    }

    /// Begins with the first address.
    fn start_pass(&mut self, helper: &mut Helper) {
        let mut known: BTreeMap<Address, Subchannel> =
            self.subchannels.drain(..).map(|subchannel| (subchannel.address.clone(), subchannel)).collect();
        for address in &self.addresses {
            let subchannel = known.remove(address).unwrap_or_else(|| Subchannel {
                id: helper.new_subchannel(address),
                address: address.clone(),
                state: Is::Idle,
                failed: false,
            });
            let failed = subchannel.state == Is::Failed;
            self.subchannels.push(Subchannel { failed, ..subchannel });
        }
        known.values().for_each(|subchannel| helper.release(subchannel.id));
        self.phase = Phase::FirstPass { at: 0, next_at: None };
        helper.changed();
        self.advance(helper);
    }

    /// Has the address connect that is next, or ends the pass.
    fn advance(&mut self, helper: &mut Helper) {
        let Phase::FirstPass { at, next_at } = &mut self.phase else { return };
        while let Some(subchannel) = self.subchannels.get_mut(*at) {
            if !subchannel.failed {
                if subchannel.state == Is::Idle {
                    subchannel.state = Is::Connecting;
                    helper.connect(subchannel.id);
                }
                if next_at.is_none() && *at + 1 < self.subchannels.len() {
                    *next_at = Some(helper.now() + helper.attempt_delay());
                }
                return;
            }
            (*at, *next_at) = (*at + 1, None);
        }
        *next_at = None;
        if self.subchannels.iter().all(|subchannel| subchannel.failed) {
            self.fail(helper);
        }
    }

    fn handle_failure(&mut self, index: usize, why: &Arc<str>, helper: &mut Helper) {
        self.last = Some(Arc::clone(why));
        match &mut self.phase {
            Phase::FirstPass { at, next_at } => {
                if *at == index {
                    (*at, *next_at) = (*at + 1, None);
                }
                self.advance(helper);
            }
            Phase::Failing { failures } => {
                *failures += 1;
                if *failures >= self.subchannels.len() {
                    *failures = 0;
                    helper.resolve_again();
                }
                helper.changed();
            }
            // It broke as soon as it was made; others may be better.
            Phase::Ready => {
                helper.resolve_again();
                self.start_pass(helper);
            }
            Phase::New | Phase::Idle => {}
        }
    }

    /// All have failed.
    fn fail(&mut self, helper: &mut Helper) {
        self.failing = true;
        self.phase = Phase::Failing { failures: 0 };
        helper.resolve_again();
        helper.changed();
        for subchannel in &mut self.subchannels {
            if subchannel.state == Is::Idle {
                subchannel.state = Is::Connecting;
                helper.connect(subchannel.id);
            }
        }
    }

    /// Takes the one that has connected, whose server says this of itself.
    fn select(&mut self, index: usize, health: Health, helper: &mut Helper) {
        let selected = self.subchannels.swap_remove(index);
        for other in std::mem::take(&mut self.subchannels) {
            helper.release(other.id);
        }
        self.subchannels.push(Subchannel { state: Is::Connecting, ..selected });
        self.phase = Phase::Ready;
        (self.failing, self.last, self.health) = (false, None, health);
        helper.changed();
    }
}

/// Always the same.
#[derive(Debug)]
struct Fixed(SubchannelId);

impl Picker for Fixed {
    fn pick(&self, _: &PickArgs<'_>) -> Pick {
        Pick::Ready(self.0)
    }
}

fn same(a: &[Address], b: &[Address]) -> bool {
    a.len() == b.len() && a.iter().collect::<BTreeSet<_>>() == b.iter().collect::<BTreeSet<_>>()
}

/// The addresses of all endpoints, each once, families by turns beginning with that of the first.
fn in_order(endpoints: &[Endpoint], shuffle: Option<&mut Helper>) -> Vec<Address> {
    let mut order: Vec<&Endpoint> = endpoints.iter().collect();
    if let Some(helper) = shuffle {
        // One of twice the weight is twice as likely to be first (gRFC A113).
        order.sort_by_cached_key(|endpoint| Late::new(helper.random(), endpoint.weight));
    }
    let mut seen = BTreeSet::new();
    let mut families: Vec<(Family, VecDeque<Address>)> = Vec::new();
    for address in order.into_iter().flat_map(|endpoint| &endpoint.addresses) {
        if !seen.insert(address) {
            continue;
        }
        let family = family(address);
        match families.iter_mut().find(|(known, _)| *known == family) {
            Some((_, addresses)) => addresses.push_back(address.clone()),
            None => families.push((family, VecDeque::from([address.clone()]))),
        }
    }
    let mut interleaved = Vec::with_capacity(seen.len());
    while interleaved.len() < seen.len() {
        interleaved.extend(families.iter_mut().filter_map(|(_, addresses)| addresses.pop_front()));
    }
    interleaved
}

/// How late an endpoint's turn comes: at random, and sooner the more it weighs.
#[derive(Clone, Copy, PartialEq)]
struct Late(f64);

impl Late {
    /// Exponentially distributed, with the weight as its rate.
    fn new(random: u64, weight: u32) -> Late {
        #[allow(clippy::cast_precision_loss)] // 53 bits are exact.
        let unit = ((random >> 11) + 1) as f64 / (1u64 << 53) as f64;
        Late(-unit.ln() / f64::from(weight.max(1)))
    }
}

impl Eq for Late {}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Late) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Late {
    fn cmp(&self, other: &Late) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Other,
}

fn family(address: &Address) -> Family {
    match address {
        Address::Ip(SocketAddr::V4(_)) => Family::V4,
        Address::Ip(SocketAddr::V6(_)) => Family::V6,
        Address::Unix(_) | Address::UnixAbstract(_) | Address::Vsock { .. } => Family::Other,
    }
}
