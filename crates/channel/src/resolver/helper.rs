use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use super::{Doorbell, Found, Query, QueryId};
use crate::random::Random;

/// What a resolver may ask for, collected until it has returned.
#[derive(Debug)]
pub struct Helper {
    now: Instant,
    outcomes: VecDeque<Outcome>,
    under_way: BTreeSet<QueryId>,
    next_id: u64,
    random: Random,
    bell: Arc<Doorbell>,
}

/// One thing that was asked for.
#[derive(Debug)]
pub(crate) enum Outcome {
    Ask(QueryId, Query),
    Stop(QueryId),
    Found(Found),
    Failed(String),
    Note(String),
}

impl Helper {
    pub(crate) fn new(seed: u64, now: Instant) -> Helper {
        Helper {
            now,
            outcomes: VecDeque::new(),
            under_way: BTreeSet::new(),
            next_id: 0,
            random: Random::new(seed),
            bell: Arc::default(),
        }
    }

    pub(crate) fn at(&mut self, now: Instant) -> &mut Helper {
        self.now = now;
        self
    }

    /// The time of this step.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Random bits.
    pub fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// Rung by whoever wants [`Resolver::handle_bell`](super::Resolver::handle_bell) called.
    pub fn doorbell(&self) -> &Arc<Doorbell> {
        &self.bell
    }

    /// Has the hands look something up.
    pub fn query(&mut self, query: Query) -> QueryId {
        let id = QueryId(self.next_id);
        self.next_id += 1;
        self.under_way.insert(id);
        self.outcomes.push_back(Outcome::Ask(id, query));
        id
    }

    /// The answer to this query is of no use any more; nothing more is heard of it.
    pub fn stop(&mut self, id: QueryId) {
        if self.under_way.remove(&id) {
            self.outcomes.push_back(Outcome::Stop(id));
        }
    }

    /// This is what the target stands for from now on.
    pub fn update(&mut self, found: Found) {
        self.outcomes.push_back(Outcome::Found(found));
    }

    /// It cannot be found out, for this reason; what was found before counts. Without it calls fail with `UNAVAILABLE` and
    /// this text.
    pub fn fail(&mut self, why: String) {
        self.outcomes.push_back(Outcome::Failed(why));
    }

    /// Something that people should know.
    pub(crate) fn note(&mut self, text: String) {
        self.outcomes.push_back(Outcome::Note(text));
    }

    pub(crate) fn stop_all(&mut self) {
        let all = std::mem::take(&mut self.under_way);
        self.outcomes.clear();
        self.outcomes.extend(all.into_iter().map(Outcome::Stop));
    }

    /// Whether this query is under way, and whether this is its last answer.
    pub(crate) fn hears(&mut self, id: QueryId, last: bool) -> bool {
        if last { self.under_way.remove(&id) } else { self.under_way.contains(&id) }
    }

    /// When what is left to do was asked for.
    pub(crate) fn left_since(&self) -> Option<Instant> {
        (!self.outcomes.is_empty()).then_some(self.now)
    }

    pub(crate) fn poll(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }
}
