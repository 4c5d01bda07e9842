//! Random scripts over many seeds. `FARCALL_SEEDS=10000` plays more of them; `FARCALL_SEED=17` plays one again.

use fastrand::Rng;

use crate::support::{hostile, play};

fn script(seed: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    let len = rng.usize(20..1500);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Tells the seed when its script fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed; play it again with FARCALL_SEED={}", self.0, self.0);
        }
    }
}

fn each_seed(default: u64, run: impl Fn(&[u8])) {
    let seeds = match env("FARCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env("FARCALL_SEEDS").unwrap_or(default),
    };
    for seed in seeds {
        let _seed = Seed(seed);
        run(&script(seed));
    }
}

#[test]
fn random_scripts() {
    each_seed(300, play);
}

#[test]
fn random_hostile_peers() {
    each_seed(3000, hostile);
}
