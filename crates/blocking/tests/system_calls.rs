//! What a unary call costs in system calls, counted by strace where there is one.

use std::{fs, process::Command, sync::Arc, time::Duration};

use farcall_blocking::channel::Channel;
use farcall_core::Code;

use crate::support::{Echo, HEALTH_CHECKED, channel_to, echo, options};

/// Calls that are counted, and calls before them.
const CALLS: usize = 50;
const WARM_UP: usize = 20;

/// No such file: looking for it marks the beginning of a call.
const MARK: &str = "/farcall/a-call-begins";

/// One write, one wait for the answer, one read.
const COST: usize = 3;

#[test]
fn a_unary_call_costs_three() {
    assert_cost("system_calls::calls_to_be_counted");
}

/// The stream on which the server says how it is has the connection given to the reactor only once no thread calls.
#[test]
fn a_unary_call_beside_a_health_check_costs_three() {
    assert_cost("system_calls::calls_beside_a_health_check_to_be_counted");
}

fn assert_cost(calls: &str) {
    let name = calls.rsplit(':').next().unwrap();
    let folder = std::env::temp_dir().join(format!("farcall-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let out = folder.join("strace");
    let traced = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&out)
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", calls])
        .output();
    let text = fs::read_to_string(&out).unwrap_or_default();
    fs::remove_dir_all(&folder).unwrap();
    match traced {
        Err(error) => return eprintln!("skipped: there is no strace here ({error})"),
        Ok(done) if String::from_utf8_lossy(&done.stderr).contains("Operation not permitted") => {
            return eprintln!("skipped: strace may not trace here");
        }
        Ok(done) => assert!(done.status.success(), "{done:?}"),
    }
    let mut costs = costs(&text);
    assert_eq!(costs.len(), CALLS, "{text}");
    // On a busy machine a connection may come to rest between two calls, and the next one takes it back: these cost more.
    costs.sort_unstable();
    assert_eq!([costs[0], costs[CALLS / 10]], [COST; 2], "{costs:?}");
}

/// Run by the test above, under strace.
#[test]
#[ignore = "it is traced by another test"]
fn calls_to_be_counted() {
    let server = Echo::start();
    make_calls(&server.channel());
}

/// The same.
#[test]
#[ignore = "it is traced by another test"]
fn calls_beside_a_health_check_to_be_counted() {
    let server = Echo::start();
    let mut options = options(&[HEALTH_CHECKED]);
    options.channel.health_checks = true;
    let channel = channel_to(server.port, &options);
    make_calls(&channel);
    assert_eq!(server.calls(), WARM_UP + CALLS);
    channel.close("done");
    // Its end: it was there all the time.
    assert_eq!(server.ended().recv_timeout(Duration::from_secs(20)), Ok(Code::Cancelled));
}

fn make_calls(channel: &Arc<Channel>) {
    for call in 0..=WARM_UP + CALLS {
        if call >= WARM_UP {
            assert!(fs::metadata(MARK).is_err());
        }
        if call < WARM_UP + CALLS {
            assert_eq!(echo(channel, b"hello"), b"hello");
        }
    }
}

/// The system calls between one mark and the next, on the thread that makes them.
fn costs(text: &str) -> Vec<usize> {
    let Some(thread) = text.lines().find(|line| line.contains(MARK)).and_then(|line| line.split(' ').next()) else {
        return Vec::new();
    };
    let own = text.lines().filter(|line| line.split(' ').next() == Some(thread) && !line.contains(" resumed>"));
    let mut costs = Vec::new();
    let mut current: Option<usize> = None;
    for line in own {
        if line.contains(MARK) {
            costs.extend(current.replace(0));
        } else if let Some(count) = &mut current {
            *count += 1;
        }
    }
    costs
}
