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
    /// All that the peer can make this side keep: what it has sent that is not used up, and what it may still send.
    reach: i64,
    /// The window as it was at its start, and as it was announced last; for a message larger than it more is.
    initial: i64,
    size: i64,
}

impl ReceiveWindow {
    pub(crate) fn new(initial: u32) -> ReceiveWindow {
        let initial = i64::from(initial);
        ReceiveWindow { credit: initial, reach: initial, initial, size: initial }
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

    /// Gives bytes back; what to announce now so that the window becomes `size`, if it is worth a frame: when half of
    /// that is used up, or with [`Growth::WhenUsed`] half of the window as it is.
    pub(crate) fn release(&mut self, count: usize, size: u32, growth: Growth) -> Option<u32> {
        self.reach -= count as i64;
        let (reach, size) = (self.reach, i64::from(size));
        let basis = if growth == Growth::AtOnce { size } else { size.min(self.size) };
        if reach >= basis || basis - reach < basis / 2 {
            return None;
        }
        self.size = size;
        self.announce(size - reach)
    }

    /// [`release`](ReceiveWindow::release) as it mostly is: the window is not half used up after it, and nothing was lent
    /// to it. Says by how much less is [given](ReceiveWindow::given) to it; `None` when it is otherwise, and nothing is
    /// done.
    #[inline]
    pub(crate) fn use_up_within(&mut self, count: usize) -> Option<usize> {
        let (before, after) = (self.reach, self.reach - count as i64);
        if before > self.size || after <= self.size - self.size / 2 {
            return None;
        }
        self.reach = after;
        Some((before.max(self.initial) - after.max(self.initial)) as usize)
    }

    /// Whether half of the window will be used up when so many bytes are.
    pub(crate) fn is_used(&self, count: usize) -> bool {
        self.size - (self.reach - count as i64) >= self.size / 2
    }

    /// [`release`](ReceiveWindow::release) where the peer sends no more or has much left: nothing is announced.
    pub(crate) fn use_up(&mut self, count: usize) -> Option<u32> {
        self.reach -= count as i64;
        None
    }

    /// The peer sends no more, whatever it may.
    pub(crate) fn close(&mut self) {
        self.reach -= self.credit;
        self.credit = 0;
    }

    /// Lets `count` more bytes come, whatever the window: what to announce now for that.
    pub(crate) fn extend(&mut self, count: usize) -> Option<u32> {
        self.announce(count as i64)
    }

    /// How much of `count` more bytes may not come as yet.
    pub(crate) fn lacks(&self, count: usize) -> usize {
        usize::try_from(count as i64 - self.credit).unwrap_or(0)
    }

    fn announce(&mut self, increment: i64) -> Option<u32> {
        let increment = increment.min(i64::from(MAX_U31) - self.credit);
        if increment <= 0 {
            return None;
        }
        self.credit += increment;
        self.reach += increment;
        u32::try_from(increment).ok()
    }

    /// The window as it was announced last.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.size).unwrap_or(0)
    }

    /// What of its reach was given to it: beyond the initial window, which every stream has.
    #[inline]
    pub(crate) fn given(&self) -> Given {
        if self.reach <= self.initial { Given::default() } else { self.given_beyond() }
    }

    fn given_beyond(&self) -> Given {
        let reach = self.reach;
        let size = self.size.max(self.initial);
        let within = |bytes: i64| usize::try_from(bytes).unwrap_or(0);
        Given { window: within(reach.min(size) - self.initial), lent: within(reach - size) }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn credit(&self) -> i64 {
        self.credit
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn held(&self) -> i64 {
        self.reach - self.credit
    }

    /// The peer has acknowledged SETTINGS that replace the default window by this one.
    pub(crate) fn settings_acknowledged(&mut self, initial: u32) {
        let shift = i64::from(initial) - i64::from(DEFAULT_WINDOW);
        self.credit += shift;
        self.reach += shift;
        self.size = (self.size + shift).max(0);
        self.initial = i64::from(initial);
    }
}

/// When a window that should be larger is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Growth {
    /// As soon as anything is given back.
    AtOnce,
    /// When half of it is used up.
    WhenUsed,
}

/// What a stream's window has beyond the initial one, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Given {
    /// Because its messages are taken.
    pub(crate) window: usize,
    /// For a message that is larger than the window.
    pub(crate) lent: usize,
}

#[cfg(test)]
mod tests {
    use super::{
        Given,
        Growth::{AtOnce, WhenUsed},
        Overflow, ReceiveWindow, SendWindow,
    };
    use crate::{
        error::ErrorCode,
        frame::{DEFAULT_WINDOW, MAX_U31},
    };

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
        assert_eq!(window.release(4, 10, AtOnce), None);
        assert_eq!(window.release(1, 10, AtOnce), Some(5));
        assert_eq!(window.release(3, 10, AtOnce), None);
        window.receive(7).unwrap();
        assert!(window.receive(1).is_err());
    }

    #[test]
    fn a_window_grows_and_shrinks_when_it_is_announced() {
        let mut window = ReceiveWindow::new(10);
        window.receive(4).unwrap();
        assert_eq!(window.release(4, 20, WhenUsed), None, "most of it is left");
        window.receive(1).unwrap();
        assert_eq!(window.release(1, 20, WhenUsed), Some(15));
        assert_eq!((window.size(), window.credit()), (20, 20));
        window.receive(18).unwrap();
        assert_eq!(window.release(14, 8, AtOnce), None, "the peer may send two and four are not used up");
        assert_eq!(window.release(2, 8, AtOnce), Some(4));
        assert_eq!((window.size(), window.credit()), (8, 6));
        window.receive(1).unwrap();
        assert_eq!(window.release(1, 32, AtOnce), Some(25), "for the growth");
    }

    #[test]
    fn knows_what_it_gave_beyond_the_initial_window() {
        let mut window = ReceiveWindow::new(10);
        assert_eq!(window.given(), Given::default());
        window.receive(10).unwrap();
        assert_eq!(window.release(10, 40, WhenUsed), Some(40));
        assert_eq!(window.given(), Given { window: 30, lent: 0 });
        window.receive(30).unwrap();
        assert_eq!(window.given(), Given { window: 30, lent: 0 }, "what came can be kept");
        assert_eq!((window.lacks(10), window.lacks(35)), (0, 25));
        assert_eq!(window.extend(25), Some(25));
        assert_eq!(window.given(), Given { window: 30, lent: 25 });
        assert_eq!(window.release(30, 40, WhenUsed), None);
        assert_eq!(window.given(), Given { window: 25, lent: 0 });
    }

    /// Nothing is announced while more than half is left, and the books say what [`given`](ReceiveWindow::given) does.
    #[test]
    fn is_used_up_within_as_long_as_more_than_half_is_left() {
        let mut window = ReceiveWindow::new(10);
        window.receive(10).unwrap();
        assert_eq!(window.use_up_within(5), None, "half of it");
        assert_eq!((window.credit(), window.held()), (0, 10), "nothing is done");
        assert_eq!(window.use_up_within(4), Some(0), "nothing was given");
        assert_eq!((window.credit(), window.held()), (0, 6));
        assert_eq!(window.release(6, 40, AtOnce), Some(40));
        window.receive(40).unwrap();
        for (count, less) in [(3, 3), (16, 16)] {
            let before = window.given().window;
            assert_eq!(window.use_up_within(count), Some(less));
            assert_eq!(window.given(), Given { window: before - less, lent: 0 });
        }
        assert_eq!(window.use_up_within(1), None);
        assert_eq!(window.extend(20), Some(20));
        assert_eq!(window.use_up_within(1), None, "something was lent");
    }

    #[test]
    fn a_message_larger_than_the_window_is_lent_credit_and_pays_it_back() {
        let mut window = ReceiveWindow::new(10);
        window.receive(10).unwrap();
        assert_eq!(window.lacks(25), 25);
        assert_eq!(window.extend(25), Some(25));
        assert_eq!(window.lacks(25), 0);
        window.receive(25).unwrap();
        assert_eq!(window.release(25, 10, AtOnce), None);
        assert_eq!(window.release(10, 10, AtOnce), Some(10));
    }

    #[test]
    fn an_empty_frame_is_no_breach_of_a_window_that_settings_made_negative() {
        let mut window = ReceiveWindow::new(DEFAULT_WINDOW);
        window.receive(DEFAULT_WINDOW).unwrap();
        window.settings_acknowledged(10);
        assert_eq!(window.credit(), 10 - i64::from(DEFAULT_WINDOW));
        assert_eq!(window.receive(0), Ok(()));
        assert_eq!(window.receive(1), Err(ErrorCode::FLOW_CONTROL_ERROR));
    }

    #[test]
    fn what_a_peer_will_not_send_is_not_given_to_it() {
        let mut window = ReceiveWindow::new(10);
        window.receive(10).unwrap();
        assert_eq!(window.release(10, 40, AtOnce), Some(40));
        window.receive(15).unwrap();
        window.close();
        assert_eq!((window.credit(), window.held()), (0, 15));
        assert_eq!(window.given(), Given { window: 5, lent: 0 });
    }

    #[test]
    fn no_more_is_lent_than_a_window_can_be() {
        let mut window = ReceiveWindow::new(10);
        assert_eq!(window.extend(MAX_U31 as usize), Some(MAX_U31 - 10));
        assert_eq!((window.credit(), window.extend(1)), (i64::from(MAX_U31), None));
    }

    #[test]
    fn send_window_is_known_below_nothing() {
        let mut window = SendWindow::new(100);
        window.consume(60);
        window.shift(-70).unwrap();
        assert_eq!(window.balance(), -30);
    }
}
