//! What waits to be sent: each call's [`Queue`], and the [`Scheduler`] that says whose turn it is.

mod queue;
mod scheduler;

pub(crate) use queue::Queue;
pub(crate) use scheduler::{Class, Scheduler, TURN};
