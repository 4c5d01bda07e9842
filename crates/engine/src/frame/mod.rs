//! Frames of HTTP/2 (RFC 9113 section 6) as bytes: read and written here, without any state.
//!
//! Each reader takes a whole payload and says what is wrong with it; whether the frame may come now is for
//! [`stream`](crate::stream) and [`connection`](crate::connection) to say.

mod continuation;
mod data;
mod goaway;
mod head;
mod headers;
mod ping;
mod reset;
mod settings;
mod window_update;

pub(crate) use continuation::{finish_block, start_block};
pub(crate) use data::encode_head as encode_data_head;
pub(crate) use goaway::GoAway;
pub(crate) use head::{HEAD_LEN, Head, flag, kind};
pub(crate) use headers::{BEFORE_BLOCK, block_bounds, block_fragment};
pub(crate) use ping::Ping;
pub(crate) use reset::Reset;
pub(crate) use settings::{
    Setting, Settings, encode as encode_settings, encode_ack as encode_settings_ack, parameters as settings_parameters,
};
pub(crate) use window_update::WindowUpdate;

use crate::error::{ErrorCode, Fault};

/// What a client sends before its first frame (RFC 9113 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest stream id and the largest window.
pub(crate) const MAX_U31: u32 = u32::MAX >> 1;

/// SETTINGS_MAX_FRAME_SIZE until told otherwise, and the least it may be.
pub(crate) const DEFAULT_MAX_FRAME_SIZE: u32 = 16_384;

/// The most SETTINGS_MAX_FRAME_SIZE may be.
pub(crate) const LARGEST_MAX_FRAME_SIZE: u32 = (1 << 24) - 1;

/// SETTINGS_INITIAL_WINDOW_SIZE until told otherwise, and the connection's window at its start.
pub(crate) const DEFAULT_WINDOW: u32 = 65_535;

/// A four-byte number at the start of a payload.
fn number(payload: &[u8], what: &'static str) -> Result<u32, Fault> {
    payload
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
        .ok_or(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, what))
}
