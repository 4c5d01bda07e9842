//! The floor: bytes there and back over bare sockets. `sockets-client ADDRESS blocking|tokio BYTES SECONDS`.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use farcall_bench::{
    block_on,
    figures::{Done, measure},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WARM_UP: usize = 100;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().expect("arguments: ADDRESS blocking|tokio BYTES SECONDS");
    let (address, kind) = (next(), next());
    let buffer = vec![42; next().parse().expect("BYTES is a number")];
    let duration = Duration::from_secs_f64(next().parse().expect("SECONDS is a number"));
    match kind.as_str() {
        "blocking" => block_on(1, async move { blocking(&address, buffer, duration).await }),
        "tokio" => block_on(1, on_tokio(address, buffer, duration)),
        _ => panic!("there is no kind {kind}"),
    }
}

/// Blocks indeed; it is in a future because that is what is measured.
async fn blocking(address: &str, mut buffer: Vec<u8>, duration: Duration) {
    let mut stream = std::net::TcpStream::connect(address).expect("the server answers");
    stream.set_nodelay(true).expect("the socket lives");
    let mut turn = move || {
        stream.write_all(&buffer).expect("the server reads");
        stream.read_exact(&mut buffer).expect("the server writes");
    };
    (0..WARM_UP).for_each(|_| turn());
    measure(async {
        let mut clock = Clock::new(duration);
        while !clock.is_over() {
            turn();
            clock.tick();
        }
        clock.done()
    })
    .await;
}

async fn on_tokio(address: String, mut buffer: Vec<u8>, duration: Duration) {
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the server answers");
    stream.set_nodelay(true).expect("the socket lives");
    let mut turn = async || {
        stream.write_all(&buffer).await.expect("the server reads");
        stream.read_exact(&mut buffer).await.expect("the server writes");
    };
    for _ in 0..WARM_UP {
        turn().await;
    }
    measure(async {
        let mut clock = Clock::new(duration);
        while !clock.is_over() {
            turn().await;
            clock.tick();
        }
        clock.done()
    })
    .await;
}

struct Clock {
    now: Instant,
    stop: Instant,
    latencies: Vec<Duration>,
}

impl Clock {
    fn new(duration: Duration) -> Clock {
        let now = Instant::now();
        Clock { now, stop: now + duration, latencies: Vec::with_capacity(1 << 16) }
    }

    fn is_over(&self) -> bool {
        self.now >= self.stop
    }

    fn tick(&mut self) {
        let before = std::mem::replace(&mut self.now, Instant::now());
        self.latencies.push(self.now - before);
    }

    fn done(self) -> Done {
        Done { operations: self.latencies.len() as u64, latencies: self.latencies }
    }
}
