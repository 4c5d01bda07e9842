//! A server that has no file descriptors left says so once, serves those that are there, and accepts again when it can.
#![cfg(unix)]

mod common;

use std::{env, fs::File, process::Command};

use common::{
    echo,
    events::{EVENTS, listen, said_of},
    serve, unary, within,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};
use tracing::Level;

/// Set where descriptors are few.
const FEW: &str = "FARCALL_FEW_DESCRIPTORS";

#[test]
fn a_server_without_descriptors_goes_on() {
    if env::var_os(FEW).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(within(without_descriptors()));
    }
    // In a process of its own, for others would have none either.
    let mut again = Command::new("sh");
    again.args(["-c", "ulimit -n 64 && exec \"$0\" --exact a_server_without_descriptors_goes_on --nocapture"]);
    let done = again.arg(env::current_exe().unwrap()).env(FEW, "1").output().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && printed.contains("1 passed"),
        "{printed}{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

async fn without_descriptors() {
    listen();
    let server = serve(echo).await;
    assert_eq!(unary(&server.channel, "before").await.unwrap(), "before");
    let late = [(); 3].map(|()| TcpSocket::new_v4().unwrap());
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let mut connected = Vec::new();
    for socket in late {
        // The system completes it; the server cannot take it.
        connected.push(socket.connect(server.address).await.unwrap());
    }
    let events = said_of("Too many open files").await;
    assert_eq!((events[0].0, events[0].1.as_str()), (Level::WARN, "farcall::server"));
    // It tries again and again, and says no more of it.
    for number in 0..100 {
        let text = number.to_string();
        assert_eq!(unary(&server.channel, text.clone()).await.unwrap(), text);
    }
    drop(taken);
    for mut socket in connected {
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 400"));
    }
    let events = EVENTS.lock().unwrap().clone();
    assert_eq!(events.iter().filter(|(_, _, fields)| fields.contains("Too many open files")).count(), 1);
}
