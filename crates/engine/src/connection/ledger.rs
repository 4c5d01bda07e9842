//! The books of a connection, for checkers that hold both ends' against each other.

use super::Connection;

/// What one end may send and take, to the byte, and what else it keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ledger {
    /// The peer has acknowledged this end's SETTINGS: before that the windows of streams are not agreed on.
    pub settings_acknowledged: bool,
    /// What this end may send on the connection.
    pub send_window: i64,
    /// What the peer may send on the connection.
    pub credit: i64,
    /// What the peer has sent on the connection and was not given room for again.
    pub owed: i64,
    /// The streams on which this end may send, by id, and how much.
    pub sending: Vec<(u32, i64)>,
    /// The streams on which the peer may send, by id, and how much.
    pub receiving: Vec<(u32, i64)>,
    /// What was given to streams beyond their initial windows: as windows, for messages larger than those, and how many
    /// of these somebody waits for.
    pub given: (usize, usize, usize),
    /// Bytes of messages that the application holds.
    pub unread: usize,
    /// Bytes of messages that the application has taken and is not done with.
    pub in_hand: usize,
    /// Events, turns and answers that wait, and calls that wait for a stream.
    pub queued: usize,
}

impl Connection {
    /// The books as they stand.
    pub fn ledger(&self) -> Ledger {
        let streams = || self.store.iter().filter(|stream| stream.id != 0);
        let sending = streams().filter(|stream| stream.state.local_may_send());
        let receiving = streams().filter(|stream| stream.state.remote_may_send());
        Ledger {
            settings_acknowledged: self.settings_acknowledged,
            send_window: self.send_window.balance(),
            credit: self.receive_window.credit(),
            owed: self.receive_window.held(),
            sending: sending.map(|stream| (stream.id, stream.send_window.balance())).collect(),
            receiving: receiving.map(|stream| (stream.id, stream.receive_window.credit())).collect(),
            given: self.admission.given(),
            unread: self.unread,
            in_hand: self.account.ledger().0,
            queued: self.admission.len()
                + self.account.ledger().1
                + self.events.len()
                + self.scheduler.len()
                + self.answered.len()
                + self.waiting.len(),
        }
    }
}
