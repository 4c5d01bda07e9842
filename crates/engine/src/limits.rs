use std::time::Duration;

/// How often a server or a channel writes a line about one [`Cause`](crate::Cause): at once, then after this time with
/// the count of what happened in between. Keeps a peer that strikes all the time from filling the disk, and is short
/// enough for who watches.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Every bound on what a peer may cost, in one place: what it stops, its unit, its default.
///
/// Each has a test at the limit and one past it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Largest message taken from the peer, in bytes after decompression; `None` is no limit.
    /// Past it the call ends with `RESOURCE_EXHAUSTED`. Default 4 MiB (gRPC's own default).
    pub max_receive_message_length: Option<usize>,
    /// Largest message given to [`send_message`](crate::Connection::send_message), in bytes; `None`, the default, is
    /// no limit. Past it the call ends with `RESOURCE_EXHAUSTED`.
    pub max_send_message_length: Option<usize>,
    /// `SETTINGS_MAX_HEADER_LIST_SIZE` (RFC 9113 6.5.2: each field costs its name, its value and 32), in bytes.
    /// Past it the call ends with `RESOURCE_EXHAUSTED`. Default 16 KiB, as grpcio's hard limit.
    pub max_header_list_size: u32,
    /// `SETTINGS_MAX_CONCURRENT_STREAMS` (server), `None`, the default as in grpcio, announces no limit.
    /// Past it a request is refused (REFUSED_STREAM).
    pub max_concurrent_streams: Option<u32>,
    /// `SETTINGS_INITIAL_WINDOW_SIZE`: what a peer may send on a stream of which the application has taken nothing yet,
    /// in bytes; at most [`stream_window`](Limits::stream_window). A message that is larger waits for its turn
    /// ([`incomplete`](Limits::incomplete)). Default 128 KiB.
    pub initial_stream_window: u32,
    /// What a stream's window grows to, in steps, while the application takes its messages, in bytes. It grows less far
    /// the more memory others have of [`unread`](Limits::unread). A single message may be larger: the window opens for
    /// the rest of it, up to [`max_receive_message_length`](Limits::max_receive_message_length), in its turn
    /// ([`incomplete`](Limits::incomplete)). Default 4 MiB.
    pub stream_window: u32,
    /// What a stream's window may grow to where the way to the peer is fast and long
    /// ([`bdp_probe`](crate::Config::bdp_probe)), in bytes; the connection's grows to twice as much. Only a stream whose
    /// messages the application takes gets the larger one. Default 16 MiB.
    pub max_stream_window: u32,
    /// The connection's own window at its start, in bytes, at least 65,535. It bounds what is in flight, and opens again
    /// as bytes come in; what the application has not taken is bounded by the streams' windows. Default 8 MiB.
    pub connection_window: u32,
    /// `SETTINGS_MAX_FRAME_SIZE`: largest frame payload taken, 16,384 to 16,777,215 bytes. Default 1 MiB.
    pub max_frame_size: u32,
    /// Dynamic table the peer's HPACK encoder may use, in bytes (RFC 7541 4.2). Default 4096.
    pub header_table_size: u32,
    /// Bytes of one call that may wait to be sent before [`Connection::writable`](crate::Connection::writable) turns
    /// false. Default 64 KiB.
    pub send_buffer: usize,
    /// Bytes of all calls that may wait to be sent before [`Connection::writable`](crate::Connection::writable) turns
    /// false for every call that has some of them, until half of them are gone. A call that has none may have one message
    /// more, so that calls that stand still hold up none that could go on. Stops clients that make many calls and do not
    /// read the answers. Default 512 MiB.
    pub unsent: usize,

    /// Memory for messages of all calls that the application has not [released](crate::Connection::release), in bytes
    /// (each costs its length and 64). The streams' windows beyond the initial ones come out of it, and become smaller
    /// the less is left. When messages within initial windows take as much, new streams are refused (REFUSED_STREAM);
    /// compressed messages stay compressed past an eighth of it, unless somebody [waits](crate::Connection::want) for
    /// them. Stops a peer from filling the memory by way of many streams, or of few bytes that become many. Default
    /// 256 MiB.
    pub unread: usize,
    /// Messages larger than their stream's window that are let in at once, in bytes beyond those windows, of all calls:
    /// past it the next waits until one has come and, unless somebody [waited](crate::Connection::want) for it, was taken.
    /// One can always come, however large; those that follow others of their call have half as much. Stops a peer from
    /// filling the memory with messages that it never ends. Default 64 MiB.
    pub incomplete: usize,
    /// Memory for messages that came within the initial windows of many streams, in bytes (each message costs its length
    /// and 64); past it the connection ends with ENHANCE_YOUR_CALM. A peer comes near it only with thousands of streams
    /// whose messages nobody takes, and is refused more of them from [`unread`](Limits::unread) on. And on a server bytes
    /// that wait to be sent, beside those of the call itself: past it a message given all the same ends its call with
    /// `RESOURCE_EXHAUSTED`. Default 1 GiB.
    pub overdraft: usize,
    /// Sizes of the header lists of all open calls of a client, in bytes; past it more are refused (REFUSED_STREAM).
    /// Stops many calls with large headers, which cost a byte a field to send (CVE-2026-49975). Default 64 MiB.
    pub request_headers: usize,
    /// Streams that a client may have open at once when
    /// [`max_concurrent_streams`](Limits::max_concurrent_streams) announces no limit; more are refused
    /// (REFUSED_STREAM). Default 65,536.
    pub unannounced_streams: u32,
    /// Length of a header block as it is on the wire, HEADERS and CONTINUATIONs together, in bytes. Past it the
    /// connection ends with ENHANCE_YOUR_CALM. A block is decoded as it comes, and of fields past
    /// [`max_header_list_size`](Limits::max_header_list_size) nothing is kept, so it costs its sender more than this
    /// side. Stops the CONTINUATION flood (CVE-2024-27316 and its kin). Default 16 MiB, and never less than
    /// [`max_header_list_size`](Limits::max_header_list_size).
    pub header_block: usize,
    /// CONTINUATION frames in one header block; past it the connection ends with ENHANCE_YOUR_CALM. Stops floods of
    /// empty ones. Default 16, and never less than [`header_block`](Limits::header_block) takes in frames of 16 KiB.
    pub continuations: u32,
    /// Length of a frame that is neither DATA nor of a header block, in bytes, for these are read whole; past it the
    /// connection ends with ENHANCE_YOUR_CALM. Default 64 KiB.
    pub control_frame: usize,
    /// Frames that a peer makes this side send (acknowledgements of SETTINGS and PING, RST_STREAM, refusals) and does
    /// not read; past it the connection ends with ENHANCE_YOUR_CALM. Stops PING, SETTINGS and reset floods by peers
    /// that do not read (CVE-2019-9512, -9514, -9515). Default 10,000, as grpcio's.
    pub induced_frames: u32,
    /// Streams a client may reset in one go before anything was done for them: no message was taken and no headers were
    /// sent, and their own deadline was not near. Past it new streams are refused (REFUSED_STREAM) until a tenth is given
    /// back; as many refusals, and the connection ends with ENHANCE_YOUR_CALM. Each call that is answered, and time
    /// ([`resets_per_second`](Limits::resets_per_second)), give one back. Stops rapid reset (CVE-2023-44487).
    /// Default 10,000.
    pub resets: u32,
    /// How many [`resets`](Limits::resets), and refusals for their sake, a second gives back. Default 2,000.
    pub resets_per_second: u32,
    /// Streams on which a client may break the protocol in one go, so that the server resets them; past it the connection
    /// ends with ENHANCE_YOUR_CALM. Each call that is answered, and time
    /// ([`breaches_per_second`](Limits::breaches_per_second)), give one back. Stops "MadeYouReset" (CVE-2025-8671).
    /// Default 1,000.
    pub breaches: u32,
    /// How many [`breaches`](Limits::breaches) a second gives back. Default 200.
    pub breaches_per_second: u32,
    /// Streams that frames which concern all of them make this side look at, one for each that is open, in one go and
    /// again in each second: changes of SETTINGS_INITIAL_WINDOW_SIZE, which move every window, and GOAWAYs with ever
    /// lower ids. Past it the connection ends with ENHANCE_YOUR_CALM. Stops a peer with many streams from making this
    /// side walk over all of them for a few bytes. Default 1,000,000.
    pub window_shifts: u32,
    /// DATA frames without data (padding aside) and without END_STREAM that may come with no other DATA between them;
    /// past it the connection ends with ENHANCE_YOUR_CALM. Stops the empty frames flood (CVE-2019-9518). Default 100.
    pub empty_frames: u32,
    /// Server: the least time between two PINGs of a client that has calls, unless HEADERS or DATA were sent to it in
    /// between; a PING that comes sooner is a strike. Default 5 minutes, as in grpcio.
    pub min_ping_interval: Duration,
    /// The same for a client without calls. With
    /// [`keepalive_without_calls`](crate::Config::keepalive_without_calls) it is
    /// [`min_ping_interval`](Limits::min_ping_interval) whatever stands here. Default 2 hours.
    pub min_ping_interval_without_calls: Duration,
    /// Server: strikes that are let pass before the connection ends with ENHANCE_YOUR_CALM `too_many_pings`; HEADERS
    /// and DATA sent forgive all. 0 is no limit. Default 2.
    pub ping_strikes: u32,
    /// How long the peer may take to acknowledge SETTINGS, and with them to say anything at all; past it the connection
    /// ends with SETTINGS_TIMEOUT (RFC 9113 6.5.3). Default 1 minute.
    pub settings_timeout: Duration,
    /// How long a frame may take from its first byte to its last, a header block with all its CONTINUATIONs; DATA may take
    /// as long as it likes while some of it comes. Past it, to within a second or two, the connection ends with
    /// ENHANCE_YOUR_CALM. Stops peers that begin and never end (slowloris). Default 2 minutes.
    pub frame_timeout: Duration,
    /// How long a connection that is over reads on, so that its peer gets to read why ([`Farewell`](crate::Farewell)).
    /// Zero closes at once. Default 1 second.
    pub linger: Duration,
    /// How many bytes it reads meanwhile, and throws away. Default 64 MiB, more than a peer that keeps to its windows has
    /// on its way.
    pub linger_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_receive_message_length: Some(4 << 20),
            max_send_message_length: None,
            max_header_list_size: 16 << 10,
            max_concurrent_streams: None,
            initial_stream_window: 128 << 10,
            stream_window: 4 << 20,
            max_stream_window: 16 << 20,
            connection_window: 8 << 20,
            max_frame_size: 1 << 20,
            header_table_size: 4096,
            send_buffer: 64 << 10,
            unsent: 512 << 20,
            unread: 256 << 20,
            incomplete: 64 << 20,
            overdraft: 1 << 30,
            request_headers: 64 << 20,
            unannounced_streams: 65_536,
            header_block: 16 << 20,
            continuations: 16,
            control_frame: 64 << 10,
            induced_frames: 10_000,
            resets: 10_000,
            resets_per_second: 2_000,
            breaches: 1_000,
            breaches_per_second: 200,
            window_shifts: 1_000_000,
            empty_frames: 100,
            min_ping_interval: Duration::from_secs(5 * 60),
            min_ping_interval_without_calls: Duration::from_secs(2 * 60 * 60),
            ping_strikes: 2,
            settings_timeout: Duration::from_secs(60),
            frame_timeout: Duration::from_secs(120),
            linger: Duration::from_secs(1),
            linger_bytes: 64 << 20,
        }
    }
}
