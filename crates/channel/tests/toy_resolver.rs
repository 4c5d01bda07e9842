//! A toy of what xDS does: a resolver that routes calls to clusters, some of them found only when a call asks for them. A call
//! keeps its cluster over all its attempts, and a cluster stays until its last call has let go of it (gRFC A31).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use farcall_channel::{
    Address, Attributes, CallFilter, Channel, Choice, Config, ConfigSelector, Connectivity, Filters, Go, Head, Lease,
    Question, Selection, ServiceConfig, Target, Until, Waiting,
    balancer::{
        Helper, Pick, PickArgs, PickFirst, PickFirstConfig, Picker, Policy, PolicyConfig, Resolution, Route,
        SubchannelId, Update,
    },
    call::{End, Plan, Rpc, Seen, Verdict},
    resolver::{self, Answer, Doorbell, Endpoint, Found, Query, QueryId, Resolver},
};
use farcall_core::{Code, Metadata, Status};

use crate::bench::Bench;

// The policy: a child for each cluster.

type Clusters = BTreeMap<Arc<str>, Vec<Address>>;

#[derive(Debug)]
struct ClustersConfig(Clusters);

impl PolicyConfig for ClustersConfig {
    fn name(&self) -> &str {
        "clusters"
    }
    fn policy(&self) -> Box<dyn Policy> {
        Box::new(ByCluster::default())
    }
}

#[derive(Default)]
struct ByCluster {
    children: BTreeMap<Arc<str>, (u32, PickFirst)>,
    next_key: u32,
}

impl ByCluster {
    fn step(&mut self, key: u32, helper: &mut Helper, step: impl FnOnce(&mut PickFirst, &mut Helper)) {
        let found = self.children.values_mut().find(|(child, _)| *child == key);
        let Some((_, policy)) = found else { return };
        if helper.within(key, |helper| step(policy, helper)).1 {
            helper.changed();
        }
    }
}

impl Policy for ByCluster {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        let clusters = &resolution.config::<ClustersConfig>().ok_or("not its config")?.0;
        let gone: Vec<Arc<str>> =
            self.children.keys().filter(|name| !clusters.contains_key(*name)).map(Arc::clone).collect();
        for name in gone {
            self.children.remove(&name).into_iter().for_each(|(key, _)| helper.dropped(key));
        }
        for (name, addresses) in clusters {
            let key = self.children.entry(Arc::clone(name)).or_insert_with(|| {
                self.next_key += 1;
                (self.next_key, PickFirst::default())
            });
            let (key, below) = (
                key.0,
                Resolution {
                    endpoints: addresses.iter().cloned().map(Endpoint::from).collect(),
                    config: Arc::new(PickFirstConfig::default()),
                },
            );
            let mut result = Ok(());
            self.step(key, helper, |child, helper| result = child.handle_resolution(&below, helper));
            result?;
        }
        helper.changed();
        Ok(())
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        let Some((key, below)) = route.split_first() else { return };
        self.step(*key, helper, |child, helper| child.handle_subchannel(below, id, update, helper));
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        let all: Vec<u32> = self.children.values().map(|(key, _)| *key).collect();
        let (keys, below) = route.split_first().map_or((all, route), |(key, below)| (vec![*key], below));
        keys.into_iter().for_each(|key| self.step(key, helper, |child, helper| child.wake(below, helper)));
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        let keys: Vec<u32> = self.children.values().map(|(key, _)| *key).collect();
        for key in keys {
            self.step(key, helper, |child, helper| {
                if child.poll_timeout().is_some_and(|due| due <= helper.now()) {
                    child.handle_timeout(helper);
                }
            });
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.children.values().filter_map(|(_, child)| child.poll_timeout()).min()
    }

    fn state(&self) -> Connectivity {
        Connectivity::Ready
    }

    fn picker(&self) -> Arc<dyn Picker> {
        let picker = |(name, (_, child)): (&Arc<str>, &(u32, PickFirst))| (Arc::clone(name), child.picker());
        Arc::new(ClusterPicker(self.children.iter().map(picker).collect()))
    }

    fn failure(&self) -> Option<Arc<str>> {
        None
    }
}

struct ClusterPicker(BTreeMap<Arc<str>, Arc<dyn Picker>>);

impl Picker for ClusterPicker {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        let attributes = args.attributes;
        let cluster = attributes.and_then(|attributes| attributes.cluster.as_ref()).map_or("", |name| &**name);
        match self.0.get(cluster) {
            Some(child) => child.pick(args),
            // It is being found.
            None if attributes.is_some_and(|attributes| attributes.extra.is_some()) => Pick::Queue,
            None => Pick::Drop(Arc::new(Status::new(Code::Internal, format!("there is no cluster {cluster:?}")))),
        }
    }
}

// The selector and the resolver.

/// By the paths' prefix: the cluster, and where it is.
type Given = Arc<Mutex<BTreeMap<&'static str, (Arc<str>, Vec<Address>)>>>;

/// Clusters that calls have asked for and nobody has looked up.
type Wanted = Arc<Mutex<BTreeSet<Arc<str>>>>;

#[derive(Debug)]
struct Routes {
    by_prefix: BTreeMap<&'static str, Arc<Lease>>,
    config: ServiceConfig,
    wanted: Wanted,
    bell: Arc<Doorbell>,
}

impl ConfigSelector for Routes {
    fn select(&self, head: &Head<'_>) -> Result<Selection<'_>, Status> {
        let method = self.config.method(head.path);
        if let Some((_, lease)) = self.by_prefix.iter().find(|(prefix, _)| head.path.starts_with(**prefix)) {
            let attributes = Attributes { cluster: Some(Arc::clone(lease.name())), ..Attributes::default() };
            let (attributes, lease) = (Some(Arc::new(attributes)), Some(Arc::clone(lease)));
            return Ok(Selection { method, attributes, lease, filters: Filters::default() });
        }
        // The service's name is a cluster of its own, which is looked up when it is first asked for.
        let name: Arc<str> = head.path.split('/').nth(1).unwrap_or_default().into();
        if name.is_empty() {
            return Err(Status::new(Code::Unavailable, "no route"));
        }
        self.wanted.lock().unwrap().insert(Arc::clone(&name));
        self.bell.ring();
        let attributes = Attributes { cluster: Some(name), extra: Some(Arc::new(())), ..Attributes::default() };
        Ok(Selection { method, attributes: Some(Arc::new(attributes)), ..Selection::default() })
    }
}

/// Has its clusters from `set`, and those that calls ask for from the hands.
#[derive(Debug)]
struct Toy {
    given: Given,
    /// All clusters that there are, with those that calls hold.
    clusters: BTreeMap<Arc<str>, (Vec<Address>, Weak<Lease>)>,
    dynamic: Clusters,
    queries: BTreeMap<QueryId, Arc<str>>,
    wanted: Wanted,
}

impl Toy {
    fn publish(&mut self, helper: &mut resolver::Helper) {
        let given = self.given.lock().unwrap().clone();
        let mut by_prefix = BTreeMap::new();
        for (prefix, (name, addresses)) in given {
            let held = self.clusters.get(&name).and_then(|(_, lease)| lease.upgrade());
            let lease = held.unwrap_or_else(|| Lease::new(Arc::clone(&name), helper.doorbell()));
            self.clusters.insert(name, (addresses, Arc::downgrade(&lease)));
            by_prefix.insert(prefix, lease);
        }
        // What neither a route nor a call holds is gone.
        self.clusters.retain(|_, (_, lease)| lease.strong_count() > 0);
        let all = self.clusters.iter().map(|(name, (addresses, _))| (Arc::clone(name), addresses.clone()));
        let config = ClustersConfig(all.chain(self.dynamic.clone()).collect());
        let retries = r#"{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":3,"initialBackoff":"1s",
            "maxBackoff":"1s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}"#;
        let routes = Routes {
            by_prefix,
            config: ServiceConfig::parse(retries).unwrap(),
            wanted: Arc::clone(&self.wanted),
            bell: Arc::clone(helper.doorbell()),
        };
        let mut balanced = ServiceConfig::parse("{}").unwrap();
        balanced.load_balancing = Some(Arc::new(config));
        helper.update(Found::new([]).with_service_config(Ok(Arc::new(balanced))).with_selector(Arc::new(routes)));
    }
}

impl Resolver for Toy {
    fn start(&mut self, helper: &mut resolver::Helper) {
        self.publish(helper);
    }
    fn stop(&mut self) {}
    fn resolve_again(&mut self, _: &mut resolver::Helper) {}
    fn handle_answer(&mut self, id: QueryId, answer: Result<Answer, String>, helper: &mut resolver::Helper) {
        let (Some(name), Ok(Answer::Found(found))) = (self.queries.remove(&id), answer) else { return };
        let addresses = found.endpoints.iter().flat_map(|endpoint| endpoint.addresses.clone()).collect();
        self.dynamic.insert(name, addresses);
        self.publish(helper);
    }
    fn handle_rejected(&mut self, why: &str, _: &mut resolver::Helper) {
        panic!("{why}");
    }
    fn handle_bell(&mut self, helper: &mut resolver::Helper) {
        for name in std::mem::take(&mut *self.wanted.lock().unwrap()) {
            if !self.dynamic.contains_key(&name) && !self.queries.values().any(|asked| *asked == name) {
                self.queries.insert(helper.query(Query::Custom(Arc::clone(&name))), name);
            }
        }
        self.publish(helper);
    }
}

// The bench.

struct World {
    bench: Bench,
    given: Given,
}

fn address(host: u8) -> Address {
    Address::Ip(([127, 0, 0, host], 1).into())
}

impl World {
    /// Cluster `one` at host 1 for `/a.`, cluster `two` at host 2 for `/b.`.
    fn new() -> World {
        let given = Arc::new(Mutex::new(BTreeMap::from([
            ("/a.", ("one".into(), vec![address(1)])),
            ("/b.", ("two".into(), vec![address(2)])),
        ])));
        let toy = Toy {
            given: Arc::clone(&given),
            clusters: BTreeMap::new(),
            dynamic: BTreeMap::new(),
            queries: BTreeMap::new(),
            wanted: Arc::default(),
        };
        let (now, target) = (Instant::now(), Target::custom("toy:///name"));
        let channel = Channel::resolved_by(Box::new(toy), target, Config::new(7), 7, now);
        let mut bench = Bench::of(channel, now);
        bench.connect();
        for host in ["ipv4:127.0.0.1:1", "ipv4:127.0.0.2:1"] {
            bench.accept(host);
        }
        World { bench, given }
    }

    /// Whoever rang has the hands do this.
    fn answer_the_bell(&mut self) {
        self.bench.channel.handle_bell(self.bench.now);
        self.bench.drain();
    }

    fn pick(&self, path: &str, attributes: &Option<Arc<Attributes>>) -> Result<String, Option<Status>> {
        let attributes = attributes.as_deref();
        match self.bench.snapshot.pick(&PickArgs { attributes, ..PickArgs::new(path, 7) }) {
            Choice::Ready(picked) => Ok(picked.connection.to_string()),
            Choice::Queue => Err(None),
            Choice::Fail(refusal) => Err(Some(refusal.status)),
        }
    }
}

const ONE: &str = "ipv4:127.0.0.1:1";
const TWO: &str = "ipv4:127.0.0.2:1";

#[test]
fn calls_go_to_the_cluster_that_they_are_routed_to() {
    let world = World::new();
    for (path, address) in [("/a.B/C", ONE), ("/b.B/C", TWO)] {
        let snapshot = Arc::clone(&world.bench.snapshot);
        let selection = snapshot.select(&Head { path }).unwrap();
        assert_eq!(world.pick(path, &selection.attributes), Ok(address.to_owned()));
    }
    let error = world.bench.snapshot.select(&Head { path: "//C" }).unwrap_err();
    assert_eq!(error, Status::new(Code::Unavailable, "no route"));
    let none = world.pick("/a.B/C", &None);
    assert_eq!(none, Err(Some(Status::new(Code::Internal, "there is no cluster \"\""))));
}

#[test]
fn a_cluster_that_is_removed_in_mid_retry_serves_the_call_and_then_goes() {
    let mut world = World::new();
    let path = "/b.B/C";
    let snapshot = Arc::clone(&world.bench.snapshot);
    let Selection { method, attributes, lease, .. } = snapshot.select(&Head { path }).unwrap();
    let mut rpc = Rpc::new(Plan::new(method.unwrap(), None, 7));
    drop(snapshot);
    // The first attempt fails on two, and waits.
    let first = rpc.attempt(world.bench.now).unwrap();
    assert_eq!(world.pick(path, &attributes), Ok(TWO.to_owned()));
    let failed = Metadata::new();
    let end = End { code: Code::Unavailable, trailers: &failed, completed: true, seen: Seen::Perhaps };
    let Verdict::Again(at) = rpc.handle_ended(first.id, end, world.bench.now) else { panic!("it is not made again") };
    // Meanwhile two is taken away: calls of its path go to one.
    world.given.lock().unwrap().insert("/b.", ("one".into(), vec![address(1)]));
    world.bench.channel.doorbell().ring();
    world.answer_the_bell();
    let other = world.bench.snapshot.select(&Head { path }).unwrap();
    assert_eq!(world.pick(path, &other.attributes), Ok(ONE.to_owned()));
    drop(other);
    assert!(world.bench.released.is_empty(), "a call holds it");
    // The next attempt picks from the newest snapshot, with the selection it had.
    world.bench.pass(at - world.bench.now);
    assert!(rpc.attempt(world.bench.now).is_some());
    assert_eq!(world.pick(path, &attributes), Ok(TWO.to_owned()));
    drop(lease);
    world.answer_the_bell();
    assert_eq!(world.bench.released, [TWO]);
    let gone = world.pick(path, &attributes);
    assert_eq!(gone, Err(Some(Status::new(Code::Internal, "there is no cluster \"two\""))));
}

#[test]
fn a_cluster_may_be_found_when_a_call_asks_for_it() {
    let mut world = World::new();
    let path = "/dynamic.D/C";
    let selection = world.bench.snapshot.select(&Head { path }).unwrap();
    let attributes = selection.attributes.clone();
    assert_eq!(world.pick(path, &attributes), Err(None), "it waits");
    drop(selection);
    let waiting = Waiting { path: path.into(), attributes, ..world.bench.waiting(false) };
    world.bench.queue_call(1, waiting);
    world.answer_the_bell();
    assert_eq!(world.bench.queries[0].1, Query::Custom("dynamic.D".into()));
    // Asked for by two calls, it is looked up once.
    drop(world.bench.snapshot.select(&Head { path }).unwrap());
    world.answer_the_bell();
    assert_eq!(world.bench.queries.len(), 1);
    world.bench.tell(Ok(Answer::addresses([address(3)])));
    world.bench.accept("ipv4:127.0.0.3:1");
    assert_eq!(world.bench.started, [(1, "ipv4:127.0.0.3:1".to_owned())]);
}

/// Holds a call back for so long.
#[derive(Debug)]
struct Delay(Duration);

impl CallFilter for Delay {
    fn start(&mut self, _: &Head<'_>, now: Instant) -> Go {
        Go::At(now + self.0)
    }
}

/// Asks whether a call may be made, and counts how calls end.
#[derive(Debug)]
struct Asking(Arc<Mutex<Vec<Code>>>);

impl CallFilter for Asking {
    fn start(&mut self, head: &Head<'_>, _: Instant) -> Go {
        let message = head.path.as_bytes().to_vec();
        Go::Ask(Question { target: "guard:1".into(), path: "/guard.Guard/Check".into(), message })
    }
    fn handle_answer(&mut self, answer: Result<&[u8], &Status>) -> Go {
        match answer {
            Ok(b"yes") => Go::On,
            Ok(_) => Go::End(Status::new(Code::PermissionDenied, "the guard says no")),
            Err(status) => Go::End(status.clone()),
        }
    }
    fn end(&mut self, status: &Status) {
        self.0.lock().unwrap().push(status.code);
    }
}

#[test]
fn filters_delay_a_call_and_ask_about_it() {
    let mut world = World::new();
    let (head, ends) = (Head { path: "/a.B/C" }, Arc::<Mutex<Vec<Code>>>::default());
    let attributes = world.bench.snapshot.select(&head).unwrap().attributes;
    let lost = Status::new(Code::Unavailable, "the guard is gone");
    let no = Status::new(Code::PermissionDenied, "the guard says no");
    let answers: [(Result<&[u8], &Status>, Go); 3] =
        [(Ok(b"yes"), Go::On), (Ok(b"no"), Go::End(no)), (Err(&lost), Go::End(lost.clone()))];
    for (key, (answer, expected)) in (1..).zip(answers) {
        let asking = Asking(Arc::clone(&ends));
        let mut filters = Filters::new(vec![Box::new(Delay(Duration::from_secs(3))), Box::new(asking)]);
        // It rests, and its hands hear of the end of that by the start that a call without filters would get.
        let Go::At(at) = filters.pass(&head, world.bench.now) else { panic!("it is not delayed") };
        let waiting = Waiting { attributes: attributes.clone(), ..world.bench.waiting(false) };
        world.bench.channel.rest(key, waiting.clone(), Until::Time(at), world.bench.now);
        world.bench.drain();
        world.bench.pass(Duration::from_secs(3));
        assert_eq!(world.bench.started.pop(), Some((key, ONE.to_owned())));
        // Then it asks, and rests until the answer is here.
        let Go::Ask(question) = filters.pass(&head, world.bench.now) else { panic!("nothing is asked") };
        assert_eq!(question.message, b"/a.B/C");
        let ticket = world.bench.channel.rest(key, waiting, Until::Resumed, world.bench.now);
        let go = filters.handle_answer(answer, &head, world.bench.now);
        assert_eq!(go, expected);
        let status = match go {
            Go::End(status) => {
                assert!(world.bench.channel.forget(ticket));
                status
            }
            _ => {
                world.bench.channel.resume(ticket, world.bench.now);
                Status::OK
            }
        };
        world.bench.drain();
        assert_eq!(world.bench.started.pop(), (status.code == Code::Ok).then(|| (key, ONE.to_owned())));
        filters.end(&status);
        assert_eq!(ends.lock().unwrap().pop(), Some(status.code));
    }
    assert!(!world.bench.channel.has_waiting());
}
