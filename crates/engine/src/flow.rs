//! Flow control (RFC 9113 5.2), the arithmetic of both directions.

use crate::{
    error::ErrorCode,
    frame::{DEFAULT_WINDOW, MAX_U31},
};

/// What this side may send: a stream's window or the connection's. SETTINGS can make it negative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SendWindow(i64);

/// A window would pass 2^31-1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overflow;

impl SendWindow {
    pub(crate) fn new(initial: u32) -> SendWindow {
        SendWindow(i64::from(initial))
    }

    pub(crate) fn available(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// The window as it is, below nothing too.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn balance(self) -> i64 {
        self.0
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.0 -= count as i64;
    }

    /// WINDOW_UPDATE, or a change of SETTINGS_INITIAL_WINDOW_SIZE, which can be negative.
    pub(crate) fn shift(&mut self, by: i64) -> Result<(), Overflow> {
        let next = self.0 + by;
        if next > i64::from(MAX_U31) {
            return Err(Overflow);
        }
        self.0 = next;
        Ok(())
    }
}

/// What the peer may send: a stream's window or the connection's.
///
/// Bytes come in (`receive`), are used up (`release`), and are announced again once half the window has been.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReceiveWindow {
    /// What the peer may still send; negative while SETTINGS that made it smaller are under way.
    credit: i64,
    /// Used up but not announced yet; negative when more than the window was announced (for a message larger than it).
    unannounced: i64,
    /// How much larger the window has become than it was at its start.
    grown: u32,
}

impl ReceiveWindow {
    pub(crate) fn new(initial: u32) -> ReceiveWindow {
        ReceiveWindow { credit: i64::from(initial), unannounced: 0, grown: 0 }
    }

    /// # Errors
    /// The peer sent more than it may: FLOW_CONTROL_ERROR, of the stream or of the connection.
    pub(crate) fn receive(&mut self, count: u32) -> Result<(), ErrorCode> {
        let left = self.credit - i64::from(count);
        if left < 0 && count > 0 {
            return Err(ErrorCode::FLOW_CONTROL_ERROR);
        }
        self.credit = left;
        Ok(())
    }

    /// Gives bytes back; what to announce now, if it is worth a frame: half of `window`.
    pub(crate) fn release(&mut self, count: usize, window: u32) -> Option<u32> {
        self.unannounced += count as i64;
        if self.unannounced == 0 || self.unannounced < i64::from(window / 2) {
            return None;
        }
        let announced = self.unannounced;
        self.announce(announced)
    }

    /// The window is now larger by `grown` than at its start, if it was not already: the difference goes out with the
    /// next [`release`](ReceiveWindow::release).
    pub(crate) fn grow(&mut self, grown: u32) {
        self.unannounced += i64::from(grown.saturating_sub(self.grown));
        self.grown = self.grown.max(grown);
    }

    /// Makes sure that `count` more bytes may come, whatever the window: what to announce now for that.
    pub(crate) fn require(&mut self, count: usize) -> Option<u32> {
        let missing = count as i64 - self.credit;
        if missing <= 0 { None } else { self.announce(missing) }
    }

    fn announce(&mut self, increment: i64) -> Option<u32> {
        let increment = increment.min(i64::from(MAX_U31) - self.credit);
        if increment <= 0 {
            return None;
        }
        self.credit += increment;
        self.unannounced -= increment;
        u32::try_from(increment).ok()
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn credit(&self) -> i64 {
        self.credit
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn owed(&self) -> i64 {
        self.unannounced - i64::from(self.grown)
    }

    /// The peer has acknowledged SETTINGS that replace the default window by this one.
    pub(crate) fn settings_acknowledged(&mut self, initial: u32) {
        self.credit += i64::from(initial) - i64::from(DEFAULT_WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::{Overflow, ReceiveWindow, SendWindow};
    use crate::{error::ErrorCode, frame::MAX_U31};

    #[test]
    fn send_window_goes_negative_and_never_over_the_top() {
        let mut window = SendWindow::new(100);
        window.consume(60);
        window.shift(-70).unwrap();
        assert_eq!(window.available(), 0);
        window.shift(31).unwrap();
        assert_eq!(window.available(), 1);
        window.shift(i64::from(MAX_U31) - 1).unwrap();
        assert_eq!(window.shift(1), Err(Overflow));
        assert_eq!(window.available(), MAX_U31 as usize);
    }

    #[test]
    fn receive_window_takes_what_it_announced_and_not_a_byte_more() {
        let mut window = ReceiveWindow::new(10);
        window.receive(10).unwrap();
        window.receive(0).unwrap();
        assert_eq!(window.receive(1), Err(ErrorCode::FLOW_CONTROL_ERROR));
    }

    #[test]
    fn announces_at_half_the_window() {
        let mut window = ReceiveWindow::new(10);
        window.receive(8).unwrap();
        assert_eq!(window.release(4, 10), None);
        assert_eq!(window.release(1, 10), Some(5));
        assert_eq!(window.release(3, 10), None);
        window.receive(7).unwrap();
        assert!(window.receive(1).is_err());
    }

    #[test]
    fn a_window_that_grows_is_announced_with_the_next_release() {
        let mut window = ReceiveWindow::new(10);
        window.receive(4).unwrap();
        window.grow(10);
        assert_eq!(window.release(4, 20), Some(14));
        window.grow(10);
        window.receive(20).unwrap();
        assert_eq!(window.release(20, 20), Some(20));
        window.receive(20).unwrap();
        assert!(window.receive(1).is_err());
    }

    #[test]
    fn a_message_larger_than_the_window_is_lent_credit_and_pays_it_back() {
        let mut window = ReceiveWindow::new(10);
        window.receive(10).unwrap();
        assert_eq!(window.require(25), Some(25));
        assert_eq!(window.require(25), None);
        window.receive(25).unwrap();
        assert_eq!(window.release(25, 10), None);
        assert_eq!(window.release(10, 10), Some(10));
    }
}
