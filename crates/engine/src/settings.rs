//! SETTINGS: what this side announces, and what the peer did.

use std::fmt;

use crate::{
    Limits, Role,
    frame::{DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW, LARGEST_MAX_FRAME_SIZE, MAX_U31, Setting},
    hpack::DEFAULT_TABLE_SIZE,
};

/// What the peer's SETTINGS come to so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerSettings {
    /// Its first SETTINGS have arrived.
    pub(crate) received: bool,
    pub(crate) initial_window: u32,
    /// How large the header lists may be that it takes; without an announcement of any size.
    pub(crate) max_header_list_size: u32,
    /// How many streams this side may open.
    pub(crate) max_concurrent_streams: u32,
}

/// How many streams a client opens before it knows the server's limit: what RFC 9113 6.5.2 recommends as the least.
const STREAMS_BEFORE_SETTINGS: u32 = 100;

impl Default for PeerSettings {
    fn default() -> PeerSettings {
        PeerSettings {
            received: false,
            initial_window: DEFAULT_WINDOW,
            max_header_list_size: u32::MAX,
            max_concurrent_streams: STREAMS_BEFORE_SETTINGS,
        }
    }
}

impl fmt::Display for PeerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INITIAL_WINDOW_SIZE {}, ", self.initial_window)?;
        write!(f, "MAX_CONCURRENT_STREAMS {}", self.max_concurrent_streams)
    }
}

/// Brings limits that have a legal range into it.
pub(crate) fn legalize(limits: &mut Limits) {
    limits.stream_window = limits.stream_window.clamp(1, MAX_U31);
    limits.initial_stream_window = limits.initial_stream_window.clamp(1, limits.stream_window);
    limits.connection_window = limits.connection_window.clamp(DEFAULT_WINDOW, MAX_U31);
    // What a header list may come to must fit in, also when it is cut into the smallest frames there are.
    limits.header_block = limits.header_block.max(limits.max_header_list_size as usize);
    let continuations = limits.header_block / DEFAULT_MAX_FRAME_SIZE as usize;
    limits.continuations = limits.continuations.max(u32::try_from(continuations).unwrap_or(u32::MAX));
    limits.min_ping_interval_without_calls = limits.min_ping_interval_without_calls.max(limits.min_ping_interval);
    limits.max_frame_size = limits.max_frame_size.clamp(DEFAULT_MAX_FRAME_SIZE, LARGEST_MAX_FRAME_SIZE);
}

/// What this side announces. Defaults of RFC 9113 go without saying.
pub(crate) fn announced(role: Role, limits: &Limits) -> impl Iterator<Item = Setting> {
    let client = role == Role::Client;
    let streams = if client { Some(0) } else { limits.max_concurrent_streams };
    let table = limits.header_table_size;
    [
        (table != DEFAULT_TABLE_SIZE).then_some(Setting::HeaderTableSize(table)),
        client.then_some(Setting::EnablePush(false)),
        streams.map(Setting::MaxConcurrentStreams),
        (limits.initial_stream_window != DEFAULT_WINDOW)
            .then_some(Setting::InitialWindowSize(limits.initial_stream_window)),
        Some(Setting::MaxFrameSize(limits.max_frame_size)),
        Some(Setting::MaxHeaderListSize(limits.max_header_list_size)),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::{PeerSettings, legalize};
    use crate::Limits;

    #[test]
    fn a_header_block_may_come_in_the_smallest_frames_there_are() {
        let mut limits = Limits::default();
        legalize(&mut limits);
        assert_eq!(limits.continuations, 1024, "16 MiB in frames of 16 KiB");
        limits.header_block = 1 << 10;
        legalize(&mut limits);
        assert_eq!(limits.header_block, limits.max_header_list_size as usize);
    }

    #[test]
    fn settings_are_named_as_in_the_rfc() {
        let peer = PeerSettings { initial_window: 7, max_concurrent_streams: 3, ..PeerSettings::default() };
        assert_eq!(peer.to_string(), "INITIAL_WINDOW_SIZE 7, MAX_CONCURRENT_STREAMS 3");
    }
}
