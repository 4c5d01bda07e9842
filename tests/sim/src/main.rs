//! Plays the worlds of many seeds on all processors: `farcall-sim [COUNT [FIRST]]`.
//! Ends with 1 at the first seed that fails, and says how to play it again.

use std::{
    io::{IsTerminal, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use farcall_sim::Simulator;

/// Progress between the threads.
struct Progress {
    next: AtomicU64,
    done: AtomicU64,
    audits: AtomicU64,
    /// The first seed that failed, `u64::MAX` as long as none has.
    failed: AtomicU64,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (count, first) = match (arguments.next(), arguments.next()) {
        (None, _) => (1000, 0),
        (Some(Ok(count)), None) => (count, 0),
        (Some(Ok(count)), Some(Ok(first))) => (count, first),
        _ => {
            eprintln!("usage: farcall-sim [COUNT [FIRST]]");
            return ExitCode::from(2);
        }
    };
    let last = first.saturating_add(count);
    let simulator = Simulator::new();
    let progress = Progress {
        next: AtomicU64::new(first),
        done: AtomicU64::new(0),
        audits: AtomicU64::new(0),
        failed: AtomicU64::new(u64::MAX),
    };
    let started = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
            .map(|_| scope.spawn(|| work(&simulator, &progress, last)))
            .collect();
        let mut reported = started;
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(100));
            report(&progress, count, started, &mut reported);
        }
    });
    let seed = progress.failed.load(Ordering::Relaxed);
    if seed != u64::MAX {
        eprintln!("\nseed {seed} failed; play it again: make sim SEEDS=1 FIRST={seed}");
        return ExitCode::FAILURE;
    }
    let audits = progress.audits.load(Ordering::Relaxed);
    println!("\n{count} worlds in {:.0?}, from seed {first}; books compared {audits} times", started.elapsed());
    ExitCode::SUCCESS
}

fn work(simulator: &Simulator, progress: &Progress, last: u64) {
    loop {
        let seed = progress.next.fetch_add(1, Ordering::Relaxed);
        if seed >= last || progress.failed.load(Ordering::Relaxed) != u64::MAX {
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| simulator.run(seed))) {
            Ok(outcome) => progress.audits.fetch_add(outcome.audits, Ordering::Relaxed),
            Err(_) => progress.failed.fetch_min(seed, Ordering::Relaxed),
        };
        progress.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// One line that is written over on a terminal, a line a minute elsewhere.
fn report(progress: &Progress, count: u64, started: Instant, reported: &mut Instant) {
    let terminal = std::io::stdout().is_terminal();
    let pause = Duration::from_secs(if terminal { 1 } else { 60 });
    if reported.elapsed() < pause {
        return;
    }
    *reported = Instant::now();
    let done = progress.done.load(Ordering::Relaxed);
    let rate = done as f64 / started.elapsed().as_secs_f64();
    let (before, after) = if terminal { ("\r", "") } else { ("", "\n") };
    print!("{before}{done} of {count} worlds, {rate:.0} a second{after}");
    let _ = std::io::stdout().flush();
}
