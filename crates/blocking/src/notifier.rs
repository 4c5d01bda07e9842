//! Callbacks of a channel's calls, run in order on a thread of their own.
//!
//! They are a user's code: they may take long or make calls themselves, so neither the reactor nor a thread that
//! happens to read the connection for its own call may run them.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use farcall_system::{Callback, Host, lock};

/// How long the thread waits for more before it ends.
const LINGER: Duration = Duration::from_secs(1);

/// One channel's queue of callbacks; its thread exists only while there is something to run, and a little longer.
pub(crate) struct Notifier {
    host: Host,
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Callback>,
    running: bool,
}

impl Notifier {
    pub(crate) fn new(host: Host) -> Arc<Notifier> {
        Arc::new(Notifier { host, queue: Mutex::default(), more: Condvar::new() })
    }

    /// Runs `jobs` after those given before.
    pub(crate) fn run(self: &Arc<Self>, jobs: Vec<Callback>) {
        if jobs.is_empty() {
            return;
        }
        let mut queue = lock(&self.queue);
        queue.jobs.extend(jobs);
        if queue.running {
            self.more.notify_one();
            return;
        }
        let notifier = Arc::clone(self);
        let thread = std::thread::Builder::new().name("farcall-callbacks".to_owned());
        if thread.spawn(move || (notifier.host)(&mut || notifier.work())).is_ok() {
            queue.running = true;
            return;
        }
        // No thread to be had: late is better than never, and this thread holds no lock of ours but the queue's.
        let jobs = std::mem::take(&mut queue.jobs);
        drop(queue);
        jobs.into_iter().for_each(|job| job());
    }

    fn work(&self) {
        let mut queue = lock(&self.queue);
        loop {
            while let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = lock(&self.queue);
            }
            let (guard, waited) = self.more.wait_timeout(queue, LINGER).unwrap_or_else(PoisonError::into_inner);
            queue = guard;
            if waited.timed_out() && queue.jobs.is_empty() {
                queue.running = false;
                return;
            }
        }
    }
}
