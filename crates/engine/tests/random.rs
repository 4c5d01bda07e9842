//! Random scripts over many seeds. `FARCALL_SEEDS=10000` plays more of them; `FARCALL_SEED=17` plays one again.

use fastrand::Rng;

use crate::support::play;

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

#[test]
fn random_scripts() {
    let seeds = match env("FARCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env("FARCALL_SEEDS").unwrap_or(300),
    };
    for seed in seeds {
        let _seed = Seed(seed);
        play(&script(seed));
    }
}
