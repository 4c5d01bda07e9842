use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Answer, Endpoint, Query, QueryId, names::Source};
use crate::{Backoff, ServiceConfig};

/// Asks for a name when that is of use: no sooner than an interval after it was found, and after a back-off when it was
/// not.
#[derive(Debug)]
pub(crate) struct Polling {
    source: Source,
    interval: Duration,
    /// How old what was found may become before it is asked for again anyway.
    refresh: Option<Duration>,
    backoff: Backoff,
    state: State,
    next_id: u64,
    found: Option<(Instant, Found)>,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) endpoints: Arc<[Endpoint]>,
    pub(crate) service_config: Option<Result<Arc<ServiceConfig>, String>>,
}

/// Named for what it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Somebody who wants to know.
    Stopped,
    /// The answer.
    Asking(QueryId),
    /// The wish to know again.
    Content,
    /// The time to ask again.
    Until(Instant),
}

/// What a step has come to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Nothing,
    Ask(QueryId, Query),
    Found(Found),
    Failed(String),
}

impl Polling {
    pub(crate) fn new(source: Source, interval: Duration, refresh: Option<Duration>, backoff: Backoff) -> Polling {
        Polling { source, interval, refresh, backoff, state: State::Stopped, next_id: 0, found: None }
    }

    /// Somebody wants to know.
    pub(crate) fn start(&mut self, now: Instant) -> Outcome {
        if self.state != State::Stopped {
            return Outcome::Nothing;
        }
        match (&self.source, &self.found) {
            (Source::Fixed(endpoints), _) => {
                self.state = State::Content;
                Outcome::Found(Found { endpoints: Arc::clone(endpoints), service_config: None })
            }
            (Source::Ask(_), Some((at, found))) if now.saturating_duration_since(*at) < self.interval => {
                self.state = State::Content;
                Outcome::Found(found.clone())
            }
            (Source::Ask(_), _) => self.ask(),
        }
    }

    /// Nobody wants to know any more; the query that is to be stopped.
    pub(crate) fn stop(&mut self) -> Option<QueryId> {
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Asking(id) => Some(id),
            _ => None,
        }
    }

    /// What was found may be out of date.
    pub(crate) fn ask_again(&mut self, now: Instant) -> Outcome {
        if self.state != State::Content || matches!(self.source, Source::Fixed(_)) {
            return Outcome::Nothing;
        }
        match self.found.as_ref().map(|(at, _)| *at + self.interval) {
            Some(due) if due > now => {
                self.state = State::Until(due);
                Outcome::Nothing
            }
            _ => self.ask(),
        }
    }

    pub(crate) fn handle_answer(&mut self, id: QueryId, answer: Result<Answer, String>, now: Instant) -> Outcome {
        if self.state != State::Asking(id) {
            return Outcome::Nothing;
        }
        match answer {
            Ok(answer) if !answer.endpoints.is_empty() => {
                let found = Found { endpoints: answer.endpoints.into(), service_config: answer.service_config };
                self.found = Some((now, found.clone()));
                self.backoff.reset();
                self.state = State::Content;
                Outcome::Found(found)
            }
            Ok(_) => self.fail("no address".to_owned(), now),
            Err(why) => self.fail(why, now),
        }
    }

    /// What was found is of no use.
    pub(crate) fn reject(&mut self, now: Instant) {
        if self.state == State::Content && matches!(self.source, Source::Ask(_)) {
            self.state = State::Until(now + self.backoff.advance());
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Outcome {
        match self.state {
            State::Until(due) if due <= now => self.ask(),
            State::Content if self.poll_timeout().is_some_and(|due| due <= now) => self.ask(),
            _ => Outcome::Nothing,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Until(due) => Some(due),
            State::Content => self.found.as_ref().zip(self.refresh).map(|((at, _), refresh)| *at + refresh),
            State::Stopped | State::Asking(_) => None,
        }
    }

    fn ask(&mut self) -> Outcome {
        let Source::Ask(query) = &self.source else { return Outcome::Nothing };
        let id = QueryId(self.next_id);
        self.next_id += 1;
        self.state = State::Asking(id);
        Outcome::Ask(id, query.clone())
    }

    fn fail(&mut self, why: String, now: Instant) -> Outcome {
        self.state = State::Until(now + self.backoff.advance());
        Outcome::Failed(why)
    }
}
