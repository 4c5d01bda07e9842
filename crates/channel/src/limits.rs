//! Every bound of a channel's brain, with what it stops.

/// Attempts at one call, the first included, past which no service config may ask for more. Default 5, as gRFC A6 has it:
/// an outage must not be multiplied by more.
pub const MAX_ATTEMPTS: u32 = 5;

/// Bytes of one call's requests that are kept to be sent again under a retry or hedging policy. Default 256 KiB. Past it the
/// call is not made again.
pub const REPLAY_PER_CALL: usize = 256 << 10;

/// The same without a policy. Default 64 KiB: for a server that drains has not looked at calls that crossed its GOAWAY.
pub const REPLAY_WITHOUT_POLICY: usize = 64 << 10;

/// Bytes of all calls of one channel together that are kept to be sent again under a policy. Default 16 MiB. Past it calls
/// that send more are not made again.
pub const REPLAY_PER_CHANNEL: usize = 16 << 20;
