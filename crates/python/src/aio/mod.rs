//! The asyncio hands: everything happens on the loop of the caller, and no other thread exists.
//!
//! The loop watches the sockets (`add_reader`, `add_writer`); one callback reads what is there, steps the brain, resumes
//! whoever waited and writes once. What lives where: [`event_loop`] is what is known of one loop, with the batch and the
//! turn in which writes are gathered; [`waiter`] is what a task awaits; [`connection`], [`channel`] with [`dial`] and [`standing`], [`server`]
//! and [`call`] hold the brains; [`client`] and [`serving`] are the classes that Python sees. The blocking hands are in `sync`,
//! with which these share sockets and listeners, but no thread and no lock.
//!
//! Locks, outermost first: a channel's or a server's, a connection's, a call's. No lock is held while Python runs, nor
//! while an object of Python is made or dropped: a garbage collection may end up anywhere in here.

pub(crate) mod call;
pub(crate) mod channel;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod due;
pub(crate) mod event_loop;
pub(crate) mod known;
pub(crate) mod listener;
pub(crate) mod server;
pub(crate) mod serving;
pub(crate) mod standing;
pub(crate) mod waiter;

use pyo3::prelude::*;

/// Adds the classes to the native module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    known::names(py);
    // Those that Python is not told of are made here too, for the reason of `known`.
    py.get_type::<channel::Timer>();
    py.get_type::<client::Closing>();
    py.get_type::<dial::Answered>();
    py.get_type::<dial::Connected>();
    py.get_type::<connection::Watcher>();
    py.get_type::<event_loop::Turn>();
    py.get_type::<listener::Listener>();
    module.add_function(wrap_pyfunction!(known::configure_aio, module)?)?;
    module.add_class::<waiter::Waiter>()?;
    module.add_class::<dial::Resolution>()?;
    module.add_class::<client::AioChannel>()?;
    module.add_class::<client::AioClientCall>()?;
    module.add_class::<serving::AioServer>()?;
    module.add_class::<serving::AioServerCall>()
}
