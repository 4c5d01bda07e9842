//! One bound on the memory for messages of many connections: those of a server, or of a whole process.

mod system;

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Connections charge in steps of this many bytes, or of a thousandth of a small budget: what a connection has below one
/// step costs nobody else's cache line anything, and is not counted.
const QUANTUM: usize = 64 << 10;
const QUANTA: usize = 1 << 10;

/// How long a message that is let in past a full budget keeps others from it, unless it is done with before. Then one
/// more may come: who holds it may need another message to go on.
const TURN: Duration = Duration::from_millis(100);

/// How long a connection that waits for room waits before it asks again, and how many may do so without waiting longer.
const RETRY: Duration = Duration::from_millis(20);
const WAITING_AT_EASE: usize = 16;

/// The bytes of messages that all connections with the same budget
/// ([`Config::budget`](crate::Config::budget)) may have together.
///
/// A message counts from the first byte that came of it until the application is done with it: until it was
/// [released](crate::Connection::release), or, [taken](crate::Connection::take_many), until the call takes its next one
/// or ends. What streams were given beyond their initial windows counts, too, whether or not it was used, for windows
/// and for large messages.
///
/// As it fills, windows become smaller, then large messages wait in line and compressed ones stay compressed; but when
/// no more may come, one always may, so that all goes on, one after the other. So it is overdrawn only by messages within the
/// initial windows of many streams. By an eighth of it, and 8 MiB: then new streams are refused (REFUSED_STREAM) of
/// connections with more than 1 MiB, and a 256th of it, of such messages. By twice as much: then a connection
/// ends (ENHANCE_YOUR_CALM) that has 8 MiB, and an eighth of it, of them. Nobody else pays.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    /// Bytes that are there.
    used: AtomicUsize,
    /// Those, and what may still come.
    promised: AtomicUsize,
    /// Until when the message that was let in past the limit keeps others out, in microseconds since `begun`.
    turn: AtomicU64,
    begun: OnceLock<Instant>,
    /// Connections that wait for room.
    waiting: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Budget {
        Budget {
            limit,
            used: AtomicUsize::new(0),
            promised: AtomicUsize::new(0),
            turn: AtomicU64::new(0),
            begun: OnceLock::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A budget for all of a process: half of the memory that there is for it, by what Linux says in files. That is the
    /// least of the machine's, of the limits of its control groups, and of its address space (`ulimit -v`); 1 GiB where
    /// none is known. `read` reads a file, if there is one.
    pub fn of_process(read: impl Fn(&str) -> Option<String>) -> Budget {
        Budget::new(system::half_of_memory(read))
    }

    /// How many bytes there may be.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many there are, give or take 64 KiB for each connection.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// How many there are and may still come because windows are open for them, give or take 64 KiB for each connection.
    pub fn promised(&self) -> usize {
        self.promised.load(Relaxed)
    }

    /// In what steps connections charge.
    pub(crate) fn quantum(&self) -> usize {
        (self.limit / QUANTA).clamp(1, QUANTUM)
    }

    /// A connection has charged `before` and charges `now` from now on.
    pub(crate) fn charge(&self, before: Charge, now: Charge) {
        let change = |counter: &AtomicUsize, before: usize, now: usize| {
            // Wraps around for less, as the sum of all charges never is below nothing.
            counter.fetch_add(now.wrapping_sub(before), Relaxed);
        };
        change(&self.used, before.used, now.used);
        change(&self.promised, before.promised, now.promised);
    }

    /// Lets one message in past the limit, unless another was let in a moment ago.
    pub(crate) fn take_turn(&self, now: Instant) -> Option<Turn> {
        let now = self.micros(now);
        let until = self.turn.load(Relaxed);
        if until > now {
            return None;
        }
        let turn = now + TURN.as_micros() as u64;
        self.turn.compare_exchange(until, turn, Relaxed, Relaxed).is_ok().then_some(Turn(turn))
    }

    /// Whether [`take_turn`](Budget::take_turn) would.
    pub(crate) fn has_turn(&self, now: Instant) -> bool {
        self.turn.load(Relaxed) <= self.micros(now)
    }

    /// Its message is done with.
    pub(crate) fn end_turn(&self, Turn(turn): Turn) {
        // Another has come after its time, or not.
        let _ = self.turn.compare_exchange(turn, 0, Relaxed, Relaxed);
    }

    /// A connection begins to wait for room, or ends to.
    pub(crate) fn wait(&self, begins: bool) {
        if begins {
            self.waiting.fetch_add(1, Relaxed);
        } else {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// How long a connection that waits for room leaves it to others before it asks again: all of them together ask so often
    /// that it costs little, however many they are.
    pub(crate) fn retry(&self) -> Duration {
        let crowd = 1 + self.waiting.load(Relaxed) / WAITING_AT_EASE;
        RETRY * u32::try_from(crowd).unwrap_or(u32::MAX).min(1_000)
    }

    /// Whether other connections wait for room beside one that does or does not.
    pub(crate) fn is_wanted(&self, waits: bool) -> bool {
        self.waiting.load(Relaxed) > usize::from(waits)
    }

    fn micros(&self, now: Instant) -> u64 {
        // Not before 1, for 0 is no turn.
        now.saturating_duration_since(*self.begun.get_or_init(|| now)).as_micros() as u64 + 1
    }
}

/// What one connection has charged, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Charge {
    pub(crate) used: usize,
    pub(crate) promised: usize,
}

impl Charge {
    /// In whole steps.
    pub(crate) fn rounded(self, quantum: usize) -> Charge {
        Charge { used: self.used / quantum * quantum, promised: self.promised / quantum * quantum }
    }
}

/// A message that was let in past the limit.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Turn(u64);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Budget, Charge, QUANTUM, RETRY, TURN, WAITING_AT_EASE};

    #[test]
    fn adds_up_what_all_have_charged_and_gives_it_back() {
        let budget = Budget::new(1 << 30);
        let (one, other) = (Charge { used: 5, promised: 7 }, Charge { used: 50, promised: 70 });
        budget.charge(Charge::default(), one);
        budget.charge(Charge::default(), other);
        assert_eq!((budget.used(), budget.promised()), (55, 77));
        budget.charge(other, one);
        assert_eq!((budget.used(), budget.promised()), (10, 14));
        budget.charge(one, Charge::default());
        budget.charge(one, Charge::default());
        assert_eq!((budget.used(), budget.promised()), (0, 0));
    }

    #[test]
    fn charges_in_steps_that_are_small_in_a_small_budget() {
        assert_eq!(Budget::new(1 << 30).quantum(), QUANTUM);
        assert_eq!(Budget::new(64 << 20).quantum(), QUANTUM);
        assert_eq!(Budget::new(1 << 20).quantum(), 1 << 10);
        assert_eq!(Budget::new(0).quantum(), 1);
        assert_eq!(Charge { used: 199, promised: 200 }.rounded(100), Charge { used: 100, promised: 200 });
    }

    #[test]
    fn one_message_at_a_time_is_let_in_past_the_limit() {
        let (budget, now) = (Budget::new(1), Instant::now());
        let turn = budget.take_turn(now).unwrap();
        assert!(!budget.has_turn(now));
        assert_eq!(budget.take_turn(now), None);
        budget.end_turn(turn);
        let late = budget.take_turn(now).unwrap();
        let almost = now + TURN - std::time::Duration::from_micros(1);
        assert_eq!(budget.take_turn(almost), None, "not done with");
        let next = budget.take_turn(now + TURN).unwrap();
        budget.end_turn(late);
        assert_eq!(budget.take_turn(now + TURN), None, "its time was over, and another's is not");
        budget.end_turn(next);
        assert!(budget.has_turn(now + TURN));
    }

    #[test]
    fn the_more_wait_the_longer_they_do() {
        let budget = Budget::new(1);
        assert!(!budget.is_wanted(false));
        budget.wait(true);
        assert_eq!((budget.is_wanted(true), budget.is_wanted(false)), (false, true));
        for _ in 1..WAITING_AT_EASE - 1 {
            budget.wait(true);
        }
        assert_eq!(budget.retry(), RETRY);
        budget.wait(true);
        assert_eq!(budget.retry(), 2 * RETRY);
        budget.wait(false);
        assert_eq!(budget.retry(), RETRY);
    }
}
