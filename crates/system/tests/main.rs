//! What needs neither Python nor a peer: options, addresses, and what a fork's child begins with.

use std::sync::Mutex;

use farcall_system::{
    bind::{ListenError, bind_sockets},
    lock,
    options::{ChannelOptions, ServerOptions, Value},
    process::{PerProcess, forked, generation},
};

fn text(key: &str, value: &str) -> (String, Value) {
    (key.to_owned(), Value::Text(value.to_owned()))
}

fn int(key: &str, value: i32) -> (String, Value) {
    (key.to_owned(), Value::Int(value))
}

#[test]
fn options_that_cannot_be_taken_leave_defaults_and_complaints() {
    let (options, complaints) = ChannelOptions::read([
        int("grpc.enable_retrys", 0),
        int("grpc.default_authority", 1),
        int("grpc.use_local_subchannel_pool", 0),
        text("grpc.service_config", "{"),
    ]);
    let starts = [
        "unknown option \"grpc.enable_retrys\" is ignored; did you mean \"grpc.enable_retries\"?",
        "option \"grpc.default_authority\" takes a str, not the int 1",
        "option \"grpc.use_local_subchannel_pool\" has no effect",
        "option \"grpc.service_config\": ",
    ];
    assert_eq!(complaints.len(), starts.len(), "{complaints:?}");
    for (complaint, start) in complaints.iter().zip(starts) {
        assert!(complaint.starts_with(start), "{complaint:?}");
    }
    assert!(options.channel.retry.enabled);
    assert_eq!(options.authority, None);
    assert!(options.service_config_error.is_some());
}

#[test]
fn options_of_the_other_side_mean_nothing() {
    let both = || [int("grpc.max_allowed_incoming_connections", 3), text("grpc.http_proxy", "http://127.0.0.1:1")];
    let (server, complaints) = ServerOptions::read(both());
    assert_eq!((server.max_connections, complaints.len()), (Some(3), 0));
    let (channel, complaints) = ChannelOptions::read(both());
    assert_eq!((channel.proxy.as_deref(), complaints.len()), (Some("http://127.0.0.1:1"), 0));
}

#[test]
fn the_name_for_tls_is_the_authority_without_its_port() {
    let (options, _) = ChannelOptions::read([]);
    for (authority, name) in [
        ("example.org:443", "example.org"),
        ("example.org", "example.org"),
        ("[::1]:443", "::1"),
        ("[fe80::1%eth0]:443", "fe80::1"),
        ("::1", "::1"),
    ] {
        assert_eq!(options.server_name(authority), name, "{authority}");
    }
    let (options, _) = ChannelOptions::read([text("grpc.ssl_target_name_override", "other.test")]);
    assert_eq!(options.server_name("example.org:443"), "other.test");
}

#[test]
fn a_server_listens_at_addresses_only() {
    for wrong in ["", ":1", "[::1", "[::1]1", "localhost:port", "localhost:65536", "unix:", "unix-abstract:", "1:2:3"] {
        let bound = bind_sockets(wrong, false).map(|_| ());
        assert!(matches!(bound, Err(ListenError::Invalid(_))), "{wrong:?}: {bound:?}");
    }
    let (sockets, port) = bind_sockets("127.0.0.1:0", false).unwrap();
    assert_eq!((sockets.len(), sockets[0].address()), (1, format!("ipv4:127.0.0.1:{port}")));
}

#[test]
fn a_forks_child_begins_with_nothing() {
    static SHARED: PerProcess<Vec<u32>> = PerProcess::new();
    SHARED.with(|shared| shared.push(1));
    assert_eq!(SHARED.with(|shared| shared.clone()), [1]);
    let before = generation();
    forked();
    assert_eq!(generation(), before + 1);
    assert!(SHARED.with(|shared| shared.is_empty()));
}

#[test]
fn a_lock_that_a_panic_left_is_free() {
    let mutex = Mutex::new(1);
    let panicked = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let _guard = lock(&mutex);
                panic!("with the lock");
            })
            .join()
    });
    assert!(panicked.is_err());
    assert_eq!(*lock(&mutex), 1);
}

/// What the system counts as this process's, in MiB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    (statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096) >> 20
}

/// Set where no other test takes memory.
const ALONE: &str = "FARCALL_TEST_ALONE";

/// A thread that still has messages in hand when memory is given back lets go of them, and handles no other.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn what_a_thread_frees_late_is_given_back_too() {
    if std::env::var_os(ALONE).is_some() {
        return frees_late();
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "what_a_thread_frees_late_is_given_back_too", "--nocapture"]).env(ALONE, "1");
    assert!(again.status().unwrap().success());
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn frees_late() {
    use std::{
        sync::mpsc::channel,
        time::{Duration, Instant},
    };

    use farcall_system::memory::{passes, quiet};

    let (done, is_done) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let before = resident();
    let thread = std::thread::spawn(move || {
        passes(32 << 20);
        let blocks: Vec<Vec<u8>> = (0..50).map(|_| vec![1; 1 << 20]).collect();
        done.send(()).unwrap();
        may_go_on.recv().unwrap();
        drop(blocks);
        done.send(()).unwrap();
        // The heap lives on with its thread.
        let _ = may_go_on.recv();
    });
    is_done.recv().unwrap();
    assert!(resident() >= before + 45);
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    assert!(quiet(now + second).is_some(), "it gives back, and will once more");
    go_on.send(()).unwrap();
    is_done.recv().unwrap();
    assert!(quiet(now + 3 * second).is_none(), "that was all");
    assert!(resident() < before + 10, "{} of {before}", resident());
    drop(go_on);
    thread.join().unwrap();
}
