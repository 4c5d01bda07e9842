use std::{collections::VecDeque, time::Duration};

use farcall_channel::{DialId, call::AttemptId};
use fastrand::Rng;

/// Calls that a server works on at once.
const WORKERS: usize = 4;

/// How long it works on one, on average.
const WORK: f64 = 0.05;

/// How long it works on a handshake.
const HANDSHAKE: f64 = 0.002;

/// Calls that wait for a worker; one more is refused.
const WAITING: usize = 100;

#[derive(Debug)]
pub(super) struct Server {
    pub(super) up: bool,
    pub(super) cut: bool,
    pub(super) failing: bool,
    pub(super) slow: f64,
    /// How often it has stopped.
    pub(super) epoch: u32,
    busy: usize,
    queue: VecDeque<Job>,
    /// The connections that it has, and some that are gone.
    pub(super) connections: Vec<(usize, DialId)>,
    /// Calls that were finished in this second, and in the one before.
    finished: (u64, [u32; 2]),
    /// How many of the workers are busy, of late.
    utilization: f64,
}

/// What a server does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    Handshake { client: usize, dial: DialId },
    Call { call: usize, attempt: AttemptId },
}

/// What comes of a job that has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrived {
    /// It is begun, and done after this time.
    Begun(Duration),
    Waits,
    Refused,
}

impl Server {
    pub(super) fn new() -> Server {
        Server {
            up: true,
            cut: false,
            failing: false,
            slow: 1.0,
            epoch: 0,
            busy: 0,
            queue: VecDeque::new(),
            connections: Vec::new(),
            finished: (0, [0; 2]),
            utilization: 0.0,
        }
    }

    pub(super) fn arrive(&mut self, job: Job, rng: &mut Rng) -> Arrived {
        if self.failing && matches!(job, Job::Call { .. }) {
            return Arrived::Refused;
        }
        if self.busy < WORKERS {
            self.busy += 1;
            return Arrived::Begun(self.time(job, rng));
        }
        if self.queue.len() >= WAITING && matches!(job, Job::Call { .. }) {
            return Arrived::Refused;
        }
        self.queue.push_back(job);
        Arrived::Waits
    }

    /// A job is done: the next one, if it is still wanted, and how long it takes.
    pub(super) fn next(&mut self, wanted: impl Fn(Job) -> bool, rng: &mut Rng) -> Option<(Job, Duration)> {
        while let Some(job) = self.queue.pop_front() {
            if wanted(job) {
                return Some((job, self.time(job, rng)));
            }
        }
        self.busy -= 1;
        None
    }

    fn time(&self, job: Job, rng: &mut Rng) -> Duration {
        let mean = match job {
            Job::Handshake { .. } => return Duration::from_secs_f64(HANDSHAKE),
            Job::Call { .. } => WORK * self.slow,
        };
        Duration::from_secs_f64(-mean * (1.0 - rng.f64()).ln())
    }

    pub(super) fn stop(&mut self) -> Vec<(usize, DialId)> {
        (self.up, self.busy) = (false, 0);
        self.epoch += 1;
        self.queue.clear();
        std::mem::take(&mut self.connections)
    }

    pub(super) fn finished(&mut self, second: u64) {
        self.turn(second);
        self.finished.1[0] += 1;
        self.utilization += 0.1 * (self.busy as f64 / WORKERS as f64 - self.utilization);
    }

    fn turn(&mut self, second: u64) {
        let (now, [current, _]) = self.finished;
        if now != second {
            self.finished = (second, [0, if now + 1 == second { current } else { 0 }]);
        }
    }

    /// What it reports of its load (gRFC A51): `OrcaLoadReport`, with cpu_utilization and rps_fractional.
    pub(super) fn report(&mut self, second: u64) -> Vec<u8> {
        self.turn(second);
        let utilization = self.utilization;
        let rate = f64::from(self.finished.1[1]).max(1.0);
        [&[0x09][..], &utilization.to_le_bytes(), &[0x31], &rate.to_le_bytes()].concat()
    }
}
