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

/// Places on the ring of `ring_hash`, 16 bytes each, and a hash each when endpoints change. Default 4096, as in other gRPC
/// libraries; [`Config::ring_places`](crate::Config::ring_places) changes it. A policy's config that asks for more gets these.
pub const RING_PLACES: u32 = 4096;

/// Bytes of one message of a stream of the channel's own. Default 64 KiB: what servers say of themselves is short. A longer one
/// ends the stream, which is opened again after a back-off.
pub const STREAM_MESSAGE: usize = 64 << 10;

/// Messages of one such stream in a second. Default 100. Each may change where calls go, which costs in proportion to
/// the servers there are: a server that sends more loses the stream, and is left out until it is opened again.
pub const STREAM_MESSAGES: u32 = 100;

/// Bounds on what a channel keeps for calls, names and policies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Calls that wait for a connection or for the end of a delay. One more fails with `RESOURCE_EXHAUSTED`. Each costs what
    /// the application has put into it, so this stops only what has run away. Default 1,048,576.
    pub queued_calls: usize,
    /// Addresses taken of one answer of a resolver; those after it are not used, which is noted. Each may cost a connection.
    /// Default 16,384.
    pub addresses: usize,
    /// Hosts taken of the SRV records of one service, those of the lowest priority first; the others are not used, which is noted.
    /// Each costs a look-up. Default 64.
    pub services: usize,
    /// Attempts to connect that are under way at one time; addresses beyond them wait for their turn, CONNECTING. Each is a socket
    /// and perhaps a TLS handshake, at both ends, and all clients of a service begin together after its outage. Default 256.
    pub dials: usize,
    /// Steps of the policies at one time, for each subchannel there is, beside 1,000. A policy that never settles
    /// goes on in the next [`handle_timeout`](crate::Channel::handle_timeout), so that others get the lock. Default 64.
    pub steps_per_subchannel: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { queued_calls: 1 << 20, addresses: 16_384, services: 64, dials: 256, steps_per_subchannel: 64 }
    }
}
