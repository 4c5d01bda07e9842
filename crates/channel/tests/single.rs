//! The channel's brain, stepped with virtual time.

use std::time::{Duration, Instant};

use farcall_channel::{
    Address, Config, ConnectError, Connectivity, Target,
    single::{Action, Channel, ConnectionId, Lost, Pick},
};
use farcall_core::Code;

/// A channel, its clock, and what it asked for since last looked at.
struct Bench {
    channel: Channel,
    now: Instant,
}

impl Bench {
    fn new(target: &str) -> Bench {
        Bench { channel: Channel::new(Target::parse(target).unwrap(), Config::new(7)), now: Instant::now() }
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.channel.poll_action()).collect()
    }

    fn states(&mut self) -> Vec<Connectivity> {
        let state = |action| if let Action::StateChanged(state) = action { Some(state) } else { None };
        self.actions().into_iter().filter_map(state).collect()
    }

    /// The attempt it asks for next, and where to.
    fn attempt(&mut self) -> (ConnectionId, String) {
        let connect = |action| match action {
            Action::Connect { id, address } => Some((id, address.to_string())),
            _ => None,
        };
        self.actions().into_iter().find_map(connect).expect("an attempt to connect")
    }

    fn pick(&mut self, wait_for_ready: bool) -> Pick {
        self.channel.pick(wait_for_ready, self.now)
    }

    fn refuse(&mut self, id: ConnectionId) {
        let why = "Failed to connect to remote host: Connection refused".to_owned();
        self.channel.handle_connect_failed(id, &ConnectError { code: Code::Unknown, why }, self.now);
    }

    /// A connection that worked is lost after so many milliseconds.
    fn lose(&mut self, id: ConnectionId, lived: u64, useful: bool) {
        let lost = Lost { why: "Socket closed", lived: Duration::from_millis(lived), useful };
        self.channel.handle_lost(id, lost, self.now);
    }

    /// The state after one connection more, for which a call has asked.
    fn connect_and_lose(&mut self, lived: u64, useful: bool) -> Connectivity {
        self.pick(false);
        let (id, _) = self.attempt();
        self.channel.handle_connected(id);
        self.actions();
        self.lose(id, lived, useful);
        self.channel.state()
    }

    /// Lets time pass to the next timer and fires it; how long that took.
    fn sleep(&mut self) -> Duration {
        let at = self.channel.poll_timeout().expect("a timer");
        let slept = at - self.now;
        self.now = at;
        self.channel.handle_timeout(self.now);
        slept
    }
}

#[test]
fn stays_idle_until_a_call_comes_then_goes_ready() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1");
    assert_eq!(bench.channel.state(), Connectivity::Idle);
    assert_eq!(bench.actions(), []);

    assert_eq!(bench.pick(false), Pick::Wait);
    assert_eq!(bench.channel.state(), Connectivity::Connecting);
    let (id, address) = bench.attempt();
    assert_eq!(address, "ipv4:127.0.0.1:1");
    assert_eq!(bench.pick(false), Pick::Wait);

    bench.channel.handle_connected(id);
    assert_eq!(bench.states(), [Connectivity::Ready]);
    assert_eq!(bench.pick(false), Pick::Connection(id));
    assert_eq!(bench.channel.poll_timeout(), None);
}

#[test]
fn a_refused_connection_fails_calls_with_the_reason_and_the_address() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1");
    bench.channel.connect(bench.now);
    let (id, _) = bench.attempt();
    bench.refuse(id);
    assert_eq!(bench.states(), [Connectivity::TransientFailure]);
    let Pick::Fail(status) = bench.pick(false) else { panic!("the call waits") };
    assert_eq!(status.code, Code::Unavailable);
    assert_eq!(
        status.message,
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: \
         Failed to connect to remote host: Connection refused"
    );
    assert_eq!(bench.pick(true), Pick::Wait, "wait-for-ready calls wait it out");
}

#[test]
fn tries_every_address_before_it_fails() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1,127.0.0.2:2");
    bench.channel.connect(bench.now);
    let (first, address) = bench.attempt();
    assert_eq!(address, "ipv4:127.0.0.1:1");
    bench.refuse(first);
    assert_eq!(bench.channel.state(), Connectivity::Connecting);
    let (second, address) = bench.attempt();
    assert_eq!(address, "ipv4:127.0.0.2:2");
    bench.channel.handle_connected(first);
    assert_eq!(bench.channel.state(), Connectivity::Connecting, "news of an abandoned attempt is ignored");
    bench.channel.handle_connected(second);
    assert_eq!(bench.pick(false), Pick::Connection(second));
}

#[test]
fn backs_off_between_rounds_and_stays_in_transient_failure_until_one_succeeds() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1");
    bench.channel.connect(bench.now);
    let mut expected = 1.0;
    for _ in 0..12 {
        let (id, _) = bench.attempt();
        bench.refuse(id);
        let slept = bench.sleep().as_secs_f64();
        assert!((expected * 0.8..=expected * 1.2).contains(&slept), "{slept} s for {expected} s");
        expected = f64::min(expected * 1.6, 120.0);
        assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
        assert!(matches!(bench.pick(false), Pick::Fail(_)), "calls fail fast while it tries again");
    }
    let (id, _) = bench.attempt();
    bench.channel.handle_connected(id);
    assert_eq!(bench.states(), [Connectivity::Ready]);

    bench.lose(id, 5000, true);
    assert_eq!(bench.states(), [Connectivity::Idle]);
    bench.channel.connect(bench.now);
    let (id, _) = bench.attempt();
    bench.refuse(id);
    assert!(bench.sleep() <= Duration::from_millis(1200), "a success starts the delays anew");
}

#[test]
fn an_attempt_that_never_answers_is_given_up_after_the_connect_timeout() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1");
    bench.channel.connect(bench.now);
    let (id, _) = bench.attempt();
    assert_eq!(bench.sleep(), Duration::from_secs(20));
    assert_eq!(bench.actions(), [Action::Disconnect(id), Action::StateChanged(Connectivity::TransientFailure)]);
    let Pick::Fail(status) = bench.pick(false) else { panic!("the call waits") };
    assert!(status.message.contains("timed out before receiving SETTINGS"), "{status}");
}

#[test]
fn a_name_that_does_not_resolve_fails_calls_as_grpc_words_it() {
    let mut bench = Bench::new("nx.invalid:1");
    assert_eq!(bench.pick(false), Pick::Wait);
    assert_eq!(bench.actions()[0], Action::Resolve { host: "nx.invalid".to_owned(), port: 1 });
    bench.channel.handle_resolved(Err("Domain name not found".to_owned()), bench.now);
    let Pick::Fail(status) = bench.pick(false) else { panic!("the call waits") };
    assert_eq!(
        status.message,
        "errors resolving nx.invalid:1: [field:hostname lookup error:address lookup failed for nx.invalid:1: \
         Domain name not found]"
    );
    bench.actions();
    bench.sleep();
    assert!(matches!(bench.actions()[0], Action::Resolve { .. }), "the name is asked for again after the back-off");
    bench.channel.handle_resolved(Ok(vec![Address::Ip("127.0.0.1:1".parse().unwrap())]), bench.now);
    let (id, _) = bench.attempt();
    bench.channel.handle_connected(id);
    assert_eq!(bench.pick(false), Pick::Connection(id));
}

#[test]
fn a_name_without_addresses_fails_too() {
    let mut bench = Bench::new("empty.invalid:1");
    bench.channel.connect(bench.now);
    bench.actions();
    bench.channel.handle_resolved(Ok(vec![]), bench.now);
    assert_eq!(bench.states(), [Connectivity::TransientFailure]);
}

#[test]
fn shutdown_closes_what_there_is_and_fails_every_later_call() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1");
    bench.channel.connect(bench.now);
    let (id, _) = bench.attempt();
    bench.channel.shutdown();
    assert_eq!(bench.actions(), [Action::Disconnect(id), Action::StateChanged(Connectivity::Shutdown)]);
    bench.channel.handle_connected(id);
    bench.channel.shutdown();
    assert_eq!(bench.actions(), []);
    let Pick::Fail(status) = bench.pick(true) else { panic!("the call waits") };
    assert_eq!((status.code, &*status.message), (Code::Cancelled, "Channel closed!"));
}

#[test]
fn stops_trying_when_nobody_has_wanted_it_for_long() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1");
    bench.pick(false);
    let started = bench.now;
    loop {
        let (id, _) = bench.attempt();
        bench.refuse(id);
        bench.sleep();
        if bench.channel.state() == Connectivity::Idle {
            break;
        }
        assert!(bench.now - started < Duration::from_secs(30 * 60));
    }
    assert_eq!(bench.channel.poll_timeout(), None);
    assert!(bench.now - started >= Duration::from_secs(30 * 60));
    bench.actions();
    assert_eq!(bench.pick(false), Pick::Wait, "the next call tries again, and does not get the old failure");
    bench.attempt();
}

#[test]
fn addresses_that_worked_are_used_again_for_a_while_and_resolved_again_when_they_fail() {
    let address = |port: u16| Address::Ip(([127, 0, 0, 1], port).into());
    let resolves = |bench: &mut Bench| bench.actions().iter().any(|action| matches!(action, Action::Resolve { .. }));
    let mut bench = Bench::new("name:1");
    bench.pick(false);
    assert!(resolves(&mut bench));
    bench.channel.handle_resolved(Ok(vec![address(1)]), bench.now);
    let (id, _) = bench.attempt();
    bench.channel.handle_connected(id);
    bench.lose(id, 5000, true);

    bench.now += Duration::from_secs(29);
    bench.actions();
    assert_eq!(bench.pick(false), Pick::Wait);
    let (id, _) = bench.attempt();
    bench.refuse(id);
    assert!(resolves(&mut bench), "before the round fails");
    assert_eq!(bench.channel.state(), Connectivity::Connecting);
    bench.channel.handle_resolved(Ok(vec![address(2)]), bench.now);
    let (id, to) = bench.attempt();
    assert_eq!(to, "ipv4:127.0.0.1:2");
    bench.refuse(id);
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure, "once is enough");

    bench.sleep();
    assert!(resolves(&mut bench), "what has failed is resolved again");
    bench.channel.handle_resolved(Ok(vec![address(3)]), bench.now);
    let (id, _) = bench.attempt();
    bench.channel.handle_connected(id);
    bench.lose(id, 5000, true);
    bench.now += Duration::from_secs(30);
    bench.actions();
    bench.pick(false);
    assert!(resolves(&mut bench), "what is old is resolved again");
}

#[test]
fn backs_off_from_a_server_whose_connections_break_at_once() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1");
    let breaks = |bench: &mut Bench, lived: u64| bench.connect_and_lose(lived, false);
    assert_eq!(breaks(&mut bench, 1), Connectivity::Idle);
    assert_eq!(breaks(&mut bench, 999), Connectivity::Idle);
    assert_eq!(breaks(&mut bench, 1000), Connectivity::Idle, "long enough to count");
    assert_eq!(breaks(&mut bench, 1), Connectivity::Idle);
    assert_eq!(breaks(&mut bench, 1), Connectivity::Idle);
    assert_eq!(breaks(&mut bench, 1), Connectivity::TransientFailure);
    let Pick::Fail(status) = bench.pick(false) else { panic!("calls fail") };
    assert!(status.message.contains("break as soon") && status.message.contains("Socket closed"), "{status:?}");
    let first = bench.sleep();
    assert_eq!(breaks(&mut bench, 1), Connectivity::TransientFailure);
    let second = bench.sleep();
    assert!(second > first, "and longer each time: {first:?}, {second:?}");
    assert_eq!(breaks(&mut bench, 1000), Connectivity::Idle);
    assert_eq!(breaks(&mut bench, 1), Connectivity::Idle, "from the beginning");
}

#[test]
fn does_not_back_off_from_a_server_that_serves_and_sends_away() {
    let mut bench = Bench::new("ipv4:127.0.0.1:1");
    for _ in 0..100 {
        assert_eq!(bench.connect_and_lose(300, true), Connectivity::Idle);
    }
    assert_eq!(bench.connect_and_lose(0, false), Connectivity::Idle);
    assert_eq!(bench.connect_and_lose(0, false), Connectivity::Idle);
    assert_eq!(bench.connect_and_lose(0, true), Connectivity::Idle, "one of use makes up for those before");
    assert_eq!(bench.connect_and_lose(0, false), Connectivity::Idle);
}
