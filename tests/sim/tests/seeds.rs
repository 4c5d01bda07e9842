//! A few thousand worlds. `FARCALL_SEEDS=10000` plays more of them, `FARCALL_SEED=17` one again; `make sim` plays many.

use farcall_sim::{Outcome, Simulator};

/// Tells how to play a world again when a checker fails in it.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Seed(seed) = self;
            eprintln!("seed {seed} failed; play it again: FARCALL_SEED={seed} cargo test -p farcall-sim --test seeds");
        }
    }
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn run(simulator: &Simulator, seed: u64) -> Outcome {
    let _seed = Seed(seed);
    simulator.run(seed)
}

/// Splits the seeds over the two halves, which the test harness runs side by side.
fn half(rest: u64) {
    let simulator = Simulator::new();
    let seeds = match env("FARCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env("FARCALL_SEEDS").unwrap_or(2000),
    };
    let mut audits = 0;
    for seed in seeds.clone().filter(|seed| seed % 2 == rest) {
        audits += run(&simulator, seed).audits;
    }
    assert!(seeds.end - seeds.start < 100 || audits > 1000, "the books were compared {audits} times only");
}

#[test]
fn even_seeds() {
    half(0);
}

#[test]
fn odd_seeds() {
    half(1);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let simulator = Simulator::new();
    for seed in (0..40).map(|seed| seed * 7) {
        assert_eq!(run(&simulator, seed), run(&simulator, seed), "seed {seed}");
    }
    assert_ne!(run(&simulator, 1), run(&simulator, 2));
}
