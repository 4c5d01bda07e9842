//! The connection's account with the [`Budget`] that it shares with others: what it charges, and what waits for room.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CallId, Connection};
use crate::{
    Budget, Cause, ErrorCode,
    budget::{Charge, Turn},
};

/// Windows have this part of the budget at most: the other is for large messages, which cannot do without. One window, and
/// what a connection has come to without being invited, is no larger than an eighth of what is left, or of all.
const WINDOWS: usize = 2;
const SHARE: usize = 8;

/// What holds messages back keeps the budget to its limit, and one message past it. When it is overdrawn by this part all the
/// same, and so many bytes, new streams are refused of a connection whose messages came uninvited, if they are more than a
/// part of the budget, and so many bytes.
const HIGH: usize = 8;
const HIGH_BYTES: usize = 8 << 20;
const LITTLE: usize = 256;
const LITTLE_BYTES: usize = 1 << 20;

/// When it is overdrawn by twice as much, a connection ends that has its share of that, and so many bytes.
const UNINVITED: usize = 8 << 20;

/// After this long without a wait another is worth a line to the operator.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Account {
    budget: Option<Arc<Budget>>,
    /// In what steps it charges, in bytes; without a budget never.
    quantum: usize,
    charged: Charge,
    /// Bytes of messages that the application has taken and is not done with.
    in_hand: usize,
    /// The call whose message was let in past the limit.
    turn: Option<(CallId, Turn)>,
    /// Until then the next turn is left to others, if there are any.
    yields_until: Option<Instant>,
    /// It waits for room, and asks again then.
    due: Option<Instant>,
    waited_at: Option<Instant>,
    /// Calls with a compressed message without which they do not go on, and for which there is no room. Those that have
    /// ended are skipped.
    parched: VecDeque<CallId>,
}

impl Account {
    pub(super) fn new(budget: Option<Arc<Budget>>) -> Account {
        Account {
            quantum: budget.as_ref().map_or(usize::MAX, |budget| budget.quantum()),
            budget,
            charged: Charge::default(),
            in_hand: 0,
            turn: None,
            yields_until: None,
            due: None,
            waited_at: None,
            parched: VecDeque::new(),
        }
    }

    /// The application has `now` bytes of a call's messages in hand where it had `before`.
    #[inline]
    pub(super) fn hand(&mut self, before: usize, now: usize) {
        self.in_hand = self.in_hand + now - before;
    }

    /// The application is done with what it had of a call.
    #[inline]
    pub(super) fn done(&mut self, call: CallId) {
        if self.turn.is_some() {
            self.end_turn(call);
        }
    }

    #[cold]
    fn end_turn(&mut self, call: CallId) {
        if let Some((_, turn)) = self.turn.take_if(|(owner, _)| *owner == call)
            && let Some(budget) = &self.budget
        {
            budget.end_turn(turn);
        }
    }

    pub(super) fn has_parched(&self) -> bool {
        !self.parched.is_empty()
    }

    /// When to ask for room again.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn slim(&mut self) {
        self.parched.shrink_to_fit();
    }

    /// What others have of a counter that this connection has charged with `charged`.
    fn of_others(all: usize, charged: usize) -> usize {
        // Others charge at the same time.
        all.saturating_sub(charged)
    }

    fn may_exceed(&self, budget: &Budget, now: Instant) -> bool {
        let yields = self.yields_until.is_some_and(|until| now < until) && budget.is_wanted(self.due.is_some());
        !yields && budget.has_turn(now)
    }

    fn stop_waiting(&mut self) {
        if self.due.take().is_some()
            && let Some(budget) = &self.budget
        {
            budget.wait(false);
        }
    }

    fn charge(&mut self, now: Charge) {
        if let Some(budget) = &self.budget {
            budget.charge(self.charged, now);
            self.charged = now;
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn ledger(&self) -> (usize, usize) {
        (self.in_hand, self.parched.len())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.charge(Charge::default());
        self.stop_waiting();
        if let Some((call, _)) = self.turn {
            self.end_turn(call);
        }
    }
}

/// Past the limit by so many times what nothing else reaches.
fn high_mark(limit: usize, times: usize) -> usize {
    limit.saturating_add((limit / HIGH).max(HIGH_BYTES).saturating_mul(times))
}

impl Connection {
    /// What messages take, and may come to take.
    #[inline]
    fn balance(&self) -> Charge {
        let (there, in_hand) = (self.unread + self.incomplete, self.account.in_hand);
        Charge { used: there + in_hand, promised: there.max(self.admission.given_out()) + in_hand }
    }

    /// Charges the budget with what has changed, if that is worth it.
    #[inline]
    pub(super) fn keep_books(&mut self) {
        let (balance, Account { charged, quantum, .. }) = (self.balance(), &self.account);
        if balance.used.abs_diff(charged.used).max(balance.promised.abs_diff(charged.promised)) >= *quantum {
            self.settle_account(balance);
        }
    }

    #[cold]
    fn settle_account(&mut self, balance: Charge) {
        self.account.charge(balance.rounded(self.account.quantum));
    }

    /// Bytes have come. Ends a connection of which too many came uninvited for a budget that is used up.
    #[inline]
    pub(super) fn keep_within_budget(&mut self) {
        self.keep_books();
        // What it has charged is a step behind what it has at most.
        if self.account.charged.used >= UNINVITED && self.error.is_none() {
            self.check_budget();
        }
    }

    #[cold]
    fn check_budget(&mut self) {
        let Some(budget) = &self.account.budget else { return };
        let limit = budget.limit();
        if self.used(budget) > high_mark(limit, 2) && self.overdraft() > (limit / SHARE).max(UNINVITED) {
            self.fail(ErrorCode::ENHANCE_YOUR_CALM, "memory_budget: too many messages that are not taken");
        }
    }

    /// Bytes that the budget has left for what may come; none without room, all without a budget.
    fn room(&self, budget: &Budget) -> usize {
        let others = Account::of_others(budget.promised(), self.account.charged.promised);
        budget.limit().saturating_sub(others + self.balance().promised)
    }

    fn used(&self, budget: &Budget) -> usize {
        Account::of_others(budget.used(), self.account.charged.used) + self.balance().used
    }

    /// The largest window that the budget has room for.
    pub(super) fn window_within_budget(&self) -> usize {
        let Some(budget) = &self.account.budget else { return usize::MAX };
        let limit = budget.limit();
        let left_to_others = limit - limit / WINDOWS;
        self.room(budget).saturating_sub(left_to_others) / SHARE
    }

    /// Whether a new stream is refused: the budget is overdrawn, and this connection has much that came uninvited.
    pub(super) fn is_over_budget(&self) -> bool {
        let Some(budget) = &self.account.budget else { return false };
        let limit = budget.limit();
        budget.used() > high_mark(limit, 1) && self.overdraft() > (limit / LITTLE).max(LITTLE_BYTES)
    }

    /// Whether a large message of a call that lacks so many bytes may come, where `lent` were opened for others of the
    /// connection. It leaves as much to other connections as this one has. `alone` it may come past the limit in its turn.
    pub(super) fn affords(&mut self, call: CallId, lacking: usize, lent: usize, alone: bool) -> bool {
        let Some(budget) = &self.account.budget else { return true };
        if lent + lacking <= self.room(budget) || (alone && self.exceed(call)) {
            return true;
        }
        self.wait_for_room();
        false
    }

    /// Whether compressed messages stay compressed.
    fn is_full(&self) -> bool {
        self.account.budget.as_ref().is_some_and(|budget| self.used(budget) >= budget.limit())
    }

    /// Whether a call's compressed message must wait for room. An urgent one, without which the call does not go on, may
    /// come past the limit in its turn.
    pub(super) fn must_stay_packed(&mut self, call: CallId, urgent: bool) -> bool {
        if !self.is_full() || (urgent && self.exceed(call)) {
            return false;
        }
        if urgent {
            self.account.parched.push_back(call);
            if self.account.parched.len() > 2 * self.store.len() + 16 {
                let store = &self.store;
                self.account.parched.retain(|call| store.is_live(*call));
            }
        }
        self.wait_for_room();
        true
    }

    /// The next call whose message may be decompressed now and that was held back for want of room.
    pub(super) fn next_parched(&mut self) -> Option<CallId> {
        while self.account.parched.front().is_some_and(|call| !self.store.is_live(*call)) {
            self.account.parched.pop_front();
        }
        let budget = self.account.budget.as_ref()?;
        if self.is_full() && (self.account.parched.is_empty() || !self.account.may_exceed(budget, self.clock)) {
            if !(self.account.parched.is_empty() && self.gated.is_empty()) {
                self.wait_for_room();
            }
            return None;
        }
        self.account.parched.pop_front()
    }

    /// Whether a message that nobody waits for may be decompressed as far as the budget goes.
    pub(super) fn has_room_to_unpack(&self) -> bool {
        !self.is_full()
    }

    /// Lets a message in past the limit, if it is this connection's turn.
    fn exceed(&mut self, call: CallId) -> bool {
        let (account, now) = (&mut self.account, self.clock);
        let Some(budget) = &account.budget else { return true };
        if !account.may_exceed(budget, now) {
            return false;
        }
        let Some(turn) = budget.take_turn(now) else { return false };
        account.yields_until = Some(now + 2 * budget.retry());
        account.turn = Some((call, turn));
        true
    }

    /// Something waits for room that others may give back.
    fn wait_for_room(&mut self) {
        let (account, now) = (&mut self.account, self.clock);
        let Some(budget) = &account.budget else { return };
        if account.due.is_some() {
            return;
        }
        budget.wait(true);
        account.due = Some(now + budget.retry());
        let before = account.waited_at.replace(now);
        if before.is_none_or(|before| now.saturating_duration_since(before) >= QUIET) {
            self.strike(Cause::HeldBack, "memory_budget: messages wait until others are done with");
        }
    }

    /// The time has come to ask for room again, if any was wanted.
    pub(super) fn ask_again(&mut self, now: Instant) {
        if self.account.due.is_some_and(|due| due <= now) {
            self.account.stop_waiting();
            // What waits compressed is looked at when events are polled.
            self.admit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HIGH_BYTES, high_mark};

    #[test]
    fn the_high_mark_is_a_part_of_the_limit_and_so_many_bytes() {
        for (limit, over) in [(0, HIGH_BYTES), (1 << 20, HIGH_BYTES), (64 << 20, HIGH_BYTES), (1 << 30, 128 << 20)] {
            for times in [1, 2] {
                assert_eq!(high_mark(limit, times), limit + over * times);
            }
        }
        assert_eq!(high_mark(usize::MAX, 2), usize::MAX);
    }
}
