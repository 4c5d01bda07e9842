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
    /// Default 16 KiB, as grpcio's hard limit.
    pub max_header_list_size: u32,
    /// `SETTINGS_MAX_CONCURRENT_STREAMS` (server), `None`, the default as in grpcio, announces no limit.
    pub max_concurrent_streams: Option<u32>,
    /// `SETTINGS_INITIAL_WINDOW_SIZE`: what a peer may send on one stream before the application takes it, in bytes.
    pub initial_stream_window: u32,
    /// The connection's own window, in bytes.
    pub connection_window: u32,
    /// `SETTINGS_MAX_FRAME_SIZE`: largest frame payload taken, 16,384 to 16,777,215 bytes.
    pub max_frame_size: u32,
    /// Dynamic table the peer's HPACK encoder may use, in bytes (RFC 7541 4.2).
    pub header_table_size: u32,
    /// Bytes of one call that may wait to be sent before [`Connection::writable`](crate::Connection::writable) turns
    /// false. Default 64 KiB.
    pub send_buffer: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_receive_message_length: Some(4 << 20),
            max_send_message_length: None,
            max_header_list_size: 16 << 10,
            max_concurrent_streams: None,
            initial_stream_window: 4 << 20,
            connection_window: 8 << 20,
            max_frame_size: 1 << 20,
            header_table_size: 4096,
            send_buffer: 64 << 10,
        }
    }
}
