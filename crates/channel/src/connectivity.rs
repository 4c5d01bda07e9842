use std::fmt;

/// The connectivity state of a channel, with the numbers that every gRPC uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Connectivity {
    /// Nothing is connected and nobody asks for it.
    Idle = 0,
    /// A connection is being made.
    Connecting = 1,
    /// Calls can be sent.
    Ready = 2,
    /// The last attempt failed; the next comes after a back-off.
    TransientFailure = 3,
    /// Closed for good.
    Shutdown = 4,
}

impl fmt::Display for Connectivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Connectivity::Idle => "IDLE",
            Connectivity::Connecting => "CONNECTING",
            Connectivity::Ready => "READY",
            Connectivity::TransientFailure => "TRANSIENT_FAILURE",
            Connectivity::Shutdown => "SHUTDOWN",
        })
    }
}
