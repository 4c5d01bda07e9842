//! Accepts connections and hands their calls to a handler.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use farcall_channel::Address;
use farcall_engine::{self as engine, Cause, ConnectionError, RequestHead};
use farcall_serving::Serving;
use tokio::task::{Id, JoinSet};

use crate::{
    Incoming, Listener,
    connection::{Driver, Owner},
    mailbox::{Command, Mailbox},
    memory,
    reports::{Reports, Side},
    slot::Slot,
    stream::Stream,
};

/// What the owner of a server chooses.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The engine of each connection: limits.
    pub engine: engine::Config,
    /// How long a client may take from connecting until its SETTINGS are here. gRPC's default is 120 s.
    pub handshake_timeout: Duration,
    /// Connections at a time; one more is closed as soon as it is accepted. `None` is no limit.
    pub max_connections: Option<usize>,
    /// How connections are secured; `None` is plain text.
    #[cfg(feature = "tls")]
    pub tls: Option<farcall_security::ServerConfig>,
}

/// Serves until `stop` is ready; then accepts no more, tells every client to go elsewhere (GOAWAY), waits for the
/// calls in flight, and returns.
///
/// Dropping the future stops at once: every connection is closed and every handler dropped.
pub async fn serve<H>(listeners: Vec<Listener>, config: ServerConfig, handler: H, stop: impl Future<Output = ()>)
where
    H: Fn(Incoming) + Clone + Send + Unpin + 'static,
{
    let config = ServerConfig { engine: memory::shared(config.engine), ..config };
    let mut stop = pin!(stop);
    let mut connections = Connections {
        tasks: JoinSet::new(),
        serving: Serving::new(config.max_connections),
        reports: Arc::new(Reports::of(Side::Server)),
        #[cfg(feature = "tls")]
        stopping: Arc::default(),
        #[cfg(feature = "tls")]
        turns: Arc::new(crate::tls::Turns::of(&tokio::runtime::Handle::current())),
    };
    #[cfg(feature = "tls")]
    let mut entrance = crate::tls::Entrance::new(Arc::clone(&connections.turns));
    let mut pause = pin!(tokio::time::sleep(Duration::ZERO));
    loop {
        let accepted = poll_fn(|context| {
            if stop.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            while let Poll::Ready(Some(ended)) = connections.tasks.poll_join_next_with_id(context) {
                connections.ended(ended);
            }
            if !pause.is_elapsed() && pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            #[cfg(feature = "tls")]
            if entrance.poll(context).is_pending() {
                return Poll::Pending;
            }
            for listener in &listeners {
                if let Poll::Ready(accepted) = listener.poll_accept(context) {
                    return Poll::Ready(Some(accepted));
                }
            }
            Poll::Pending
        });
        match accepted.await {
            None => break,
            Some(Ok((stream, peer))) => match connections.serving.admit() {
                Ok(()) => connections.start(stream, peer, &config, handler.clone()),
                Err(full) => connections.reports.say(Cause::Connections, &peer, &full),
            },
            Some(Err(error)) if is_of_one_connection(&error) => {}
            Some(Err(error)) => {
                let time = connections.serving.handle_refused();
                let reason = format!("{}; trying again in {} ms", crate::connect::reason(&error), time.as_millis());
                connections.reports.say(Cause::Accept, &"", &reason);
                pause.as_mut().reset(tokio::time::Instant::now() + time);
            }
        }
    }
    drop(listeners);
    #[cfg(feature = "tls")]
    connections.stopping.notify_waiters();
    for mailbox in connections.serving.close().connections {
        let _ = mailbox.post(Command::Shutdown);
    }
    while connections.tasks.join_next().await.is_some() {}
}

struct Connections {
    tasks: JoinSet<()>,
    serving: Serving<(), Id, Arc<Mailbox>>,
    reports: Arc<Reports>,
    /// Told once: handshakes that are not over then are given up.
    #[cfg(feature = "tls")]
    stopping: Arc<tokio::sync::Notify>,
    #[cfg(feature = "tls")]
    turns: Arc<crate::tls::Turns>,
}

impl Connections {
    fn start<H>(&mut self, stream: Stream, peer: Address, config: &ServerConfig, handler: H)
    where
        H: Fn(Incoming) + Send + Unpin + 'static,
    {
        tracing::debug!(target: "farcall::connection", %peer, "accepted");
        let mailbox = Arc::new(Mailbox::new(&config.engine.limits));
        #[cfg(feature = "tls")]
        if let Some(tls) = &config.tls {
            return self.start_secured(tls, stream, peer, config, handler);
        }
        let now = Instant::now();
        let engine = engine::Connection::new(config.engine.clone(), now);
        stream.set_user_timeout(config.engine.keepalive_time.map(|_| config.engine.keepalive_timeout));
        let owner = Accepted {
            mailbox: Arc::clone(&mailbox),
            peer: Arc::new(peer),
            reports: Arc::clone(&self.reports),
            #[cfg(feature = "tls")]
            handshake: None,
            handler,
        };
        let driver = Driver::new(stream, engine, Arc::clone(&mailbox), owner);
        let task = self.tasks.spawn(match now.checked_add(config.handshake_timeout) {
            Some(at) => driver.ready_by(at),
            None => driver,
        });
        self.serving.handle_connected(task.id(), mailbox);
    }

    #[cfg(feature = "tls")]
    fn start_secured<H>(
        &mut self,
        tls: &farcall_security::ServerConfig,
        stream: Stream,
        peer: Address,
        config: &ServerConfig,
        handler: H,
    ) where
        H: Fn(Incoming) + Send + Unpin + 'static,
    {
        // A configuration that rustls has taken once it takes again.
        let session = match farcall_security::Session::server(tls) {
            Ok(session) => session,
            Err(error) => return self.reports.say(Cause::Handshake, &peer, &error),
        };
        let mailbox = Arc::new(Mailbox::new(&config.engine.limits));
        stream.set_user_timeout(config.engine.keepalive_time.map(|_| config.engine.keepalive_timeout));
        let (engine, patience) = (config.engine.clone(), config.handshake_timeout);
        let (stopping, turns) = (Arc::clone(&self.stopping), Arc::clone(&self.turns));
        let (its, reports) = (Arc::clone(&mailbox), Arc::clone(&self.reports));
        let task = self.tasks.spawn(async move {
            let begun = Instant::now();
            let shaken = {
                let mut stop = pin!(stopping.notified());
                let shake = crate::tls::TlsStream::handshake_in_turn(stream, session, &turns);
                let mut shake = pin!(tokio::time::timeout(patience, shake));
                poll_fn(|context| {
                    if stop.as_mut().poll(context).is_ready() {
                        return Poll::Ready(None);
                    }
                    shake.as_mut().poll(context).map(Some)
                })
                .await
            };
            // An alert has said why to the client.
            let stream = match shaken {
                Some(Ok(Ok(stream))) => stream,
                Some(Ok(Err(error))) => return reports.say(cause_of(&error), &peer, &error),
                Some(Err(_)) => return reports.say(Cause::Silent, &peer, &"the TLS handshake timed out"),
                None => return,
            };
            let handshake = stream.handshake().cloned();
            let owner = Accepted { mailbox: Arc::clone(&its), peer: Arc::new(peer), reports, handshake, handler };
            let driver = Driver::new(stream, engine::Connection::new(engine, Instant::now()), its, owner);
            match begun.checked_add(patience) {
                Some(at) => driver.ready_by(at).await,
                None => driver.await,
            }
        });
        self.serving.handle_connected(task.id(), mailbox);
    }

    fn ended(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.serving.handle_lost(&id);
    }
}

/// What a handshake that failed is reported as.
#[cfg(feature = "tls")]
fn cause_of(error: &io::Error) -> Cause {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<farcall_security::Error>());
    match inner {
        Some(farcall_security::Error::ClosedInHandshake) | None => Cause::HandshakeLeft,
        Some(_) => Cause::Handshake,
    }
}

/// Errors of the connection that was to be accepted, not of accepting.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

/// What a server's connection does with its calls.
struct Accepted<H> {
    mailbox: Arc<Mailbox>,
    peer: Arc<Address>,
    reports: Arc<Reports>,
    #[cfg(feature = "tls")]
    handshake: Option<Arc<farcall_security::Handshake>>,
    handler: H,
}

impl<H: Fn(Incoming) + Send + Unpin + 'static> Owner for Accepted<H> {
    fn ready(&mut self) {}

    fn request(&mut self, head: Box<RequestHead>, slot: Arc<Slot>) {
        #[allow(unused_mut, reason = "without TLS there is nothing more to say of a call")]
        let mut incoming = Incoming::new(head, Arc::clone(&self.peer), &self.mailbox, slot);
        #[cfg(feature = "tls")]
        incoming.handshake.clone_from(&self.handshake);
        (self.handler)(incoming);
    }

    fn draining(&mut self, _keepalive: Option<Duration>) {}

    fn struck(&mut self, cause: Cause, what: &'static str, times: u32) {
        self.reports.say_times(cause, times.into(), &self.peer, &what);
    }

    fn peer(&self) -> &Address {
        &self.peer
    }

    fn disconnected(&mut self, why: &ConnectionError, _keepalive: Option<Duration>) {
        self.reports.say_end(why, &self.peer);
    }
}
