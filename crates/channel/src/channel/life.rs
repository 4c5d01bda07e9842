//! What a channel knows of its names, and whether it is used.

use std::sync::Arc;

use farcall_core::{Code, Status};

use super::{Channel, Idle, Phase};
use crate::{
    Action, Note,
    balancer::{PickFirstConfig, PolicyConfig, Resolution},
    resolver::{Found, Outcome},
};

impl<C: Clone, K> Channel<C, K> {
    /// Leaves IDLE.
    pub(super) fn start(&mut self) {
        self.phase = Phase::Active;
        self.stale = true;
        self.look_for_idleness();
        let outcome = self.polling.start(self.now);
        self.resolved(outcome);
        self.settle();
    }

    pub(super) fn resolved(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Nothing => return,
            Outcome::Ask(id, query) => return self.actions.push_back(Action::Resolve(id, query)),
            Outcome::Found(found) => self.balance(found),
            Outcome::Failed(why) => {
                let name = &self.names.label;
                let text = format!(
                    "errors resolving {name}: [field:hostname lookup error:address lookup failed for {name}: {why}]"
                );
                self.fail(text);
            }
        }
        self.settle();
    }

    /// Nothing is to be balanced; what was found before still counts.
    pub(super) fn fail(&mut self, text: String) {
        if self.tree.state().is_none() {
            self.failure = Some(Arc::new(Status::new(Code::Unavailable, text)));
            self.stale = true;
        }
    }

    pub(super) fn balance(&mut self, found: Found) {
        let Found { mut endpoints, service_config } = found;
        match service_config {
            None => self.service_config = Arc::clone(&self.config.service_config),
            Some(Ok(config)) => self.service_config = config,
            Some(Err(why)) if self.tree.state().is_none() => {
                self.polling.reject(self.now);
                return self.fail(why);
            }
            Some(Err(why)) => self.actions.push_back(Action::Note(Note::InvalidServiceConfig(why))),
        }
        let most = self.config.limits.addresses;
        let mut used = 0;
        let within = endpoints.iter().take_while(|endpoint| {
            used += endpoint.addresses.len();
            used <= most
        });
        let kept = within.count();
        if kept < endpoints.len() {
            let found = endpoints.iter().map(|endpoint| endpoint.addresses.len()).sum();
            self.actions.push_back(Action::Note(Note::TooManyAddresses { found, used: most }));
            endpoints = endpoints.iter().take(kept).cloned().collect();
        }
        let chosen = self.service_config.load_balancing.as_ref().or(self.config.policy.as_ref());
        let config: Arc<dyn PolicyConfig> =
            chosen.map_or_else(|| Arc::new(PickFirstConfig::default()) as Arc<dyn PolicyConfig>, Arc::clone);
        self.failure = None;
        self.stale = true;
        let service = self.service_config.health_service.as_ref().filter(|_| self.config.health_checks);
        self.tree.subchannels.check_health(service, self.now);
        if self.tree.resolve(&Resolution { endpoints, config }, self.now).is_err() {
            self.polling.reject(self.now);
        }
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
        self.actions.extend(self.polling.stop().map(Action::StopResolving));
        self.tree.clear(self.now);
        self.settle();
    }
}
