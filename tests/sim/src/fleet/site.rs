use std::time::Duration;

use farcall_channel::{How, call::AttemptId};
use farcall_core::{Code, Metadata};

use super::{
    client::{Live, Place},
    run::{Event, Fleet, WAY},
    scenario::Change,
    server::{Arrived, Job},
};

/// How long it takes to find that nothing comes any more: keepalive's time and timeout together.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// What servers do, and what happens to them.
impl Fleet {
    pub(super) fn request(&mut self, server: usize, epoch: u32, call: usize, attempt: AttemptId) {
        let at = &self.servers[server];
        if at.cut || !at.up || at.epoch != epoch {
            return;
        }
        self.arrive(server, Job::Call { call, attempt });
    }

    pub(super) fn arrive(&mut self, server: usize, job: Job) {
        let epoch = self.servers[server].epoch;
        match (self.servers[server].arrive(job, &mut self.rng), job) {
            (Arrived::Begun(time), _) => self.at(time, Event::Worked { server, epoch, job }),
            (Arrived::Refused, Job::Call { call, attempt }) => {
                self.at(WAY, Event::Response { call, attempt, server, code: Code::Unavailable });
            }
            (Arrived::Waits | Arrived::Refused, _) => {}
        }
    }

    pub(super) fn worked(&mut self, server: usize, epoch: u32, job: Job) {
        if self.servers[server].epoch != epoch {
            return;
        }
        match job {
            Job::Handshake { client, dial } => self.at(WAY, Event::Connected { client, dial, epoch }),
            Job::Call { call, attempt } => {
                self.servers[server].finished((self.now - self.start).as_secs());
                self.at(WAY, Event::Response { call, attempt, server, code: Code::Ok });
            }
        }
        let calls = &self.calls;
        // Calls that have been cancelled, or are late, are not begun.
        let wanted = |job| match job {
            Job::Handshake { .. } => true,
            Job::Call { call, attempt } => calls[call].is_live(attempt),
        };
        if let Some((job, time)) = self.servers[server].next(wanted, &mut self.rng) {
            self.at(time, Event::Worked { server, epoch, job });
        }
    }

    pub(super) fn response(&mut self, call: usize, attempt: AttemptId, server: usize, code: Code) {
        if self.servers[server].cut || !self.calls[call].is_live(attempt) {
            return;
        }
        let client = self.calls[call].client;
        let mut place = self.calls[call].live.iter();
        if let Some(Live { place: Place::On(dial, _), .. }) = place.find(|live| live.id == attempt)
            && let Some(link) = self.clients[client].links.get_mut(dial)
        {
            link.useful = true;
        }
        let mut trailers = Metadata::new();
        if self.reports {
            let report = self.servers[server].report((self.now - self.start).as_secs());
            trailers.append("endpoint-load-metrics-bin", report).expect("legal metadata");
        }
        if code == Code::Ok {
            self.calls[call].rpc.handle_headers(attempt);
        }
        self.ended(call, attempt, code, true, &trailers);
    }

    pub(super) fn change(&mut self, server: usize, change: Change) {
        match change {
            Change::Slow(times) => self.servers[server].slow = times,
            Change::Failing(failing) => self.servers[server].failing = failing,
            Change::Start => self.servers[server].up = true,
            Change::Drain => {
                for (client, dial) in self.servers[server].connections.clone() {
                    self.at(WAY, Event::Lost { client, dial, how: How::Draining });
                }
            }
            Change::Stop => {
                for (client, dial) in self.servers[server].stop() {
                    self.at(WAY, Event::Lost { client, dial, how: How::Broken });
                }
            }
            Change::Cut(cut) => {
                self.servers[server].cut = cut;
                let gone = if cut { std::mem::take(&mut self.servers[server].connections) } else { Vec::new() };
                for (client, dial) in gone {
                    // Each begins to wait when something was last heard.
                    let after = KEEPALIVE.mul_f64(0.7 + 0.3 * self.rng.f64());
                    self.at(after, Event::Lost { client, dial, how: How::Broken });
                }
            }
        }
    }
}
