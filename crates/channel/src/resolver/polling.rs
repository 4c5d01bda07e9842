use std::time::{Duration, Instant};

use crate::Backoff;

/// When a name is asked for: no sooner than an interval after it was found, and after a back-off when it was not.
#[derive(Debug)]
pub(crate) struct Polling {
    interval: Duration,
    /// How old what was found may become before it is asked for again anyway.
    refresh: Option<Duration>,
    backoff: Backoff,
    state: State,
    found: Option<Instant>,
}

/// Named for what it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Somebody who wants to know.
    Stopped,
    /// The answer.
    Asking,
    /// The wish to know again.
    Content,
    /// The time to ask again.
    Until(Instant),
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    Nothing,
    Ask,
    /// What was found last is said again.
    Repeat,
}

impl Polling {
    pub(crate) fn new(interval: Duration, refresh: Option<Duration>, backoff: Backoff) -> Polling {
        Polling { interval, refresh, backoff, state: State::Stopped, found: None }
    }

    /// Somebody wants to know.
    pub(crate) fn start(&mut self, now: Instant) -> Want {
        match self.found {
            _ if self.state != State::Stopped => Want::Nothing,
            Some(at) if now.saturating_duration_since(at) < self.interval => {
                self.state = State::Content;
                Want::Repeat
            }
            _ => self.ask(),
        }
    }

    /// Nobody wants to know any more.
    pub(crate) fn stop(&mut self) {
        self.state = State::Stopped;
    }

    /// What was found may be out of date.
    pub(crate) fn ask_again(&mut self, now: Instant) -> Want {
        if self.state != State::Content {
            return Want::Nothing;
        }
        match self.found.map(|at| at + self.interval) {
            Some(due) if due > now => {
                self.state = State::Until(due);
                Want::Nothing
            }
            _ => self.ask(),
        }
    }

    /// It is known, and asking goes on or has ended.
    pub(crate) fn found(&mut self, now: Instant, ended: bool) {
        self.found = Some(now);
        self.backoff.reset();
        if ended {
            self.state = State::Content;
        }
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        self.state = State::Until(now + self.backoff.advance());
    }

    /// What was found is of no use.
    pub(crate) fn rejected(&mut self, now: Instant) {
        if self.state == State::Content {
            self.failed(now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Want {
        match self.state {
            State::Until(due) if due <= now => self.ask(),
            State::Content if self.poll_timeout().is_some_and(|due| due <= now) => self.ask(),
            _ => Want::Nothing,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Until(due) => Some(due),
            State::Content => self.found.zip(self.refresh).map(|(at, refresh)| at + refresh),
            State::Stopped | State::Asking => None,
        }
    }

    fn ask(&mut self) -> Want {
        self.state = State::Asking;
        Want::Ask
    }
}
