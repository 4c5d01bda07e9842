use std::{sync::Arc, time::Instant};

use super::{
    Answer, Found, Helper, Query, QueryId, Resolver,
    polling::{Polling, Want},
};

/// A user's resolver, which the hands ask. It answers once, or goes on for as long as it is wanted.
#[derive(Debug)]
pub(crate) struct Custom {
    target: Arc<str>,
    polling: Polling,
    found: Option<Found>,
}

impl Custom {
    pub(crate) fn new(target: &str, polling: Polling) -> Custom {
        Custom { target: target.into(), polling, found: None }
    }

    fn follow(&mut self, want: Want, helper: &mut Helper) {
        match want {
            Want::Nothing => {}
            Want::Ask => drop(helper.query(Query::Custom(Arc::clone(&self.target)))),
            Want::Repeat => self.found.iter().for_each(|found| helper.update(found.clone())),
        }
    }

    fn learn(&mut self, answer: Answer, ended: bool, helper: &mut Helper) {
        match answer {
            Answer::Found(found) => {
                self.polling.found(helper.now(), ended);
                self.found = Some(found.clone());
                helper.update(found);
            }
            Answer::Services(_) | Answer::Texts(_) => self.fail("it answered with records of the DNS", helper),
        }
    }

    fn fail(&mut self, why: &str, helper: &mut Helper) {
        self.polling.failed(helper.now());
        helper.fail(format!("errors resolving {}: [{why}]", self.target));
    }
}

impl Resolver for Custom {
    fn start(&mut self, helper: &mut Helper) {
        let want = self.polling.start(helper.now());
        self.follow(want, helper);
    }

    fn stop(&mut self) {
        self.polling.stop();
    }

    fn resolve_again(&mut self, helper: &mut Helper) {
        let want = self.polling.ask_again(helper.now());
        self.follow(want, helper);
    }

    fn handle_answer(&mut self, _: QueryId, answer: Result<Answer, String>, helper: &mut Helper) {
        match answer {
            Ok(answer) => self.learn(answer, true, helper),
            Err(why) => self.fail(&why, helper),
        }
    }

    fn handle_update(&mut self, _: QueryId, answer: Answer, helper: &mut Helper) {
        self.learn(answer, false, helper);
    }

    fn handle_rejected(&mut self, _: &str, helper: &mut Helper) {
        self.polling.rejected(helper.now());
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        let want = self.polling.handle_timeout(helper.now());
        self.follow(want, helper);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.polling.poll_timeout()
    }
}
