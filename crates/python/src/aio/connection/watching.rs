//! What a connection asks of its loop, and does when that calls.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use farcall_system::socket::os_text;
use pyo3::prelude::*;

use super::{Connection, State, Timer};
use crate::{aio::known::names, calling::Calling};

/// A connection as its loop sees it.
#[pyclass(frozen)]
pub(in crate::aio) struct Watcher(Arc<Connection>);

#[pymethods]
impl Watcher {
    fn on_readable(&self, py: Python<'_>) -> PyResult<()> {
        let connection = &self.0;
        connection.event_loop.in_batch(py, || connection.handle_readable(py))
    }

    fn on_writable(&self, py: Python<'_>) -> PyResult<()> {
        let connection = &self.0;
        connection.event_loop.in_batch(py, || connection.handle_writable(py))
    }

    fn on_timer(&self, py: Python<'_>) -> PyResult<()> {
        let connection = &self.0;
        connection.event_loop.in_batch(py, || connection.handle_timer(py))
    }
}

impl Connection {
    fn handle_readable(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let handshaking = self.handshaking.load(Ordering::Relaxed);
        if !self.is_ours() || (handshaking && !self.event_loop.may_go_on(py)) {
            return Ok(());
        }
        self.tell_first(py, |state, now, due| {
            if !state.connecting {
                self.read(state, now, due);
            }
            if handshaking {
                self.handshaking.store(state.transport.in_handshake(), Ordering::Relaxed);
            }
        })
    }

    fn handle_writable(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        if !self.is_ours() {
            return Ok(());
        }
        self.settle(py, |state, now| {
            state.blocked = false;
            if state.connecting {
                state.connecting = false;
                match self.socket.take_error() {
                    Ok(None) => state.connected = true,
                    Ok(Some(error)) | Err(error) => state.engine.handle_transport_closed(&os_text(&error), now),
                }
            }
        })
    }

    fn handle_timer(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        if !self.is_ours() {
            return Ok(());
        }
        let spent = self.lock().timer.take();
        drop(spent);
        let settled = self.settle(py, |state, now| {
            if state.engine.poll_timeout().is_some_and(|due| due <= now) {
                state.engine.handle_timeout(now);
            }
            if state.cut_at.is_some_and(|cut_at| cut_at <= now) {
                state.over = true;
            }
        });
        self.event_loop.look_after_memory(py)?;
        settled
    }

    /// Asks the loop for what the connection waits for now.
    pub(super) fn watch(self: &Arc<Self>, py: Python<'_>, now: Instant) -> PyResult<()> {
        if !self.event_loop.is_here() {
            // Its own thread will, at the end of the turn.
            let ask = {
                let state = self.lock();
                state.reader != state.reads() || state.writer != state.writes() || state.timer_is_late().is_some()
            };
            if ask {
                self.event_loop.defer(py, self);
            }
            return Ok(());
        }
        let (reader, writer, timer, shut) = {
            let mut state = self.lock();
            let (reads, writes) = (state.reads(), state.writes());
            let reader = (state.reader != reads).then_some(reads);
            let writer = (state.writer != writes).then_some(writes);
            (state.reader, state.writer) = (reads, writes);
            let timer = state.timer_is_late();
            let spent = if timer.is_some() || state.over { state.timer.take() } else { None };
            let over = state.over;
            let shut = over && !std::mem::replace(&mut state.shut, over);
            (reader, writer, (timer, spent), shut)
        };
        if (reader.is_some() || writer.is_some())
            && let Err(error) = self.ask(py, reader, writer)
        {
            // Nobody can watch it: better lost now than silent for ever.
            let why = error.value(py).to_string();
            return self.settle(py, |state, now| {
                state.engine.handle_transport_closed(&why, now);
                state.over = true;
            });
        }
        if let Some(handle) = timer.1.and_then(|timer| timer.handle) {
            handle.bind(py).call_python_method(names(py).cancel.bind(py), &[])?;
        }
        if let Some(at) = timer.0 {
            let watcher = Bound::new(py, Watcher(Arc::clone(self)))?.getattr(names(py).on_timer.bind(py))?;
            let handle = self.event_loop.call_at(py, at, now, &watcher);
            self.lock().timer = Some(Timer { at, handle });
        }
        if shut {
            // Only now: the loop must have let go of it.
            self.socket.shut_down();
        }
        Ok(())
    }

    fn ask(self: &Arc<Self>, py: Python<'_>, reader: Option<bool>, writer: Option<bool>) -> PyResult<()> {
        let fd = self.socket.raw();
        let watcher = Bound::new(py, Watcher(Arc::clone(self)))?;
        match reader {
            Some(true) => self.event_loop.add_reader(fd, &watcher.getattr(names(py).on_readable.bind(py))?)?,
            Some(false) => self.event_loop.remove_reader(py, fd),
            None => {}
        }
        match writer {
            Some(true) => self.event_loop.add_writer(fd, &watcher.getattr(names(py).on_writable.bind(py))?)?,
            Some(false) => self.event_loop.remove_writer(py, fd),
            None => {}
        }
        Ok(())
    }
}

impl State {
    fn reads(&self) -> bool {
        !self.over && !self.connecting && (self.engine.error().is_none() || self.parting.is_some())
    }

    fn writes(&self) -> bool {
        !self.over && (self.blocked || self.connecting)
    }

    /// When the loop is to look at the clock, if that is before it would anyway. A timer that goes off too early does no
    /// harm, so only a later one is replaced.
    fn timer_is_late(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let due = [self.engine.poll_timeout(), self.cut_at].into_iter().flatten().min()?;
        self.timer.as_ref().is_none_or(|timer| due < timer.at).then_some(due)
    }
}
