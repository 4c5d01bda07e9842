//! What a connection does by the clock alone: it asks whether the peer is there, and goes when it is idle or old.

use std::time::{Duration, Instant};

use farcall_core::{Code, Status};

use super::Connection;
use crate::{
    ConnectionError,
    error::ErrorCode,
    frame::Ping,
    goaway::Local,
    keepalive::{self, TOO_MANY_PINGS, Verdict},
    lifetime::Due,
};

/// A connection that has been quiet for this long gives back memory that it only keeps for speed.
pub(super) const TICK: Duration = Duration::from_secs(1);

impl Connection {
    pub(super) fn keep_up(&mut self, now: Instant) {
        if self.tick_due.take_if(|due| *due <= now).is_some() {
            self.tick(now);
        }
        self.ask_again(now);
        match self.keepalive.handle_timeout(self.is_worth_keeping(), &self.config, now) {
            Verdict::Fine => {}
            Verdict::Ask => self.transmit.small(|out| Ping { payload: keepalive::PAYLOAD, ack: false }.encode(out)),
            Verdict::Dead => {
                let error = ConnectionError::TimedOut("keepalive watchdog timeout");
                let status = Status::new(Code::Unavailable, format!("Stream removed ({error})"));
                return self.lose_transport(error, &status);
            }
        }
        while self.error.is_none()
            && let Some((at, due)) = self.next_of_lifetime()
            && at <= now
        {
            self.meet(due, now);
        }
    }

    fn meet(&mut self, due: Due, now: Instant) {
        match due {
            Due::MaxIdle => self.drain(b"max_idle", now),
            Due::MaxAge => {
                self.lifetime.begin_grace(self.config.max_connection_age_grace, now);
                self.drain(b"max_age", now);
            }
            Due::GraceOver => {
                let status = Status::new(Code::Unavailable, "Stream removed (max_age)");
                self.close(ErrorCode::NO_ERROR, "max_age", &status, now);
            }
            Due::SettingsOverdue => {
                self.fail(ErrorCode::SETTINGS_TIMEOUT, "SETTINGS were not acknowledged in time");
            }
        }
    }

    pub(super) fn upkeep_timeout(&self) -> Option<Instant> {
        let keepalive = self.keepalive.timeout(self.is_worth_keeping());
        let lifetime = self.next_of_lifetime().map(|(at, _)| at);
        [keepalive, lifetime, self.tick_due, self.account.timeout()].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Instant) {
        let busy = std::mem::take(&mut self.busy);
        let ends =
            self.is_within_frame().then(|| self.begun_at.checked_add(self.config.limits.frame_timeout)).flatten();
        if ends.is_some_and(|at| at <= now) && (busy || std::mem::replace(&mut self.overdue, true)) {
            return self.fail(ErrorCode::ENHANCE_YOUR_CALM, "a frame that was begun and not finished in time");
        }
        self.overdue &= !busy && ends.is_some();
        if busy {
            self.arena.tick();
            self.tick_due = Some(now + TICK);
        } else {
            self.slim();
            // Once its time is up, the hands may still have to read what came while they were busy with other things.
            self.tick_due = ends.map(|at| at.max(now + TICK));
        }
    }

    /// Gives back what is only kept for speed: buffers, room in queues, compressors. What a connection without calls has
    /// after this is most of what thousands of them cost.
    pub(super) fn slim(&mut self) {
        self.inbox.slim();
        self.arena.slim();
        self.transmit.slim();
        self.store.slim();
        self.scheduler.slim();
        self.codecs = None;
        self.blocks.slim();
        self.events.shrink_to_fit();
        self.answered.shrink_to_fit();
        self.waiting.shrink_to_fit();
        self.admission.slim();
        self.gated.shrink_to_fit();
        self.account.slim();
    }

    fn next_of_lifetime(&self) -> Option<(Instant, Due)> {
        self.lifetime.next(self.calls(), self.going_away.local == Local::Staying)
    }

    /// Whether it matters if the peer is still there.
    fn is_worth_keeping(&self) -> bool {
        self.calls() > 0 || self.config.keepalive_without_calls
    }

    /// HEADERS or DATA go out.
    pub(super) fn note_data_sent(&mut self) {
        self.keepalive.data_sent();
        self.strikes.data_sent();
    }

    /// The [`keepalive_time`](crate::Config::keepalive_time) that the next connection to this peer should have: twice
    /// this one's once the peer has said that these were too many PINGs.
    pub fn next_keepalive_time(&self) -> Option<Duration> {
        let time = self.config.keepalive_time?;
        let scolded =
            self.going_away.peer.as_ref().is_some_and(|peer| {
                peer.code == ErrorCode::ENHANCE_YOUR_CALM && peer.debug == TOO_MANY_PINGS.as_bytes()
            });
        Some(if scolded { time.saturating_mul(2) } else { time })
    }
}
