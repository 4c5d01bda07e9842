//! Calls of threads that wait, over loopback, with this crate's own server at the other end.

use std::{
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use farcall_blocking::{
    call::{CallState, Waited},
    connection::Then,
};
use farcall_channel::Connectivity;
use farcall_core::{Code, Metadata};
use farcall_system::message::Message;

use crate::support::{Echo, channel_to, collect, echo, open, options, patience};

#[test]
fn a_unary_call_gets_its_answer() {
    let server = Echo::start();
    let channel = server.channel();
    assert_eq!(echo(&channel, b"hello"), b"hello");
    // On the connection that is there.
    assert_eq!(echo(&channel, b"again"), b"again");
    assert_eq!(channel.connectivity(false), Connectivity::Ready);
}

#[test]
fn messages_of_any_size_pass() {
    let server = Echo::start();
    let channel = server.channel();
    for len in [0, 1, (16 << 10) - 1, 16 << 10, 64 << 10, 1 << 20] {
        let message = vec![7; len];
        assert_eq!(echo(&channel, &message), message, "{len} bytes");
    }
}

#[test]
fn a_stream_goes_there_and_back() {
    let server = Echo::start();
    let channel = server.channel();
    let call = channel.start(open("/test.Echo/Stream"), None, Some(patience()), Then::Go);
    for turn in 0..100u8 {
        assert!(call.send(Message::Borrowed(&[turn; 100]), true));
        assert_eq!(call.wait(Some(patience()), &CallState::receivable), Waited::Done);
        assert_eq!(call.take_message().as_deref(), Some(&[turn; 100][..]));
    }
    call.half_close();
    assert_eq!(collect(&call), Vec::<Vec<u8>>::new());
    assert!(call.lock().closed.as_ref().is_some_and(|closed| closed.status.is_ok()));
}

#[test]
fn a_stream_of_more_than_its_windows_passes() {
    let server = Echo::start();
    let channel = server.channel();
    let call = channel.start(open("/test.Echo/Stream"), None, Some(patience()), Then::Go);
    let sender = Arc::clone(&call);
    let sending = thread::spawn(move || {
        for _ in 0..64 {
            assert_eq!(sender.wait(Some(patience()), &CallState::sendable), Waited::Done);
            assert!(sender.send(Message::Borrowed(&[7; 64 << 10]), true));
        }
        sender.half_close();
    });
    assert_eq!(collect(&call).iter().map(Vec::len).sum::<usize>(), 64 * (64 << 10));
    sending.join().unwrap();
}

/// Threads that call on one connection: one reads for all, hands the lead on when its own call is done, and a crowd is
/// read by the reactor.
#[test]
fn threads_share_a_connection() {
    for threads in [2, 3, 8] {
        let server = Echo::start();
        let channel = server.channel();
        echo(&channel, b"connect");
        let barrier = Barrier::new(threads);
        thread::scope(|scope| {
            for name in 0..threads {
                let (channel, barrier) = (&channel, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for turn in 0..200 {
                        let message = format!("call {turn} of thread {name}").into_bytes();
                        assert_eq!(echo(channel, &message), message);
                    }
                });
            }
        });
        assert_eq!(server.calls(), 1 + threads * 200);
        assert_eq!(server.connections(), 1, "{threads} threads");
    }
}

/// The leader leaves at its deadline, and whoever waits besides it goes on.
#[test]
fn a_leader_that_gives_up_leaves_nobody_behind() {
    let server = Echo::start();
    let channel = server.channel();
    echo(&channel, b"connect");
    let waiting = channel.start(open("/test.Echo/Stream"), None, Some(patience()), Then::Go);
    thread::scope(|scope| {
        let follower = scope.spawn(|| waiting.wait(Some(patience()), &CallState::receivable));
        let soon = Instant::now() + Duration::from_millis(30);
        let hasty = channel.start(open("/test.Echo/Stream"), None, Some(soon), Then::Wait);
        assert_eq!(hasty.wait(Some(patience()), &CallState::ended), Waited::Done);
        assert_eq!(hasty.lock().closed.as_ref().map(|closed| closed.status.code), Some(Code::DeadlineExceeded));
        assert!(waiting.send(Message::Borrowed(b"still there"), true));
        assert_eq!(follower.join().unwrap(), Waited::Done);
    });
    assert_eq!(waiting.take_message().as_deref(), Some(&b"still there"[..]));
}

#[test]
fn callbacks_run_in_order_on_a_thread_of_their_own() {
    let server = Echo::start();
    let channel = server.channel();
    let call = channel.start(open("/test.Echo/Stream"), None, Some(patience()), Then::Go);
    let (sender, receiver) = mpsc::channel();
    let me = thread::current().id();
    for number in 0..3 {
        let sender = sender.clone();
        let callback = move || sender.send((number, thread::current().id() == me)).unwrap();
        assert!(call.add_callback(Box::new(callback)).is_ok());
    }
    call.half_close();
    assert_eq!(collect(&call), Vec::<Vec<u8>>::new());
    let ran: Vec<_> = (0..3).map(|_| receiver.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
    assert_eq!(ran, [(0, false), (1, false), (2, false)]);
    // Too late for another.
    assert!(call.add_callback(Box::new(|| ())).is_err());
}

#[test]
fn a_cancelled_call_ends_at_the_server_too() {
    let server = Echo::start();
    let channel = server.channel();
    let call = channel.start(open("/test.Echo/Stream"), None, Some(patience()), Then::Go);
    assert!(call.send(Message::Borrowed(b"one"), true));
    assert_eq!(call.wait(Some(patience()), &CallState::receivable), Waited::Done);
    assert!(call.cancel(farcall_core::Status::new(Code::Cancelled, "enough")));
    assert_eq!(call.lock().closed.as_ref().unwrap().status.message, "enough");
    assert_eq!(server.ended().recv_timeout(Duration::from_secs(20)), Ok(Code::Cancelled));
}

#[test]
fn a_server_that_nobody_runs_is_unavailable() {
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = reserved.local_addr().unwrap().port();
    drop(reserved);
    let channel = channel_to(port, &options(&[]));
    let call = channel.start(open("/test.Echo/Unary"), None, Some(patience()), Then::Wait);
    assert_eq!(call.wait(Some(patience()), &CallState::ended), Waited::Done);
    let state = call.lock();
    let status = &state.closed.as_ref().unwrap().status;
    assert_eq!(status.code, Code::Unavailable);
    assert_eq!(
        status.message,
        format!(
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:{port}: Failed to connect to remote host: \
             Connection refused"
        )
    );
}

#[test]
fn a_closed_channel_ends_its_calls() {
    let server = Echo::start();
    let channel = server.channel();
    let calls: Vec<_> =
        (0..3).map(|_| channel.start(open("/test.Echo/Stream"), None, Some(patience()), Then::Go)).collect();
    channel.close("that is all");
    for call in calls {
        assert_eq!(call.wait(Some(patience()), &CallState::ended), Waited::Done);
        let state = call.lock();
        let status = &state.closed.as_ref().unwrap().status;
        assert_eq!((status.code, &*status.message), (Code::Cancelled, "that is all"));
    }
}

#[test]
fn metadata_of_a_held_call_comes_later() {
    let server = Echo::start();
    let channel = server.channel();
    let mut outbox = open("/test.Echo/Unary");
    (outbox.held, outbox.half_closed) = (true, true);
    let call = channel.start(outbox, Some(Message::Borrowed(b"held")), Some(patience()), Then::Go);
    assert_eq!(server.calls(), 0);
    assert!(call.proceed(&Metadata::new()));
    assert!(!call.proceed(&Metadata::new()));
    assert_eq!(call.wait(Some(patience()), &CallState::ended), Waited::Done);
    assert_eq!(call.take_message().as_deref(), Some(&b"held"[..]));
}

#[test]
fn a_server_that_stops_waits_for_nobody_who_is_done() {
    let server = Echo::start();
    let channel = server.channel();
    echo(&channel, b"done");
    server.server.close_listeners();
    assert_eq!(server.server.wait_idle(Some(patience())), Waited::Done);
    server.server.stop();
}

#[test]
fn local_connections_are_what_they_say() {
    use farcall_system::credentials::{ClientSecurity, LocalKind, PortSecurity};
    let server = Echo::secured(Some(&PortSecurity::local(LocalKind::Tcp)));
    let trusted = options(&[]).secured(ClientSecurity::local(LocalKind::Tcp));
    assert_eq!(echo(&channel_to(server.port, &trusted), b"near"), b"near");
    let mistaken = options(&[]).secured(ClientSecurity::local(LocalKind::Uds));
    let channel = channel_to(server.port, &mistaken);
    let call = channel.start(open("/test.Echo/Unary"), None, Some(patience()), Then::Wait);
    assert_eq!(call.wait(Some(patience()), &CallState::ended), Waited::Done);
    let text = call.lock().closed.as_ref().unwrap().status.message.to_string();
    assert!(text.contains("Endpoint is neither UDS or TCP loopback address."), "{text}");
}

#[test]
fn a_service_config_times_calls_out() {
    let server = Echo::start();
    let config = r#"{"methodConfig": [{"name": [{}], "timeout": "0.03s"}]}"#;
    let channel = channel_to(server.port, &options(&[("grpc.service_config", config)]));
    let call = channel.start(open("/test.Echo/Stream"), None, None, Then::Wait);
    assert_eq!(call.wait(Some(patience()), &CallState::ended), Waited::Done);
    assert_eq!(call.lock().closed.as_ref().map(|closed| closed.status.code), Some(Code::DeadlineExceeded));
}
