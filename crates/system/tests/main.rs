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
