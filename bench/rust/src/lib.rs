//! What the benchmark programs share, whatever library they measure: the command line, the works, the figures.
//!
//! A server program takes `ADDRESS THREADS` and says `LISTENING <port>`. A client program takes
//! `ADDRESS THREADS WORK SECONDS`; it says `BEGIN` when it is warm and `END` when it is done, waits for a line on
//! stdin each time (`bench/run.py` then looks at both processes), and prints its figures as JSON.

pub mod figures;
pub mod tonic_bytes;
pub mod works;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;

/// What is echoed and streamed where nothing else is said.
pub const MESSAGE: Bytes = Bytes::from_static(b"32 bytes of something to echo...");

/// What a client program is told.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// `host:port`.
    pub address: String,
    /// Threads of the run time.
    pub threads: usize,
    /// What to do: see [`works::run`].
    pub work: String,
    /// For how long.
    pub duration: Duration,
}

impl Arguments {
    /// Reads them from the command line.
    pub fn from_env() -> Arguments {
        let mut words = std::env::args().skip(1);
        let mut next = || words.next().expect("arguments: ADDRESS THREADS WORK SECONDS");
        Arguments {
            address: next(),
            threads: next().parse().expect("THREADS is a number"),
            work: next(),
            duration: Duration::from_secs_f64(next().parse().expect("SECONDS is a number")),
        }
    }
}

/// What a server program is told: where to listen, and the threads of its run time.
pub fn server_arguments() -> (String, usize) {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().expect("arguments: ADDRESS THREADS");
    (next(), next().parse().expect("THREADS is a number"))
}

/// Runs a future on so many threads; on one it is tokio's current-thread run time, the main thread.
pub fn block_on<F: Future + Send + 'static>(threads: usize, future: F) -> F::Output
where
    F::Output: Send + 'static,
{
    if threads == 1 {
        return runtime(tokio::runtime::Builder::new_current_thread()).block_on(future);
    }
    let runtime = runtime(tokio::runtime::Builder::new_multi_thread().worker_threads(threads));
    // On a worker, as a program's tasks are: the main thread would be one thread more.
    runtime.block_on(async { tokio::spawn(future).await.expect("the work does not panic") })
}

fn runtime(mut builder: impl std::borrow::BorrowMut<tokio::runtime::Builder>) -> tokio::runtime::Runtime {
    builder.borrow_mut().enable_all().build().expect("a run time can be made")
}

/// So many times [`MESSAGE`], always ready.
#[derive(Clone, Copy, Debug)]
pub struct Messages(pub u64);

impl Messages {
    /// The next one.
    pub fn take(&mut self) -> Option<Bytes> {
        self.0 = self.0.checked_sub(1)?;
        Some(MESSAGE)
    }
}

impl Stream for Messages {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(self.take())
    }
}

/// The same for a server, whose streams may fail.
#[derive(Debug)]
pub struct Responses<E>(Messages, std::marker::PhantomData<fn() -> E>);

impl<E> Responses<E> {
    /// As many as the request asks for.
    pub fn asked_for(request: &Bytes) -> Responses<E> {
        Responses(Messages(number(request)), std::marker::PhantomData)
    }
}

impl<E> Stream for Responses<E> {
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// A number as a message.
pub fn message_of(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

/// The number that is in a message.
pub fn number(message: &Bytes) -> u64 {
    u64::from_le_bytes(message[..].try_into().expect("a message with a number has 8 bytes"))
}
