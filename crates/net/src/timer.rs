use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use tokio::time::{Sleep, sleep_until};

/// A timer that is cheap to keep: it is moved only when it would fire too late. A call's deadline that is moved away
/// again costs nothing; at worst the timer fires once for nothing.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: Option<Instant>,
}

impl Timer {
    /// Makes sure that the context is woken at `at` at the latest. Ready when that time has come.
    pub(crate) fn poll(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.armed.is_some_and(|armed| armed <= at && armed > Instant::now()) {
            return Poll::Pending;
        }
        let deadline = tokio::time::Instant::from_std(at);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        sleep.as_mut().reset(deadline);
        let poll = sleep.as_mut().poll(context);
        self.armed = if poll.is_ready() { None } else { Some(at) };
        poll
    }
}
