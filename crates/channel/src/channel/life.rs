//! What a channel knows of its names, and whether it is used.

use std::sync::Arc;

use farcall_core::{Code, Status};

use super::{Channel, Idle, Phase};
use crate::{
    Action, Address, Discarded, Note, ServiceConfig, Throttle,
    balancer::{PickFirstConfig, PolicyConfig, Resolution},
    resolver::{Endpoint, Found, Outcome},
};

/// How often a resolver may find something else at one time, because policies want it to look again.
const MOST_ROUNDS: usize = 16;

impl<C: Clone, K> Channel<C, K> {
    /// Leaves IDLE.
    pub(super) fn start(&mut self) {
        self.phase = Phase::Active;
        self.stale = true;
        self.look_for_idleness();
        self.names.start(self.now);
        self.resolved();
        self.settle();
    }

    /// Does what the resolver has asked for, and what comes of that, up to a bound: what is left then is for
    /// [`handle_timeout`](Channel::handle_timeout), which is due at once.
    pub(super) fn resolved(&mut self) {
        if std::mem::replace(&mut self.resolving, true) {
            return;
        }
        for _ in 0..MOST_ROUNDS {
            let mut is_new = false;
            while let Some(outcome) = self.names.poll() {
                is_new |= matches!(outcome, Outcome::Found(_) | Outcome::Failed(_));
                self.follow(outcome);
            }
            if !is_new {
                break;
            }
            self.settle();
        }
        self.resolving = false;
    }

    fn follow(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ask(id, query) => self.actions.push_back(Action::Resolve(id, query)),
            Outcome::Stop(id) => self.actions.push_back(Action::StopResolving(id)),
            Outcome::Note(text) => self.actions.push_back(Action::Note(Note::Resolver(text))),
            Outcome::Found(found) => self.balance(found),
            Outcome::Failed(why) => self.fail(why),
        }
    }

    /// Nothing is to be balanced; what was found before still counts.
    pub(super) fn fail(&mut self, text: String) {
        if self.tree.state().is_none() {
            // One that fails as soon as it leaves IDLE has been CONNECTING.
            self.report(self.state());
            self.failure = Some(Arc::new(Status::new(Code::Unavailable, text)));
            self.stale = true;
        }
    }

    pub(super) fn balance(&mut self, found: Found) {
        let Found { mut endpoints, service_config, selector } = found;
        match service_config {
            None => self.replace_config(Arc::clone(&self.config.service_config)),
            Some(Ok(config)) => self.replace_config(config),
            Some(Err(why)) if !self.accepted => {
                self.names.reject(&why, self.now);
                return self.fail(why);
            }
            Some(Err(why)) => self.actions.push_back(Action::Note(Note::InvalidServiceConfig(why))),
        }
        let used = self.config.limits.addresses;
        let found = endpoints.iter().map(|endpoint| endpoint.addresses.len()).sum();
        if found > used {
            self.actions.push_back(Action::Note(Note::TooManyAddresses { found, used }));
            endpoints = first(&endpoints, used);
        }
        let chosen = self.service_config.load_balancing.as_ref().or(self.config.policy.as_ref());
        let config: Arc<dyn PolicyConfig> =
            chosen.map_or_else(|| Arc::new(PickFirstConfig::default()) as Arc<dyn PolicyConfig>, Arc::clone);
        self.accepted = true;
        if let Some(old) = std::mem::replace(&mut self.selector, selector) {
            self.discard(old);
        }
        self.failure = None;
        self.stale = true;
        let service = self.service_config.health_service.as_ref().filter(|_| self.config.health_checks);
        self.tree.subchannels.check_health(service, self.now);
        if let Err(why) = self.tree.resolve(&Resolution { endpoints, config }, self.now) {
            self.names.reject(&why, self.now);
        }
    }

    fn replace_config(&mut self, config: Arc<ServiceConfig>) {
        if !Arc::ptr_eq(&self.service_config, &config) {
            self.throttle = Throttle::follow(self.throttle.as_ref(), config.throttling);
            let old = std::mem::replace(&mut self.service_config, config);
            self.discard(old);
        }
    }

    /// Has something dropped where no lock is held, for what it holds may be somebody else's.
    fn discard(&mut self, what: impl Send + 'static) {
        self.actions.push_back(Action::Drop(Discarded::Other(Box::new(what))));
    }

    pub(super) fn look_for_idleness(&mut self) {
        self.activity.take();
        self.idle = self.config.idle_timeout.map_or(Idle::Off, |timeout| Idle::At(self.now + timeout));
    }

    /// The time has come at which nobody may have used it.
    pub(super) fn ask_for_idleness(&mut self) {
        if self.activity.take() || self.has_waiting() {
            self.look_for_idleness();
        } else if self.connections.is_empty() {
            self.become_idle();
        } else {
            self.idle = Idle::Asking;
            self.actions.push_back(Action::AskInUse(self.connections.values().cloned().collect()));
        }
    }

    pub(super) fn become_idle(&mut self) {
        self.phase = Phase::Idle;
        self.leave();
    }

    /// Lets policies, names and connections go.
    pub(super) fn leave(&mut self) {
        self.idle = Idle::Off;
        self.failure = None;
        self.stale = true;
        self.names.stop();
        self.resolved();
        self.tree.clear(self.now);
        self.settle();
    }
}

/// So many addresses, of the first endpoints.
fn first(endpoints: &[Endpoint], mut most: usize) -> Arc<[Endpoint]> {
    let take = |endpoint: &Endpoint| {
        let addresses: Vec<Address> = endpoint.addresses.iter().take(most).cloned().collect();
        most -= addresses.len();
        let Endpoint { weight, path, hash_key, .. } = endpoint;
        let (path, hash_key) = (Arc::clone(path), hash_key.clone());
        (!addresses.is_empty()).then_some(Endpoint { addresses, weight: *weight, path, hash_key })
    };
    endpoints.iter().map_while(take).collect()
}
