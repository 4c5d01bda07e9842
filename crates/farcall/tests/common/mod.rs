//! What the tests share: a server whose one service is a closure, and a channel to it.

// Each test file uses its own part of it.
#![allow(dead_code, unreachable_pub)]

pub mod dns;
pub mod events;

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use farcall::{
    Channel, Response, Server, Status, Streaming, codec,
    server::{Call, Service},
};
use futures_core::Stream;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// A service `test.Service` of one closure.
pub struct Closure<F>(pub F);

impl<F: Fn(Call) + Send + Sync + 'static> Service for Closure<F> {
    fn name(&self) -> &'static str {
        "test.Service"
    }

    fn call(&self, call: Call) {
        (self.0)(call);
    }
}

/// A server that runs.
pub struct Running {
    pub address: SocketAddr,
    pub channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Serves a closure on a free port.
pub async fn serve(handler: impl Fn(Call) + Send + Sync + 'static) -> Running {
    serve_with(Server::builder(), "127.0.0.1:0", handler).await
}

/// Serves a closure with settings, on an address.
pub async fn serve_with(server: Server, address: &str, handler: impl Fn(Call) + Send + Sync + 'static) -> Running {
    let bound = server.add_service(Closure(handler)).bind(address).await.expect("a free port");
    let address = bound.local_addr().expect("an IP address");
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(bound.serve_with_shutdown(async {
        // A sender that is dropped never stops the server.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    }));
    let channel = Channel::new(format!("http://{address}")).expect("a target");
    Running { address, channel, stop: Some(stop), task }
}

impl Running {
    /// Begins a graceful stop; await [`stopped`](Running::stopped) for its end.
    pub fn stop(&mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
    }

    /// Waits until a graceful stop is done.
    pub async fn stopped(self) {
        self.task.await.expect("the server does not panic");
    }

    /// Stops at once.
    pub async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Answers each request with itself.
pub fn echo(call: Call) {
    call.unary(codec::Bytes, |request: farcall::Request<Bytes>| async {
        Ok::<_, Status>(Response::new(request.into_inner()))
    });
}

/// A unary call of bytes to `/test.Service/Method`.
pub async fn unary(channel: &Channel, message: impl Into<Bytes>) -> Result<Bytes, Status> {
    let request = farcall::Request::new(message.into());
    channel.unary("/test.Service/Method", codec::Bytes, request).await.map(Response::into_inner)
}

/// Calls until that succeeds. Calls that fail at once let timers run in between.
pub async fn until_ok(channel: &Channel) -> Bytes {
    loop {
        match unary(channel, "").await {
            Ok(message) => return message,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// The responses to one request to `/test.Service/Method`.
pub async fn server_streaming(channel: &Channel, message: impl Into<Bytes>) -> Result<Streaming<Bytes>, Status> {
    let request = farcall::Request::new(message.into());
    channel.server_streaming("/test.Service/Method", codec::Bytes, request).await.map(Response::into_inner)
}

/// A stream fed through a channel.
pub struct Fed<T>(pub mpsc::Receiver<T>);

/// A stream and the way to feed it; dropping the sender ends it.
pub fn fed<T>() -> (mpsc::Sender<T>, Fed<T>) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Fed(receiver))
}

impl<T> Stream for Fed<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(context)
    }
}

/// A stream of what an iterator gives.
pub struct Iter<I>(pub I);

impl<I: Iterator + Unpin> Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

/// The next item of a stream.
pub async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

/// Tells when it is dropped: in a handler, that its future was.
pub struct Guard(pub Option<oneshot::Sender<()>>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.take().expect("dropped once").send(());
    }
}

/// A handler that tells that it began, and whose end tells; it never answers.
pub struct Hanging {
    pub began: mpsc::UnboundedReceiver<oneshot::Receiver<()>>,
    report: mpsc::UnboundedSender<oneshot::Receiver<()>>,
}

impl Hanging {
    pub fn new() -> Hanging {
        let (report, began) = mpsc::unbounded_channel();
        Hanging { began, report }
    }

    pub fn handler(&self) -> impl Fn(Call) + Send + Sync + 'static + use<> {
        let report = self.report.clone();
        move |call| {
            let report = report.clone();
            call.unary(codec::Bytes, |_: farcall::Request<Bytes>| async move {
                let (sender, dropped) = oneshot::channel();
                let _guard = Guard(Some(sender));
                let _ = report.send(dropped);
                std::future::pending::<Result<Response<Bytes>, Status>>().await
            });
        }
    }

    /// Waits for a call to begin; the answer is ready when its handler is dropped.
    pub async fn begun(&mut self) -> oneshot::Receiver<()> {
        self.began.recv().await.expect("the server lives")
    }
}

/// Fails instead of hanging.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it hangs")
}
