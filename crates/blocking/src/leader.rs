//! Leader and followers: of the threads that wait for calls on one connection, one reads it for all.
//!
//! The leader polls the socket, reads, steps the brain and tells each call what came; the others are parked. When the
//! leader's own call is done it leaves: the first follower takes over; if none waits, or a crowd, the reactor does.

use std::{
    io,
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use farcall_system::socket::Socket;

use crate::{
    call::{Call, CallState, Waited},
    connection::{Connection, Keeper, Ready, State},
};

/// How long a leader polls at most when it cannot be woken (no descriptor was to be had).
const DEAF_SLICE: Duration = Duration::from_millis(100);

/// A thread that waits while another leads.
pub(crate) struct Follower {
    call: Arc<Call>,
    promoted: AtomicBool,
}

impl Follower {
    /// Tells the thread to take over.
    pub(crate) fn promote(&self) {
        // Under the call's lock, so that the thread cannot miss it between its check and its sleep.
        self.call.update(|_| self.promoted.store(true, Ordering::Relaxed));
    }
}

/// Waits for `call`, which is on `connection`, until `done`.
pub(crate) fn wait(
    connection: &Arc<Connection>,
    call: &Arc<Call>,
    until: Option<Instant>,
    done: &dyn Fn(&CallState) -> bool,
) -> Waited {
    // A call may also leave the connection, to start over on another.
    let done = |state: &CallState| done(state) || !state.is_on(connection);
    let mut state = connection.lock();
    loop {
        // Events are told under the connection's lock: what is not here yet will be seen by whoever leads.
        if done(&call.lock()) || state.is_over() {
            return Waited::Done;
        }
        if state.keeper != Keeper::Leader && !(state.keeper == Keeper::Reactor && state.is_crowded()) {
            return lead(connection, state, call, until, &done);
        }
        let me = Arc::new(Follower { call: Arc::clone(call), promoted: AtomicBool::new(false) });
        state.followers.push_back(Arc::clone(&me));
        drop(state);
        let waited = call.park(call.lock(), until, &|state| done(state) || me.promoted.load(Ordering::Relaxed));
        state = connection.lock();
        state.followers.retain(|other| !Arc::ptr_eq(other, &me));
        let leaving = waited == Waited::TimedOut || done(&call.lock());
        if leaving {
            if state.keeper == Keeper::Promised && me.promoted.load(Ordering::Relaxed) {
                // Promoted at the last moment: somebody else must take over.
                connection.leave(state);
            }
            return waited;
        }
    }
}

/// Waits for `call`, which a server has on `connection` and no other, until `done`; `None` where the reactor goes on
/// reading, and the thread had better park.
pub(crate) fn wait_alone(
    connection: &Arc<Connection>,
    call: &Arc<Call>,
    until: Option<Instant>,
    done: &dyn Fn(&CallState) -> bool,
) -> Option<Waited> {
    let state = connection.lock();
    if done(&call.lock()) || state.is_over() {
        return Some(Waited::Done);
    }
    let alone = state.keeper == Keeper::Reactor && state.engine.calls() == 1;
    alone.then(|| lead(connection, state, call, until, done))
}

fn lead<'a>(
    connection: &'a Arc<Connection>,
    mut state: MutexGuard<'a, State>,
    call: &Arc<Call>,
    until: Option<Instant>,
    done: &dyn Fn(&CallState) -> bool,
) -> Waited {
    connection.take_over(&mut state);
    let waited = loop {
        if done(&call.lock()) || state.is_over() {
            break Waited::Done;
        }
        let now = Instant::now();
        if until.is_some_and(|until| until <= now) {
            break Waited::TimedOut;
        }
        let timer = state.engine.poll_timeout();
        if timer.is_some_and(|timer| timer <= now) {
            state.engine.handle_timeout(now);
            drop(connection.settle_and_tell(state, now));
            connection.look_after_memory();
            state = connection.lock();
            continue;
        }
        let wake_at = [until, timer].into_iter().flatten().min();
        state.armed = timer;
        let blocked = state.blocked;
        drop(state);
        let ready = poll(&connection.socket, blocked, connection.alarm(), wake_at.map(|at| at - now));
        state = connection.lock();
        match ready {
            Ok(ready) => {
                if ready.writable {
                    state.blocked = false;
                }
                let now = Instant::now();
                let mut notices = Vec::new();
                if ready.readable {
                    connection.read(&mut state, false, now, &mut notices);
                }
                state = connection.settle_and_tell_after(state, now, notices);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => break Waited::Interrupted,
            Err(error) => {
                let now = Instant::now();
                state.engine.handle_transport_closed(&error.to_string(), now);
                state = connection.settle_and_tell(state, now);
            }
        }
    };
    connection.leave(state);
    waited
}

/// Waits until the socket is ready, the alarm rings, or the time is up.
fn poll(socket: &Socket, write: bool, alarm: Option<&Alarm>, timeout: Option<Duration>) -> io::Result<Ready> {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let interest = if write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let socket = PollFd::new(socket.handle(), interest);
    let (timeout, mut fds, count) = match alarm {
        Some(alarm) => (timeout, [socket, PollFd::new(alarm.descriptor(), PollFlags::IN)], 2),
        None => (Some(timeout.unwrap_or(DEAF_SLICE).min(DEAF_SLICE)), [socket.clone(), socket], 1),
    };
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    rustix::event::poll(&mut fds[..count], timeout.as_ref())?;
    if let (Some(alarm), true) = (alarm, !fds[1].revents().is_empty()) {
        alarm.quiet();
    }
    let happened = fds[0].revents();
    Ok(Ready {
        readable: happened.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
        writable: happened.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR),
        // Polling tells of the end as long as it has not been read.
        ended: false,
    })
}

pub(crate) use alarm::Alarm;

/// What wakes a leader out of its poll.
#[cfg(target_os = "linux")]
mod alarm {
    use std::{io, os::fd::OwnedFd};

    use rustix::event::{EventfdFlags, eventfd};

    pub(crate) struct Alarm(OwnedFd);

    impl Alarm {
        pub(crate) fn new() -> io::Result<Alarm> {
            Ok(Alarm(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
        }

        pub(crate) fn ring(&self) {
            // It can only fail for a counter that is full, and then it rings already.
            let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
        }

        pub(crate) fn quiet(&self) {
            let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
        }

        pub(crate) fn descriptor(&self) -> &OwnedFd {
            &self.0
        }
    }
}

/// What wakes a leader out of its poll: a pipe that holds at most one byte, so that no end of it ever blocks.
#[cfg(all(unix, not(target_os = "linux")))]
mod alarm {
    use std::{
        io::{self, PipeReader, PipeWriter, Read, Write},
        sync::atomic::{AtomicBool, Ordering},
    };

    pub(crate) struct Alarm {
        reader: PipeReader,
        writer: PipeWriter,
        ringing: AtomicBool,
    }

    impl Alarm {
        pub(crate) fn new() -> io::Result<Alarm> {
            let (reader, writer) = io::pipe()?;
            Ok(Alarm { reader, writer, ringing: AtomicBool::new(false) })
        }

        pub(crate) fn ring(&self) {
            if !self.ringing.swap(true, Ordering::SeqCst) {
                let _ = (&self.writer).write(&[1]);
            }
        }

        pub(crate) fn quiet(&self) {
            let _ = (&self.reader).read(&mut [0]);
            self.ringing.store(false, Ordering::SeqCst);
        }

        pub(crate) fn descriptor(&self) -> &PipeReader {
            &self.reader
        }
    }
}
