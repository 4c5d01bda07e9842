//! What servers do before others get their turn, and what may wait for one. All hands keep to it.

use std::time::Duration;

/// Connections the kernel may keep until they are accepted.
pub const BACKLOG: i32 = 4096;

/// How long accepting pauses at first when the system refuses it, mostly because no descriptor is left; twice as long
/// each time in a row.
pub const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// How long accepting pauses at most.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Connections accepted before those that are there get their turn.
pub const ACCEPTS_IN_A_ROW: usize = 16;

/// TLS handshakes of clients that go on in one turn: each costs as much as many calls, and those come first.
pub const HANDSHAKES_IN_A_ROW: usize = 4;

/// How many handshakes may wait for their turn before no more connections are accepted. Who only connects, and says
/// nothing, does not wait for a turn and holds nobody back.
pub const HANDSHAKES_WAITING: usize = 64;
