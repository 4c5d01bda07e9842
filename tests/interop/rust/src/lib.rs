//! The messages of `interop.proto`, as prost has them: written by hand, so that the interoperation tests also hold
//! messages of the wider ecosystem, through the codec `farcall::codec::Prost`.
//!
//! The programs are in `src/bin`; what they are to do is said in `tests/interop/cases.py`.

/// The service's path up to the method's name.
pub const SERVICE: &str = "farcall.interop.Interop";

/// `farcall.interop.Request`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// What comes back.
    #[prost(bytes = "vec", tag = "1")]
    pub payload: Vec<u8>,
    /// How many replies a streaming method gives.
    #[prost(int32, tag = "2")]
    pub replies: i32,
    /// End the call with this, after the replies.
    #[prost(message, optional, tag = "3")]
    pub status: Option<Status>,
    /// Wait for the end of the call, after the replies.
    #[prost(bool, tag = "4")]
    pub block: bool,
    /// Fail as a bug does.
    #[prost(bool, tag = "5")]
    pub fail: bool,
    /// Say how much time is left.
    #[prost(bool, tag = "6")]
    pub report_deadline: bool,
    /// What `Watch` knows the call by.
    #[prost(string, tag = "7")]
    pub tag: String,
}

/// `farcall.interop.Status`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// 0 to 16.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The text.
    #[prost(string, tag = "2")]
    pub details: String,
}

/// `farcall.interop.Reply`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reply {
    /// The request's payload.
    #[prost(bytes = "vec", tag = "1")]
    pub payload: Vec<u8>,
    /// Milliseconds until the deadline, when asked for.
    #[prost(int64, tag = "2")]
    pub time_left_ms: i64,
}

/// `farcall.interop.WatchRequest.State`
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum State {
    /// The call waits for its end.
    Blocked = 0,
    /// The call has ended.
    Ended = 1,
}

/// `farcall.interop.WatchRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct WatchRequest {
    /// Which call.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// Which state to wait for.
    #[prost(enumeration = "State", tag = "2")]
    pub state: i32,
}

/// `farcall.interop.WatchReply`
#[derive(Clone, PartialEq, prost::Message)]
pub struct WatchReply {}
