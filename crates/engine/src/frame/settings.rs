use super::{DEFAULT_MAX_FRAME_SIZE, Head, LARGEST_MAX_FRAME_SIZE, MAX_U31, flag, kind};
use crate::error::{ErrorCode, Fault};

/// One parameter of SETTINGS (RFC 9113 6.5.2), its value checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Setting {
    HeaderTableSize(u32),
    EnablePush(bool),
    MaxConcurrentStreams(u32),
    InitialWindowSize(u32),
    MaxFrameSize(u32),
    MaxHeaderListSize(u32),
}

impl Setting {
    /// `None` for an identifier that is not known, which is to be ignored.
    fn decode(identifier: u16, value: u32) -> Result<Option<Setting>, Fault> {
        const fn wrong(code: ErrorCode, what: &'static str) -> Result<Option<Setting>, Fault> {
            Err(Fault::Connection(code, what))
        }
        Ok(Some(match identifier {
            1 => Setting::HeaderTableSize(value),
            2 if value > 1 => return wrong(ErrorCode::PROTOCOL_ERROR, "ENABLE_PUSH that is not 0 or 1"),
            2 => Setting::EnablePush(value == 1),
            3 => Setting::MaxConcurrentStreams(value),
            4 if value > MAX_U31 => return wrong(ErrorCode::FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE over 2^31-1"),
            4 => Setting::InitialWindowSize(value),
            5 if !(DEFAULT_MAX_FRAME_SIZE..=LARGEST_MAX_FRAME_SIZE).contains(&value) => {
                return wrong(ErrorCode::PROTOCOL_ERROR, "MAX_FRAME_SIZE out of range");
            }
            5 => Setting::MaxFrameSize(value),
            6 => Setting::MaxHeaderListSize(value),
            _ => return Ok(None),
        }))
    }

    fn wire(self) -> (u16, u32) {
        match self {
            Setting::HeaderTableSize(value) => (1, value),
            Setting::EnablePush(on) => (2, u32::from(on)),
            Setting::MaxConcurrentStreams(value) => (3, value),
            Setting::InitialWindowSize(value) => (4, value),
            Setting::MaxFrameSize(value) => (5, value),
            Setting::MaxHeaderListSize(value) => (6, value),
        }
    }
}

/// SETTINGS as received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Settings<'a> {
    Ack,
    Parameters(&'a [[u8; 6]]),
}

impl<'a> Settings<'a> {
    pub(crate) fn decode(head: Head, payload: &'a [u8]) -> Result<Settings<'a>, Fault> {
        const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
        if head.has(flag::ACK) {
            return match payload {
                [] => Ok(Settings::Ack),
                _ => Err(Fault::Connection(SIZE, "an acknowledgement of SETTINGS with a payload")),
            };
        }
        match payload.as_chunks() {
            (parameters, []) => Ok(Settings::Parameters(parameters)),
            _ => Err(Fault::Connection(SIZE, "SETTINGS whose length is not a multiple of 6")),
        }
    }
}

/// The known parameters of SETTINGS, in order, each checked as it is come to.
pub(crate) fn parameters(parameters: &[[u8; 6]]) -> impl Iterator<Item = Result<Setting, Fault>> {
    parameters.iter().filter_map(|&[i0, i1, v0, v1, v2, v3]| {
        Setting::decode(u16::from_be_bytes([i0, i1]), u32::from_be_bytes([v0, v1, v2, v3])).transpose()
    })
}

pub(crate) fn encode(settings: impl IntoIterator<Item = Setting>, out: &mut Vec<u8>) {
    let mark = out.len();
    out.extend_from_slice(&[0; super::HEAD_LEN]);
    for (identifier, value) in settings.into_iter().map(Setting::wire) {
        out.extend_from_slice(&identifier.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
    let length = (out.len() - mark - super::HEAD_LEN) as u32;
    let head = Head { length, kind: kind::SETTINGS, flags: 0, stream: 0 };
    out[mark..mark + super::HEAD_LEN].copy_from_slice(&head.encode());
}

pub(crate) fn encode_ack(out: &mut Vec<u8>) {
    out.extend_from_slice(&Head { length: 0, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 }.encode());
}

#[cfg(test)]
mod tests {
    use super::{Setting, Settings, encode, parameters};
    use crate::{
        error::{ErrorCode, Fault},
        frame::{HEAD_LEN, Head, flag, kind},
    };

    fn read(payload: &[u8]) -> Result<Vec<Setting>, Fault> {
        let head = Head { length: payload.len() as u32, kind: kind::SETTINGS, flags: 0, stream: 0 };
        match Settings::decode(head, payload)? {
            Settings::Ack => unreachable!("no ACK flag"),
            Settings::Parameters(found) => parameters(found).collect(),
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let all = [
            Setting::HeaderTableSize(0),
            Setting::EnablePush(false),
            Setting::MaxConcurrentStreams(u32::MAX),
            Setting::InitialWindowSize((1 << 31) - 1),
            Setting::MaxFrameSize(16_384),
            Setting::MaxFrameSize((1 << 24) - 1),
            Setting::MaxHeaderListSize(7),
        ];
        let mut out = Vec::new();
        encode(all, &mut out);
        assert_eq!(read(&out[HEAD_LEN..]), Ok(all.to_vec()));
    }

    #[test]
    fn ignores_what_it_does_not_know() {
        assert_eq!(read(&[0xfe, 3, 0, 0, 0, 1]), Ok(vec![]));
    }

    #[test]
    fn refuses_values_out_of_range() {
        for (payload, code) in [
            ([0, 2, 0, 0, 0, 2], ErrorCode::PROTOCOL_ERROR),
            ([0, 4, 0x80, 0, 0, 0], ErrorCode::FLOW_CONTROL_ERROR),
            ([0, 5, 0, 0, 0x3f, 0xff], ErrorCode::PROTOCOL_ERROR),
            ([0, 5, 1, 0, 0, 0], ErrorCode::PROTOCOL_ERROR),
        ] {
            assert!(matches!(read(&payload), Err(Fault::Connection(found, _)) if found == code), "{payload:?}");
        }
    }

    #[test]
    fn refuses_lengths_that_do_not_fit() {
        assert!(matches!(read(&[0; 7]), Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, _))));
        let head = Head { length: 6, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 };
        assert!(matches!(Settings::decode(head, &[0; 6]), Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, _))));
        assert_eq!(Settings::decode(head, &[]), Ok(Settings::Ack));
    }
}
