//! What a client program tells the harness.

use std::{
    future::Future,
    io::BufRead,
    time::{Duration, Instant},
};

/// Says where the measurement is, and waits until the harness has looked at the processes.
pub fn mark(word: &str) {
    println!("{word}");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).expect("the harness answers");
}

/// What was done, over which time.
#[derive(Debug, Default)]
pub struct Done {
    /// Calls, round trips, messages or connections.
    pub operations: u64,
    /// The time of each, where operations have one.
    pub latencies: Vec<Duration>,
}

/// Marks the begin and the end of some work and prints its figures.
pub async fn measure(work: impl Future<Output = Done>) {
    mark("BEGIN");
    let started = Instant::now();
    let Done { operations, mut latencies } = work.await;
    let took = started.elapsed().as_secs_f64();
    mark("END");
    latencies.sort_unstable();
    let at = |share: usize| match latencies.get(latencies.len() * share / 100) {
        Some(latency) => format!("{:.2}", latency.as_secs_f64() * 1e6),
        None => "null".to_owned(),
    };
    println!(r#"{{"operations": {operations}, "seconds": {took}, "p50_us": {}, "p99_us": {}}}"#, at(50), at(99));
}
