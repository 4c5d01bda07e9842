//! Lines of what channels, connections and calls do, for people who look for a fault; off unless asked for.

use std::sync::atomic::{AtomicU8, Ordering};

use farcall_engine::{CallId, Connection as Engine, Event};
use pyo3::{prelude::*, sync::PyOnceLock, types::PyString};

use crate::{calling::Calling, process, sync::Callback};

/// What gets the lines.
static TRACER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What is traced, which can be asked without the interpreter.
static ON: AtomicU8 = AtomicU8::new(0);

/// What can be traced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
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

/// Gives lines about these topics to `tracer(line)` from now on.
#[pyfunction]
pub(crate) fn trace(py: Python<'_>, tracer: Py<PyAny>, topics: Vec<String>) {
    // The first one stays: it logs, whoever set it.
    let _ = TRACER.set(py, tracer);
    let chosen = Topic::ALL.iter().filter(|topic| topics.iter().any(|name| name == topic.name()));
    ON.store(chosen.fold(0, |on, topic| on | topic.bit()), Ordering::Release);
}

/// What writes the line that `words` make, if anybody wants to know. To be run where callbacks run: logging may wait.
pub(crate) fn line(topic: Topic, words: impl FnOnce() -> String) -> Option<Callback> {
    if !topic.is_on() {
        return None;
    }
    let line = words();
    Some(Box::new(move || {
        process::attach(|py| {
            let Some(tracer) = TRACER.get(py) else { return };
            if let Err(error) = tracer.bind(py).call_python(&[PyString::new(py, &line).as_any()]) {
                error.write_unraisable(py, Some(tracer.bind(py)));
            }
        });
    }))
}

/// The line about a client's call that begins on a connection.
pub(crate) fn begun(peer: &str, call: CallId, path: &str) -> Option<Callback> {
    line(Topic::Call, || format!("call {call} with {peer}: {path} begun"))
}

/// The line about what the brain of a connection with `peer` tells.
pub(crate) fn event(peer: &str, engine: &Engine, event: &Event) -> Option<Callback> {
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
