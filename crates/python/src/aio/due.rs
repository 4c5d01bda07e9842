//! What is left to do once no lock is held: the words of a brain that concern Python or other brains.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use farcall_channel::{ConnectError, StreamId};
use farcall_core::Status;
use farcall_engine::RequestHead;
use farcall_system::{Callback, reports::Remark};
use pyo3::prelude::*;

use super::{
    call::{Beaten, Call, GivenUp},
    event_loop::{EventLoop, Resume},
    known::names,
    waiter::Waiter,
};
use crate::calling::Calling;

/// One thing to do.
pub(crate) enum Due {
    /// Somebody has what it waited for.
    Wake(Py<Waiter>),
    /// A call is over, and this is to be called then.
    Callback(Py<PyAny>),
    /// Server: a call is over, and this task still works on it.
    Cancel(Py<PyAny>),
    /// Client: the connection works.
    Ready,
    /// Client: it takes no new calls.
    Draining,
    /// It is over.
    Lost {
        why: String,
        /// Whether the transport was connected.
        connected: bool,
        /// Why TLS would have none of it.
        refused: Option<ConnectError>,
    },
    /// A line for who looks for a fault.
    Trace(Callback),
    /// The peer did something that the operator may hear of.
    Remark(Remark),
    /// Server: a call begins.
    Request(Arc<Call>, Box<RequestHead>),
    /// Client: an attempt at a call has ended, and another is made then.
    Again {
        call: Arc<Call>,
        at: Instant,
        /// The attempt never left this side: its connection takes no calls.
        unsent: bool,
    },
    /// Client: what has come on a stream of the channel's own, or how that has ended.
    Standing(StreamId, Result<Bytes, Status>),
    /// Client: attempts at a call have lost.
    Beaten(Beaten),
    /// A call has ended, and with it what it held.
    Ended(Arc<Call>, GivenUp),
}

/// Resumes and calls whoever is due. Only [`Due::Wake`], [`Due::Callback`], [`Due::Cancel`],
/// [`Due::Trace`] and [`Due::Beaten`] may be among `due`.
///
/// # Errors
/// What a resumed task or a callback let out (KeyboardInterrupt or SystemExit); the others have their turn in the loop's
/// next one then.
pub(crate) fn wake(
    py: Python<'_>,
    event_loop: &EventLoop,
    due: impl IntoIterator<Item = Due>,
    mut resume: Resume,
) -> PyResult<()> {
    let mut result = Ok(());
    for due in due {
        match due {
            Due::Wake(waiter) => {
                if let Err(error) = Waiter::finish(waiter.bind(py), resume) {
                    resume = Resume::Soon;
                    result = Err(error);
                }
            }
            Due::Callback(callback) => match resume {
                Resume::Soon => event_loop.call_soon_bare(py, callback.bind(py)),
                Resume::Now => {
                    if let Err(error) = event_loop.step(|| callback.bind(py).call_python(&[])) {
                        resume = Resume::Soon;
                        result = Err(error);
                    }
                }
            },
            Due::Trace(line) => line(),
            Due::Beaten(beaten) => result = result.and(beaten.let_go(py)),
            Due::Cancel(task) => {
                if let Err(error) = task.bind(py).call_python_method(names(py).cancel.bind(py), &[]) {
                    error.write_unraisable(py, Some(task.bind(py)));
                }
            }
            _ => {}
        }
    }
    result
}
