//! Lines of what channels, connections and calls do, for people who look for a fault; off unless asked for.

use std::sync::atomic::{AtomicU8, Ordering};

use farcall_engine::{CallId, Connection as Engine, Event};

use crate::{Callback, face};

/// What is traced, which costs nothing to ask.
static ON: AtomicU8 = AtomicU8::new(0);

/// What can be traced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic {
    /// Connectivity states of channels.
    Connectivity,
    /// Connections: their begin and end, SETTINGS and GOAWAYs.
    Http,
    /// Calls: their begin and end.
    Call,
}

impl Topic {
    const ALL: [Topic; 3] = [Topic::Connectivity, Topic::Http, Topic::Call];

    /// As GRPC_TRACE names it.
    fn name(self) -> &'static str {
        match self {
            Topic::Connectivity => "connectivity_state",
            Topic::Http => "http",
            Topic::Call => "call",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }

    fn is_on(self) -> bool {
        ON.load(Ordering::Acquire) & self.bit() != 0
    }
}

/// Traces these topics from now on, to the [`Face`](crate::Face).
pub fn choose(topics: &[String]) {
    let chosen = Topic::ALL.iter().filter(|topic| topics.iter().any(|name| name == topic.name()));
    ON.store(chosen.fold(0, |on, topic| on | topic.bit()), Ordering::Release);
}

/// What writes the line that `words` make, if anybody wants to know. To be run where callbacks run: logging may wait.
pub fn line(topic: Topic, words: impl FnOnce() -> String) -> Option<Callback> {
    if !topic.is_on() {
        return None;
    }
    let line = words();
    Some(Box::new(move || {
        if let Some(face) = face() {
            face.trace(&line);
        }
    }))
}

/// The line about a client's call that begins on a connection.
pub fn begun(peer: &str, call: CallId, path: &str) -> Option<Callback> {
    line(Topic::Call, || format!("call {call} with {peer}: {path} begun"))
}

/// The line about what the brain of a connection with `peer` tells.
pub fn event(peer: &str, engine: &Engine, event: &Event) -> Option<Callback> {
    match event {
        Event::Ready => {
            line(Topic::Http, || format!("connection with {peer}: SETTINGS received: {}", engine.peer_settings()))
        }
        Event::Draining => line(Topic::Http, || match engine.peer_goaway() {
            Some((code, debug)) => {
                format!(
                    "connection with {peer}: GOAWAY received: code {}, {:?}",
                    code.0,
                    debug.escape_ascii().to_string()
                )
            }
            None => format!("connection with {peer}: stream ids used up"),
        }),
        Event::Disconnected(error) => line(Topic::Http, || format!("connection with {peer}: over: {error}")),
        Event::Request { call, head } => {
            line(Topic::Call, || format!("call {call} with {peer}: {} received", head.path))
        }
        Event::Closed { call, closed } => line(Topic::Call, || {
            let status = &closed.status;
            format!("call {call} with {peer}: ended: {:?} {:?}", status.code, status.message)
        }),
        _ => None,
    }
}
