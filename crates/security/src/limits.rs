//! What a peer may make this side keep.

/// Bytes received that cannot be opened yet: part of a record, or of a handshake message in several records. Twice what
/// rustls accepts as one handshake message (64 KiB), because its pieces may be wrapped in records of their own.
pub const MAX_HELD: usize = 128 << 10;

/// Sealed bytes that wait to be written, beyond which [`seal`](crate::Session::seal) takes no more. What TLS itself has
/// to say goes on top; rustls bounds how often a peer can ask for that.
pub const MAX_UNSENT: usize = 128 << 10;

/// Buffers with more room than this are given back when they are empty: most connections are idle.
pub(crate) const KEPT: usize = 4 << 10;
