/// What the server may have seen of an attempt that it has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Nothing: it never left this side.
    Never,
    /// It has refused it unseen by any application: REFUSED_STREAM, or a GOAWAY with a lower last stream.
    Refused,
    /// It may have begun to work on it.
    Perhaps,
    /// The load balancing policy has dropped the call: there are no more attempts at it.
    Dropped,
}

/// Attempts that no server has looked at go again, whatever the policy (gRFC A6, transparent retries).
///
/// What never left this side goes again each time, elsewhere: its connection takes no calls. What a server refused goes
/// again once a call, on the same connection if that takes calls, so that a server with too much to do is not given
/// connections to make as well.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Transparent {
    was_refused: bool,
}

impl Transparent {
    /// Whether an attempt that ended so goes again at once, and whether elsewhere then.
    pub(crate) fn again(&mut self, seen: Seen) -> Option<bool> {
        match seen {
            Seen::Never => Some(true),
            Seen::Refused if !std::mem::replace(&mut self.was_refused, true) => Some(false),
            Seen::Refused | Seen::Perhaps | Seen::Dropped => None,
        }
    }
}
