//! What the benchmark programs share, whatever library they measure: the message, the loop, the figures.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cpu_time::ProcessTime;

/// What is echoed.
pub const MESSAGE: Bytes = Bytes::from_static(b"32 bytes of something to echo...");

const WARM_UP_CALLS: usize = 2000;

/// Processor time this process has used, in seconds, as the text that `/bench/Usage` answers.
pub fn usage() -> Bytes {
    format!("{}", ProcessTime::now().as_duration().as_secs_f64()).into()
}

fn seconds_in(usage: &Bytes) -> f64 {
    std::str::from_utf8(usage).ok().and_then(|text| text.parse().ok()).expect("the server answers its usage")
}

/// What a client program is told: the server's address, how many calls to keep in flight, for how long.
pub struct Arguments {
    /// `host:port`.
    pub address: String,
    /// Calls in flight at once.
    pub in_flight: usize,
    /// How long to measure.
    pub duration: Duration,
}

impl Arguments {
    /// Reads them from the command line.
    pub fn from_env() -> Self {
        let mut words = std::env::args().skip(1);
        let mut next = || words.next().expect("arguments: ADDRESS IN_FLIGHT SECONDS");
        let address = next();
        let in_flight = next().parse().expect("IN_FLIGHT is a number");
        let duration = Duration::from_secs_f64(next().parse().expect("SECONDS is a number"));
        Arguments { address, in_flight, duration }
    }
}

/// Keeps `in_flight` calls of `call` going for the time given, and prints what they took as JSON.
///
/// `call(path, message)` makes one call; must run on a current-thread runtime inside a `LocalSet`.
pub async fn measure<C, F>(arguments: Arguments, call: C)
where
    C: Fn(&'static str, Bytes) -> F + Clone + 'static,
    F: Future<Output = Bytes> + 'static,
{
    for _ in 0..WARM_UP_CALLS {
        call("/bench/Echo", MESSAGE).await;
    }
    let server_before = seconds_in(&call("/bench/Usage", Bytes::new()).await);
    let client_before = ProcessTime::now();
    let started = Instant::now();
    let stop = started + arguments.duration;
    let workers: Vec<_> =
        (0..arguments.in_flight).map(|_| tokio::task::spawn_local(call_until(stop, call.clone()))).collect();
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await.expect("a worker does not panic"));
    }
    let took = started.elapsed().as_secs_f64();
    let client_cpu = client_before.elapsed().as_secs_f64();
    let server_cpu = seconds_in(&call("/bench/Usage", Bytes::new()).await) - server_before;

    latencies.sort_unstable();
    let calls = latencies.len();
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    println!(
        r#"{{"rate": {}, "p50_us": {}, "p99_us": {}, "client_cpu_us": {}, "server_cpu_us": {}}}"#,
        calls as f64 / took,
        micros(latencies[calls / 2]),
        micros(latencies[calls * 99 / 100]),
        client_cpu / calls as f64 * 1e6,
        server_cpu / calls as f64 * 1e6,
    );
}

async fn call_until<C, F>(stop: Instant, call: C) -> Vec<Duration>
where
    C: Fn(&'static str, Bytes) -> F,
    F: Future<Output = Bytes>,
{
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut now = Instant::now();
    while now < stop {
        let before = now;
        assert_eq!(call("/bench/Echo", MESSAGE).await, MESSAGE, "the echo is not what was sent");
        now = Instant::now();
        latencies.push(now - before);
    }
    latencies
}

/// tonic with messages that are bytes already.
pub mod tonic_bytes {
    use bytes::{Buf, BufMut, Bytes};
    use tonic::Status;
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

    /// Bytes in, bytes out.
    #[derive(Clone, Copy, Default)]
    pub struct BytesCodec;

    impl Codec for BytesCodec {
        type Encode = Bytes;
        type Decode = Bytes;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            *self
        }

        fn decoder(&mut self) -> Self {
            *self
        }
    }

    impl Encoder for BytesCodec {
        type Item = Bytes;
        type Error = Status;

        fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
            buffer.put(item);
            Ok(())
        }
    }

    impl Decoder for BytesCodec {
        type Item = Bytes;
        type Error = Status;

        fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
            Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
        }
    }
}
