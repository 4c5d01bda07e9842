use std::fmt;

/// The error codes of RFC 9113 section 7, as they stand in RST_STREAM and GOAWAY.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// No error; a graceful end.
    pub const NO_ERROR: ErrorCode = ErrorCode(0);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: ErrorCode = ErrorCode(1);
    /// The fault is on this side.
    pub const INTERNAL_ERROR: ErrorCode = ErrorCode(2);
    /// Flow control was not kept.
    pub const FLOW_CONTROL_ERROR: ErrorCode = ErrorCode(3);
    /// SETTINGS were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: ErrorCode = ErrorCode(4);
    /// A frame for a stream that is half-closed.
    pub const STREAM_CLOSED: ErrorCode = ErrorCode(5);
    /// A frame of a size it may not have.
    pub const FRAME_SIZE_ERROR: ErrorCode = ErrorCode(6);
    /// The stream was refused before any work was done.
    pub const REFUSED_STREAM: ErrorCode = ErrorCode(7);
    /// The stream is no longer wanted.
    pub const CANCEL: ErrorCode = ErrorCode(8);
    /// The header compression context is lost.
    pub const COMPRESSION_ERROR: ErrorCode = ErrorCode(9);
    /// CONNECT failed.
    pub const CONNECT_ERROR: ErrorCode = ErrorCode(10);
    /// The peer does too much of something.
    pub const ENHANCE_YOUR_CALM: ErrorCode = ErrorCode(11);
    /// The transport is not secure enough.
    pub const INADEQUATE_SECURITY: ErrorCode = ErrorCode(12);
    /// HTTP/1.1 is wanted.
    pub const HTTP_1_1_REQUIRED: ErrorCode = ErrorCode(13);
}

/// Why a connection ended, told by whose fault it is.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer broke the protocol: what it did, in words, and the code sent in GOAWAY.
    PeerMisbehaved(ErrorCode, &'static str),
    /// The peer does not speak HTTP/2, for instance it answered in HTTP/1.
    PeerIncompatible(&'static str),
    /// The peer sent GOAWAY with an error: its code and debug data.
    GoneAway(ErrorCode, Vec<u8>),
    /// The transport ended: end of file, or what the hands were told by the operating system.
    TransportClosed(String),
    /// The peer was silent for too long: what it was waited for with, in words.
    TimedOut(&'static str),
    /// This side closed the connection.
    ClosedLocally,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionError::PeerMisbehaved(code, what) => {
                write!(f, "the peer broke the protocol ({}): {what}", code.0)
            }
            ConnectionError::PeerIncompatible(what) => write!(f, "the peer does not speak HTTP/2: {what}"),
            ConnectionError::GoneAway(code, debug) => {
                write!(f, "GOAWAY received; Error code: {}; Debug Text: {}", code.0, debug.escape_ascii())
            }
            ConnectionError::TransportClosed(why) => f.write_str(why),
            ConnectionError::TimedOut(what) => f.write_str(what),
            ConnectionError::ClosedLocally => f.write_str("closed by this side"),
        }
    }
}

impl std::error::Error for ConnectionError {}

/// A verb was refused. None of these harms the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The call is over (its [`Closed`](crate::Event::Closed) may still wait to be polled), or never was.
    NoSuchCall,
    /// This side has half-closed the call, or has answered it.
    HalfClosed,
    /// Headers were sent already.
    HeadersSent,
    /// The connection takes no new calls: it is closing, lost, or out of stream ids.
    ConnectionClosing,
    /// The verb belongs to the other role.
    WrongRole,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CallError::NoSuchCall => "the call is over",
            CallError::HalfClosed => "the call is half-closed already",
            CallError::HeadersSent => "headers were sent already",
            CallError::ConnectionClosing => "the connection takes no new calls",
            CallError::WrongRole => "a verb of the other role",
        })
    }
}

impl std::error::Error for CallError {}

/// A peer's breach of the protocol, and how far it reaches (RFC 9113 5.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The connection must end: GOAWAY with this code.
    Connection(ErrorCode, &'static str),
    /// The stream must end: RST_STREAM with this code.
    Stream(ErrorCode, &'static str),
}
