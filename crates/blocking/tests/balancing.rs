//! A channel's brain behind threads that wait: several servers, calls that wait, drains that are long.

use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_blocking::{
    call::{Call, CallState, Waited},
    channel::Channel,
    connection::Then,
};
use farcall_channel::Connectivity;
use farcall_core::{Code, Status};

use crate::support::{Echo, echo, open, options, patience};

const ROUND_ROBIN: (&str, &str) = ("grpc.lb_policy_name", "round_robin");

fn channel(target: &str, texts: &[(&str, &str)]) -> Arc<Channel> {
    Channel::new(target, &options(texts), |work| work()).unwrap()
}

/// Waits until the channel is in this state.
fn await_state(channel: &Arc<Channel>, wanted: Connectivity) {
    let mut state = channel.connectivity(false);
    while state != wanted {
        let (next, waited) = channel.wait_for_change(state, Some(patience()));
        assert_eq!(waited, Waited::Done, "it is still {state:?}");
        state = next;
    }
}

#[test]
fn round_robin_gives_each_server_the_same() {
    let servers = [Echo::start(), Echo::start(), Echo::start()];
    let addresses: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let channel = channel(&format!("ipv4:{}", addresses.join(",")), &[ROUND_ROBIN]);
    while servers.iter().any(|server| server.calls() == 0) {
        echo(&channel, b"connect");
    }
    let before = servers.each_ref().map(Echo::calls);
    (0..90).for_each(|_| drop(echo(&channel, b"hello")));
    for (server, before) in servers.iter().zip(before) {
        assert_eq!(server.calls() - before, 30);
        assert_eq!(server.connections(), 1);
    }
}

/// As many addresses as a thread does not dial in one go: the reactor goes on.
#[test]
fn a_long_drain_is_finished_by_the_reactor() {
    let server = Echo::start();
    let last = format!("127.0.0.1:{}", server.port);
    // Nobody listens at these.
    let addresses = (2..=150).map(|host| format!("127.0.1.{host}:{}", server.port)).chain([last]);
    let channel = channel(&format!("ipv4:{}", addresses.collect::<Vec<_>>().join(",")), &[ROUND_ROBIN]);
    let call = waiting(&channel);
    call.half_close();
    assert_eq!(call.wait(None, &CallState::ended), Waited::Done);
    assert!(call.lock().closed.as_ref().unwrap().status.is_ok());
}

/// A call that waits for a connection, whatever becomes of those that fail.
fn waiting(channel: &Arc<Channel>) -> Arc<Call> {
    let mut outbox = open("/test.Echo/Stream");
    outbox.wait_for_ready = Some(true);
    channel.start(outbox, None, Some(patience()), Then::Go)
}

#[test]
fn a_call_that_is_given_up_is_kept_by_nobody() {
    // It listens, and nobody accepts.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let channel = channel(&silent.local_addr().unwrap().to_string(), &[]);
    let mut held = open("/test.Echo/Stream");
    held.held = true;
    for call in [waiting(&channel), channel.start(held, None, Some(patience()), Then::Go)] {
        assert!(call.cancel(Status::new(Code::Cancelled, "enough")));
        assert!(!call.cancel(Status::new(Code::Cancelled, "again")));
        assert_eq!(call.lock().closed.as_ref().unwrap().status.message, "enough");
        assert_eq!(Arc::strong_count(&call), 1);
    }
}

#[test]
fn a_call_that_waits_ends_at_its_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for held in [false, true] {
        let channel = channel(&silent.local_addr().unwrap().to_string(), &[]);
        let mut outbox = open("/test.Echo/Stream");
        outbox.held = held;
        let soon = Instant::now() + Duration::from_millis(30);
        let call = channel.start(outbox, None, Some(soon), Then::Wait);
        assert_eq!(call.wait(Some(patience()), &CallState::ended), Waited::Done);
        assert_eq!(call.lock().closed.as_ref().unwrap().status.code, Code::DeadlineExceeded);
    }
}

#[test]
fn a_channel_without_calls_is_idle_and_comes_back() {
    let server = Echo::start();
    let mut options = options(&[]);
    options.channel.idle_timeout = Some(Duration::from_millis(50));
    let channel = Channel::new(&format!("127.0.0.1:{}", server.port), &options, |work| work()).unwrap();
    assert_eq!(channel.connectivity(false), Connectivity::Idle);
    for connections in [1, 2] {
        echo(&channel, b"hello");
        await_state(&channel, Connectivity::Idle);
        assert_eq!(server.connections(), connections);
    }
    // Not while there is one.
    let call = channel.start(open("/test.Echo/Stream"), None, Some(patience()), Then::Go);
    await_state(&channel, Connectivity::Ready);
    let (_, waited) = channel.wait_for_change(Connectivity::Ready, Some(Instant::now() + Duration::from_millis(200)));
    assert_eq!(waited, Waited::TimedOut);
    call.half_close();
    await_state(&channel, Connectivity::Idle);
}

#[test]
fn closing_ends_calls_that_wait_and_attempts_under_way() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let channel = channel(&silent.local_addr().unwrap().to_string(), &[]);
    let calls = [waiting(&channel), waiting(&channel)];
    channel.close("that is all");
    for call in calls {
        assert_eq!(call.wait(Some(patience()), &CallState::ended), Waited::Done);
        let state = call.lock();
        let status = &state.closed.as_ref().unwrap().status;
        assert_eq!((status.code, &*status.message), (Code::Cancelled, "that is all"));
    }
    assert_eq!(channel.connectivity(false), Connectivity::Shutdown);
    let late = channel.start(open("/test.Echo/Stream"), None, Some(patience()), Then::Go);
    assert_eq!(late.lock().closed.as_ref().unwrap().status.code, Code::Cancelled);
}
