//! A response's header list and trailers, written by a server and read by a client.

use farcall_core::{Code, Metadata, Status};

use super::{
    encoding::{Encoding, Encodings},
    fields::{self, Collected, FieldFault, Fields, name},
    percent,
    subtype::Media,
};

/// Writes the fields that begin a response, before any metadata.
fn encode_start(media: &Media, writer: &mut impl Fields) {
    writer.constant(name::STATUS, media.http_status());
    writer.constant(name::CONTENT_TYPE, &media.content_type());
}

/// Writes the headers of an answer to a client that does not speak gRPC; its body is a text for people.
pub(crate) fn encode_http_headers(status: u16, writer: &mut impl Fields) {
    writer.varying(name::STATUS, |out| out.extend_from_slice(status.to_string().as_bytes()));
    writer.constant(name::CONTENT_TYPE, b"text/plain; charset=utf-8");
}

/// Writes response headers; requests may be compressed as `accepted` says.
pub(crate) fn encode_headers(
    media: &Media,
    encoding: Encoding,
    accepted: Encodings,
    metadata: &Metadata,
    writer: &mut impl Fields,
) {
    encode_start(media, writer);
    if encoding != Encoding::Identity {
        writer.constant(name::GRPC_ENCODING, encoding.name().as_bytes());
    }
    writer.constant(name::GRPC_ACCEPT_ENCODING, accepted.names());
    writer.metadata(metadata);
}

/// Writes headers and trailers in one list (Trailers-Only).
pub(crate) fn encode_trailers_only(
    media: &Media,
    status: &Status,
    accepted: Encodings,
    trailers: &Metadata,
    writer: &mut impl Fields,
) {
    encode_start(media, writer);
    if status.code == Code::Unimplemented {
        // So that a client whose encoding was refused can choose another (compression.md).
        writer.constant(name::GRPC_ACCEPT_ENCODING, accepted.names());
    }
    encode_trailers(status, trailers, writer);
}

/// Writes trailers.
pub(crate) fn encode_trailers(status: &Status, trailers: &Metadata, writer: &mut impl Fields) {
    let number = status.code.number() as u8;
    let digits = [b'0' + number / 10, b'0' + number % 10];
    writer.constant(name::GRPC_STATUS, if number < 10 { &digits[1..] } else { &digits });
    if !status.message.is_empty() {
        writer.varying(name::GRPC_MESSAGE, |out| encode_message(&status.message, out));
    }
    writer.metadata(trailers);
}

/// A message, percent-coded. HTTP has no spaces around a value, so there they are coded too.
fn encode_message(message: &str, out: &mut Vec<u8>) {
    percent::encode(message, out);
    for end in [out.len() - 1, 0] {
        if out[end] == b' ' {
            out.splice(end..=end, *b"%20");
        }
    }
}

/// Reads the fields of response headers, of trailers, or of both in one, one by one.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    collected: Collected,
    http: Option<u16>,
    content_type: Option<bool>,
    content_length: Option<u64>,
    encoding: Encoding,
    unknown_encoding: Option<String>,
    grpc_status: Option<Result<Code, ()>>,
    grpc_message: Option<String>,
}

/// A header list of a response that is not against HTTP.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// `:status`; 0 in trailers.
    pub(crate) http: u16,
    /// False when the content-type says that the body is not gRPC's.
    pub(crate) is_grpc: bool,
    pub(crate) content_length: Option<u64>,
    /// How messages are compressed.
    pub(crate) encoding: Encoding,
    /// `grpc-status` and `grpc-message`.
    pub(crate) status: Option<Status>,
    pub(crate) metadata: Metadata,
    /// Ends the call whatever else there is: metadata or an encoding that cannot be read.
    pub(crate) failure: Option<Status>,
}

impl Reader {
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.collected.check(name, value);
        match name {
            b":status" => match status_number(value) {
                Some(status) if self.http.is_none() => self.http = Some(status),
                _ => self.malformed("an illegal :status"),
            },
            [b':', ..] => self.malformed("an unknown pseudo-header"),
            b"content-type" => self.content_type = Some(fields::is_grpc_content_type(value)),
            b"content-length" => match std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()) {
                Some(length) => self.content_length = Some(length),
                None => self.malformed("an illegal content-length"),
            },
            b"grpc-encoding" => match Encoding::from_name(value) {
                Some(encoding) => self.encoding = encoding,
                None => self.unknown_encoding = Some(String::from_utf8_lossy(value).into_owned()),
            },
            b"grpc-status" => self.grpc_status = Some(read_code(value)),
            b"grpc-message" => self.grpc_message = Some(percent::decode(value)),
            b"grpc-accept-encoding" => {}
            _ => self.collected.keep(name, value),
        }
    }

    fn malformed(&mut self, what: &'static str) {
        self.collected.fail(FieldFault::Malformed(what));
    }

    /// # Errors
    /// The response is malformed: what is wrong with it.
    pub(crate) fn finish(self, trailers: bool, accepted: Encodings) -> Result<Parsed, &'static str> {
        let mut failure = None;
        match self.collected.fault {
            Some(FieldFault::Malformed(what)) => return Err(what),
            Some(FieldFault::Unreadable(key)) => {
                failure = Some(Status::new(Code::Internal, fields::unreadable(&key)));
            }
            None => {}
        }
        let http = match (self.http, trailers) {
            (Some(_), true) => return Err("a pseudo-header in trailers"),
            (None, false) => return Err("a response without :status"),
            (http, _) => http.unwrap_or(0),
        };
        let refused = (!accepted.contains(self.encoding)).then(|| self.encoding.name().to_owned());
        if let Some(encoding) = self.unknown_encoding.or(refused) {
            failure = Some(Status::new(Code::Internal, format!("Compression algorithm not supported: {encoding}")));
        }
        let message = self.grpc_message.unwrap_or_default();
        let status = self.grpc_status.map(|code| match code {
            Ok(code) => Status::new(code, message),
            Err(()) => Status::new(Code::Internal, format!("Stream removed ({})", fields::unreadable("grpc-status"))),
        });
        Ok(Parsed {
            http,
            is_grpc: self.content_type.unwrap_or(true),
            content_length: self.content_length,
            encoding: self.encoding,
            status,
            metadata: self.collected.metadata,
            failure,
        })
    }
}

/// Three digits, 100 to 999.
fn status_number(value: &[u8]) -> Option<u16> {
    match value {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
            Some(value.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
        }
        _ => None,
    }
}

/// Digits; a number that is no code is UNKNOWN, as is one too large to be a number.
fn read_code(value: &[u8]) -> Result<Code, ()> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(());
    }
    let number = value.iter().fold(0u32, |n, digit| n.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Ok(Code::from_number(number).unwrap_or(Code::Unknown))
}

#[cfg(test)]
mod tests {
    use farcall_core::{Code, Metadata, Status};

    use super::{Encoding, Encodings, Media, Parsed, Reader, encode_headers, encode_trailers, encode_trailers_only};
    use crate::{
        grpc::fields::Writer,
        hpack::{Decoder, Encoder},
    };

    fn read(fields: &[(&str, &str)], trailers: bool) -> Result<Parsed, &'static str> {
        let mut reader = Reader::default();
        for (name, value) in fields {
            reader.field(name.as_bytes(), value.as_bytes());
        }
        reader.finish(trailers, Encodings::ALL)
    }

    fn written(write: impl FnOnce(&mut Writer<'_>), trailers: bool) -> Parsed {
        let mut block = Vec::new();
        write(&mut Writer { hpack: &mut Encoder::new(), scratch: &mut Vec::new(), out: &mut block });
        let mut reader = Reader::default();
        Decoder::new(4096).decode(&block, 16 << 10, |name, value| reader.field(name, value)).unwrap();
        reader.finish(trailers, Encodings::ALL).unwrap()
    }

    #[test]
    fn reads_what_a_server_writes() {
        let mut metadata = Metadata::new();
        metadata.append("k", "v").unwrap();
        metadata.append("x-bin", [1]).unwrap();
        let headers = written(
            |writer| encode_headers(&Media::default(), Encoding::Deflate, Encodings::ALL, &metadata, writer),
            false,
        );
        assert_eq!(headers.encoding, Encoding::Deflate);
        assert_eq!((headers.http, headers.is_grpc, headers.status), (200, true, None));
        assert_eq!(headers.metadata, metadata);

        for status in [Status::OK, Status::new(Code::Unauthenticated, " bad ☃ % "), Status::new(Code::Aborted, " ")] {
            let trailers = written(|writer| encode_trailers(&status, &metadata, writer), true);
            assert_eq!(trailers.status.as_ref(), Some(&status));
            assert_eq!(trailers.metadata, metadata);
            let both = written(
                |writer| encode_trailers_only(&Media::default(), &status, Encodings::ALL, &metadata, writer),
                false,
            );
            assert_eq!((both.http, both.status), (200, trailers.status));
        }
    }

    #[test]
    fn says_how_requests_may_be_compressed() {
        let listed = |write: &dyn Fn(&mut Writer<'_>)| {
            let mut block = Vec::new();
            write(&mut Writer { hpack: &mut Encoder::new(), scratch: &mut Vec::new(), out: &mut block });
            let mut listed = None;
            let field = |name: &[u8], value: &[u8]| {
                if name == b"grpc-accept-encoding" {
                    listed = Some(String::from_utf8(value.to_vec()).unwrap());
                }
            };
            Decoder::new(4096).decode(&block, 16 << 10, field).unwrap();
            listed
        };
        let (accepted, metadata) = (Encodings::IDENTITY.with(Encoding::Deflate), Metadata::new());
        let headers =
            listed(&|writer| encode_headers(&Media::default(), Encoding::Identity, accepted, &metadata, writer));
        assert_eq!(headers.as_deref(), Some("identity, deflate"));
        let refused = Status::new(Code::Unimplemented, "");
        let trailers = listed(&|writer| encode_trailers_only(&Media::default(), &refused, accepted, &metadata, writer));
        assert_eq!(trailers.as_deref(), Some("identity, deflate"));
        assert_eq!(
            listed(&|writer| encode_trailers_only(&Media::default(), &Status::OK, accepted, &metadata, writer)),
            None
        );
    }

    #[test]
    fn reads_any_grpc_status() {
        for (text, code) in
            [("0", Code::Ok), ("05", Code::NotFound), ("16", Code::Unauthenticated), ("99", Code::Unknown)]
        {
            assert_eq!(read(&[("grpc-status", text)], true).unwrap().status.unwrap().code, code);
        }
        for text in ["abc", "", "-1", "99999999999"] {
            let status = read(&[("grpc-status", text)], true).unwrap().status.unwrap();
            if text == "99999999999" {
                assert_eq!(status.code, Code::Unknown);
            } else {
                assert_eq!(status.code, Code::Internal);
                assert_eq!(status.message, "Stream removed (Error parsing 'grpc-status' metadata)");
            }
        }
    }

    #[test]
    fn refuses_malformed_responses() {
        assert!(read(&[], false).is_err());
        for status in ["", "20", "2000", "abc", "000"] {
            assert!(read(&[(":status", status)], false).is_err(), "{status}");
        }
        assert!(read(&[(":status", "200"), (":status", "200")], false).is_err());
        assert!(read(&[(":status", "200"), (":path", "/")], false).is_err());
        assert!(read(&[(":status", "200")], true).is_err());
    }

    #[test]
    fn an_encoding_or_a_value_that_cannot_be_read_fails_the_call() {
        let parsed = read(&[(":status", "200"), ("grpc-encoding", "br")], false).unwrap();
        assert_eq!(parsed.failure.unwrap().message, "Compression algorithm not supported: br");
        let parsed = read(&[(":status", "200"), ("x-bin", "!")], false).unwrap();
        assert_eq!(parsed.failure.unwrap().message, "Error parsing 'x-bin' metadata: illegal base64 encoding");
    }
}
