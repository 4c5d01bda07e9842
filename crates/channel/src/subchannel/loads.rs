//! What servers say of their load (gRFC A51) out of band: a stream on each connection, for policies that want to know.

use std::time::{Duration, Instant};

use farcall_core::{Code, Status};

use super::{Order, Subchannels, streams::Kind};
use crate::{
    Address, Note,
    balancer::{Route, SubchannelId},
    stream::{Standing, request},
    wire,
};

const STREAM: &str = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";

/// The stream of one connection.
#[derive(Debug)]
pub(super) struct Loads {
    pub(super) stream: Standing,
    /// How often the server is asked to report.
    period: Duration,
}

impl Subchannels {
    /// Policies at this route or below want reports so often from now on; `None`: none.
    pub(super) fn report_loads(&mut self, route: Route<'_>, period: Option<Duration>, now: Instant) {
        let mut addresses: Vec<Address> = Vec::new();
        for share in self.shares.iter_mut().flatten().filter(|share| share.route.starts_with(route)) {
            if let Some(loads) = share.loads.as_mut().filter(|loads| loads.period != period) {
                loads.period = period;
                addresses.push(share.address.clone());
            }
        }
        for address in addresses {
            self.mind_loads(&address, now);
            self.set_timer(&address, now);
        }
    }

    /// How often somebody wants reports of this address, if it is connected.
    fn wanted_period(&self, address: &Address) -> Option<Duration> {
        let connector = self.connectors.get(address)?;
        connector.connection()?;
        let period = |id: &SubchannelId| self.share(*id)?.loads.as_ref()?.period;
        connector.users.iter().filter_map(period).min()
    }

    pub(super) fn mind_loads(&mut self, address: &Address, now: Instant) {
        let wanted = self.wanted_period(address);
        let Some(connector) = self.connectors.get_mut(address) else { return };
        if connector.loads.as_ref().map(|loads| loads.period) == wanted {
            return;
        }
        let ended = connector.loads.take();
        self.cancel(ended.and_then(|loads| loads.stream.id()));
        let Some(period) = wanted else { return };
        let stream = Standing::new(self.backoff.fresh(self.random.next()), now);
        if let Some(connector) = self.connectors.get_mut(address) {
            connector.loads = Some(Loads { stream, period });
        }
        self.retry_loads(address, now);
    }

    pub(super) fn retry_loads(&mut self, address: &Address, now: Instant) {
        let Some(connector) = self.connectors.get(address) else { return };
        let (Some(dial), Some(loads)) = (connector.connection(), &connector.loads) else { return };
        if !loads.stream.is_due(now) {
            return;
        }
        let request = request(STREAM, wire::load_request(loads.period));
        let id = self.open_stream(address, dial, Kind::Loads, request);
        if let Some(loads) = self.connectors.get_mut(address).and_then(|connector| connector.loads.as_mut()) {
            loads.stream.open(id, now);
        }
    }

    pub(super) fn handle_loads(&mut self, address: &Address, message: &[u8], now: Instant) {
        let Some(connector) = self.connectors.get_mut(address) else { return };
        let Some(loads) = &mut connector.loads else { return };
        if !loads.stream.answered(now) {
            let id = loads.stream.id();
            loads.stream.ended(now);
            return self.cancel(id);
        }
        let users: Vec<SubchannelId> = connector.users.iter().copied().collect();
        for id in users {
            let loads = self.share(id).and_then(|share| share.loads.as_ref());
            if let Some(loads) = loads.filter(|loads| loads.period.is_some()) {
                loads.listener.reported(message);
            }
        }
    }

    pub(super) fn handle_loads_ended(&mut self, address: &Address, status: &Status, now: Instant) {
        let Some(connector) = self.connectors.get_mut(address) else { return };
        let Some(loads) = &mut connector.loads else { return };
        loads.stream.ended(now);
        if status.code == Code::Unimplemented {
            loads.stream.give_up();
            if !std::mem::replace(&mut connector.loads_noted, true) {
                self.orders.push(Order::Note(Note::NoLoadReports(address.clone())));
            }
        } else {
            self.retry_loads(address, now);
        }
    }
}
