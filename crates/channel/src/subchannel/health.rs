//! What servers say of their health (gRFC A17): a stream on each connection, for policies that want to know.

use std::{sync::Arc, time::Instant};

use farcall_core::{Code, Status};

use super::{Connector, Order, Share, State, Subchannels, streams::Kind};
use crate::{
    Address, Note,
    balancer::{SubchannelId, Update},
    stream::{Standing, request},
    wire,
};

const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// The stream of one connection, and what has come of it.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) stream: Standing,
    verdict: Verdict,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Verdict {
    /// The server has not said anything yet.
    Unknown,
    Healthy,
    /// Why, with the address.
    Unhealthy(Arc<str>),
}

impl Connector {
    /// What the policy of this share is to hear.
    pub(super) fn update(&self, share: &Share) -> Update {
        match (&self.state, &self.health) {
            (State::Ready { .. }, Some(watch)) if share.health => match &watch.verdict {
                Verdict::Unknown => Update::Checking,
                Verdict::Healthy => Update::Ready,
                Verdict::Unhealthy(why) => Update::Unhealthy(Arc::clone(why)),
            },
            (state, _) => state.update(),
        }
    }
}

impl Subchannels {
    /// Servers are asked for the health of this service from now on; `None`: they are not asked. What they have said of
    /// another one counts until they answer.
    pub(crate) fn check_health(&mut self, service: Option<&Arc<str>>, now: Instant) {
        if self.health_service.as_ref() == service {
            return;
        }
        self.health_service = service.cloned();
        let ready = |connector: &&Connector| matches!(connector.state, State::Ready { .. });
        let addresses: Vec<Address> =
            self.connectors.values().filter(ready).map(|connector| connector.address.clone()).collect();
        for address in addresses {
            let before = self.end_watch(&address);
            self.mind_health(&address, now);
            let Some(connector) = self.connectors.get_mut(&address) else { continue };
            let was = before.map_or(Verdict::Healthy, |watch| watch.verdict);
            match &mut connector.health {
                Some(watch) => watch.verdict = was,
                None if was != Verdict::Healthy => self.tell_health(&address),
                None => {}
            }
            self.set_timer(&address, now);
        }
    }

    /// Begins or ends the stream of an address, as its connection comes and goes and with it those who want to know.
    pub(super) fn mind_health(&mut self, address: &Address, now: Instant) {
        let Some(connector) = self.connectors.get(address) else { return };
        let wants = |id: &SubchannelId| self.share(*id).is_some_and(|share| share.health);
        let wanted = self.health_service.is_some()
            && matches!(connector.state, State::Ready { .. })
            && connector.users.iter().any(wants);
        if !wanted {
            self.end_watch(address);
        } else if connector.health.is_none() {
            let stream = Standing::new(self.backoff.fresh(self.random.next()), now);
            if let Some(connector) = self.connectors.get_mut(address) {
                connector.health = Some(Watch { stream, verdict: Verdict::Unknown });
            }
            self.open_watch(address, now);
        }
    }

    /// The time may have come to ask again.
    pub(super) fn retry_health(&mut self, address: &Address, now: Instant) {
        let watch = self.connectors.get_mut(address).and_then(|connector| connector.health.as_mut());
        if let Some(watch) = watch.filter(|watch| watch.stream.is_due(now)) {
            watch.verdict = Verdict::Unknown;
            self.open_watch(address, now);
            self.tell_health(address);
        }
    }

    fn open_watch(&mut self, address: &Address, now: Instant) {
        let Some(service) = self.health_service.clone() else { return };
        let Some(connector) = self.connectors.get(address) else { return };
        let Some(dial) = connector.connection() else { return };
        let id = self.open_stream(address, dial, Kind::Health, request(WATCH, wire::health_request(&service)));
        if let Some(watch) = self.connectors.get_mut(address).and_then(|connector| connector.health.as_mut()) {
            watch.stream.open(id, now);
        }
    }

    fn end_watch(&mut self, address: &Address) -> Option<Watch> {
        let watch = self.connectors.get_mut(address)?.health.take()?;
        self.cancel(watch.stream.id());
        Some(watch)
    }

    pub(super) fn handle_health(&mut self, address: &Address, message: &[u8], now: Instant) {
        let before = self.verdict(address);
        self.judge(address, message, now);
        if self.verdict(address) != before {
            self.tell_health(address);
        }
    }

    pub(super) fn handle_health_ended(&mut self, address: &Address, status: &Status, now: Instant) {
        let before = self.verdict(address);
        self.handle_watch_ended(address, status, now);
        if self.verdict(address) != before {
            self.tell_health(address);
        }
    }

    fn verdict(&self, address: &Address) -> Option<Verdict> {
        self.connectors.get(address)?.health.as_ref().map(|watch| watch.verdict.clone())
    }

    fn judge(&mut self, address: &Address, message: &[u8], now: Instant) {
        let serving = wire::is_serving(message);
        let Some(watch) = self.connectors.get_mut(address).and_then(|connector| connector.health.as_mut()) else {
            return;
        };
        let unhealthy = |why: &str| Verdict::Unhealthy(format!("UNAVAILABLE: {address}: {why}").into());
        let (verdict, goes_on) = match serving {
            None => (unhealthy("cannot parse health check response"), false),
            Some(_) if !watch.stream.answered(now) => {
                (unhealthy("more than 100 health check responses in a second"), false)
            }
            Some(true) => (Verdict::Healthy, true),
            Some(false) => (unhealthy("backend unhealthy"), true),
        };
        watch.verdict = verdict;
        if !goes_on {
            let id = watch.stream.id();
            watch.stream.ended(now);
            self.cancel(id);
        }
    }

    fn handle_watch_ended(&mut self, address: &Address, status: &Status, now: Instant) {
        let Some(connector) = self.connectors.get_mut(address) else { return };
        let Some(watch) = &mut connector.health else { return };
        if status.code == Code::Unimplemented {
            watch.verdict = Verdict::Healthy;
            watch.stream.give_up();
            if !std::mem::replace(&mut connector.health_noted, true) {
                self.orders.push(Order::Note(Note::NoHealthService(address.clone())));
            }
        } else if watch.stream.ended(now) {
            watch.verdict = Verdict::Unknown;
            self.open_watch(address, now);
        } else {
            let why = format!("health check call failed; will retry after backoff: {status}");
            watch.verdict = Verdict::Unhealthy(format!("UNAVAILABLE: {address}: {why}").into());
        }
    }

    /// Tells those who want to know.
    fn tell_health(&mut self, address: &Address) {
        let Some(connector) = self.connectors.get(address) else { return };
        let wants = |id: &SubchannelId| self.share(*id).is_some_and(|share| share.health);
        let those: Vec<SubchannelId> = connector.users.iter().copied().filter(wants).collect();
        those.into_iter().for_each(|id| self.tell(id));
    }
}
