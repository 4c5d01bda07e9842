//! A request's header list, written by a client and read by a server.

use std::time::Instant;

use farcall_core::{Code, Metadata, Status, Timeout};

use super::{
    encoding::{Encoding, Encodings},
    fields::{self, Collected, FieldFault, Fields, name},
    subtype::{Media, Subtype},
};
use crate::RequestHead;

/// A request to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) user_agent: &'a str,
    pub(crate) path: &'a str,
    pub(crate) authority: &'a str,
    pub(crate) content_type: &'a [u8],
    pub(crate) encoding: Encoding,
    /// How the answer may be compressed.
    pub(crate) accepted: Encodings,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) metadata: &'a Metadata,
}

/// Writes a request's fields, in grpcio's order.
pub(crate) fn encode(request: &Outline<'_>, writer: &mut impl Fields) {
    writer.constant(name::PATH, request.path.as_bytes());
    writer.constant(name::AUTHORITY, request.authority.as_bytes());
    writer.constant(name::METHOD, b"POST");
    writer.constant(name::SCHEME, request.scheme.as_bytes());
    writer.constant(name::CONTENT_TYPE, request.content_type);
    writer.constant(name::TE, b"trailers");
    if request.encoding != Encoding::Identity {
        writer.constant(name::GRPC_ENCODING, request.encoding.name().as_bytes());
    }
    writer.constant(name::GRPC_ACCEPT_ENCODING, request.accepted.names());
    if let Some(timeout) = request.timeout {
        writer.varying(name::GRPC_TIMEOUT, |out| timeout.encode(out));
    }
    if !request.user_agent.is_empty() {
        writer.constant(name::USER_AGENT, request.user_agent.as_bytes());
    }
    writer.metadata(request.metadata);
}

/// Reads a request's fields one by one.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    collected: Collected,
    path: Option<String>,
    authority: Option<String>,
    host: Option<String>,
    method: Method,
    scheme: bool,
    /// `None`: it is missing, or not gRPC's.
    subtype: Option<Subtype>,
    content_length: Option<u64>,
    timeout: Option<Timeout>,
    encoding: Encoding,
    unknown_encoding: Option<String>,
    accepted: Encodings,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Method {
    #[default]
    Missing,
    Post,
    Other,
}

/// A request that is not against HTTP.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What the application sees, or the answer that the request gets without it.
    pub(crate) request: Result<Box<RequestHead>, Refusal>,
    /// The content-type of the answer.
    pub(crate) media: Media,
    /// What DATA must add up to.
    pub(crate) content_length: Option<u64>,
    /// How its messages are compressed.
    pub(crate) encoding: Encoding,
    /// How those of the answer may be.
    pub(crate) accepted: Encodings,
}

/// An answer given without the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// To a client of gRPC: its call cannot be taken.
    Grpc(Status),
    /// To one that speaks plain HTTP, with this `:status` and the message as the body too.
    Http(u16, Status),
}

impl Reader {
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.collected.check(name, value);
        match name {
            b":path" => self.path(value),
            b":authority" => {
                let twice = self.authority.replace(text(value)).is_some();
                self.once(!twice);
            }
            b":method" => {
                self.once(self.method == Method::Missing);
                self.method = if value == b"POST" { Method::Post } else { Method::Other };
            }
            b":scheme" => {
                self.once(!self.scheme);
                self.scheme = true;
            }
            [b':', ..] => self.malformed("an unknown pseudo-header"),
            b"te" if value != b"trailers" => self.malformed("te other than trailers"),
            b"host" => self.host = Some(text(value)),
            b"content-type" => self.subtype = Subtype::of_content_type(value),
            b"content-length" => self.content_length(value),
            b"grpc-timeout" => match Timeout::parse(value) {
                Ok(timeout) => self.timeout = Some(timeout),
                Err(_) => self.collected.fail(FieldFault::Unreadable("grpc-timeout".to_owned())),
            },
            b"grpc-encoding" => match Encoding::from_name(value) {
                Some(encoding) => self.encoding = encoding,
                None => self.unknown_encoding = Some(text(value)),
            },
            b"grpc-accept-encoding" => self.accepted.add(value),
            b"te" => {}
            _ => self.collected.keep(name, value),
        }
    }

    fn path(&mut self, value: &[u8]) {
        if value.is_empty() {
            self.malformed("an empty :path");
        }
        let twice = self.path.replace(text(value)).is_some();
        self.once(!twice);
    }

    fn content_length(&mut self, value: &[u8]) {
        match std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()) {
            Some(length) if self.content_length.is_none_or(|known| known == length) => {
                self.content_length = Some(length);
            }
            _ => self.malformed("an illegal content-length"),
        }
    }

    fn once(&mut self, once: bool) {
        if !once {
            self.malformed("a pseudo-header twice");
        }
    }

    fn malformed(&mut self, what: &'static str) {
        self.collected.fail(FieldFault::Malformed(what));
    }

    /// # Errors
    /// The request is malformed: what is wrong with it.
    pub(crate) fn finish(self, any_path: bool, accepted: Encodings, now: Instant) -> Result<Parsed, &'static str> {
        if let Some(FieldFault::Malformed(what)) = self.collected.fault {
            return Err(what);
        }
        let path = self.path.ok_or("a request without :path")?;
        if self.method == Method::Missing {
            return Err("a request without :method");
        }
        if !self.scheme {
            return Err("a request without :scheme");
        }
        let is_grpc = self.subtype.is_some();
        let refusal = match (self.method, is_grpc, self.unknown_encoding, self.collected.fault) {
            (Method::Other, ..) => {
                Some(Refusal::Http(405, Status::new(Code::Internal, "a gRPC request's :method is POST")))
            }
            (_, false, ..) => {
                let message = "a gRPC request's content-type is application/grpc";
                Some(Refusal::Http(415, Status::new(Code::Internal, message)))
            }
            // Who routes by the path and who guards by it must not come to differ over what it means (CVE-2026-33186).
            _ if path.is_empty() || !any_path && !path.starts_with('/') => {
                Some(Refusal::Grpc(Status::new(Code::Unimplemented, "a :path that does not begin with a slash")))
            }
            (_, _, Some(encoding), _) => Some(Refusal::Grpc(Status::new(
                Code::Unimplemented,
                format!("Compression algorithm not supported: {encoding}"),
            ))),
            (_, _, _, Some(FieldFault::Unreadable(key))) => {
                Some(Refusal::Grpc(Status::new(Code::Internal, fields::unreadable(&key))))
            }
            _ if !accepted.contains(self.encoding) => Some(Refusal::Grpc(Status::new(
                Code::Unimplemented,
                format!("Compression algorithm '{}' is disabled.", self.encoding.name()),
            ))),
            _ => None,
        };
        let subtype = self.subtype.unwrap_or_default();
        let request = match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(Box::new(RequestHead {
                path,
                subtype: subtype.clone(),
                authority: self.authority.or(self.host).unwrap_or_default(),
                metadata: self.collected.metadata,
                deadline: self.timeout.and_then(|Timeout(timeout)| now.checked_add(timeout)),
            })),
        };
        let media = Media::Of(subtype);
        let (content_length, encoding, accepted) = (self.content_length, self.encoding, self.accepted);
        Ok(Parsed { request, media, content_length, encoding, accepted })
    }
}

fn text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(value).into_owned(),
    }
}

/// Reads a client's trailers, in which gRPC has nothing: only whether they are legal.
#[derive(Debug, Default)]
pub(crate) struct TrailersReader {
    collected: Collected,
}

impl TrailersReader {
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.collected.check(name, value);
        if name.first() == Some(&b':') {
            self.collected.fail(FieldFault::Malformed("a pseudo-header in trailers"));
        } else {
            self.collected.check_name(name);
        }
    }

    pub(crate) fn finish(self) -> Result<(), &'static str> {
        match self.collected.fault {
            Some(FieldFault::Malformed(what)) => Err(what),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use farcall_core::{Code, Metadata, Status, Timeout};

    use super::{Encoding, Encodings, Media, Outline, Parsed, Reader, Refusal, Subtype, encode};
    use crate::grpc::fields::Writer;
    use crate::hpack::{Decoder, Encoder};

    type Fields<'a> = Vec<(&'a str, &'a str)>;

    fn good() -> Fields<'static> {
        vec![
            (":path", "/a.B/C"),
            (":authority", "host"),
            (":method", "POST"),
            (":scheme", "http"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ]
    }

    fn read(fields: &Fields<'_>) -> Result<Parsed, &'static str> {
        let mut reader = Reader::default();
        for (name, value) in fields {
            reader.field(name.as_bytes(), value.as_bytes());
        }
        reader.finish(false, Encodings::ALL, Instant::now())
    }

    fn with<'a>(name: &'a str, value: &'a str) -> Fields<'a> {
        let mut fields = good();
        match fields.iter_mut().find(|(n, _)| *n == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
        fields
    }

    #[test]
    fn reads_what_a_client_writes() {
        let mut metadata = Metadata::new();
        metadata.append("k", "v").unwrap();
        metadata.append("b-bin", [0, 255]).unwrap();
        metadata.append("te", "dropped").unwrap();
        metadata.append("user-agent", "dropped").unwrap();
        let mut block = Vec::new();
        let request = Outline {
            scheme: "http",
            user_agent: "me",
            path: "/a.B/C",
            authority: "host",
            content_type: b"application/grpc+json",
            encoding: Encoding::Gzip,
            accepted: Encodings::IDENTITY.with(Encoding::Deflate),
            timeout: Some(Timeout(Duration::from_secs(5))),
            metadata: &metadata,
        };
        let (hpack, scratch) = (&mut Encoder::new(), &mut Vec::new());
        encode(&request, &mut Writer { hpack, scratch, out: &mut block });
        let mut names = Vec::new();
        let mut reader = Reader::default();
        let field = |name: &[u8], value: &[u8]| {
            names.push(String::from_utf8(name.to_vec()).unwrap());
            reader.field(name, value);
        };
        Decoder::new(4096).decode(&block, 16 << 10, field).unwrap();
        let order = ":path :authority :method :scheme content-type te grpc-encoding grpc-accept-encoding grpc-timeout user-agent k b-bin";
        assert_eq!(names.join(" "), order);
        let now = Instant::now();
        let parsed = reader.finish(false, Encodings::ALL, now).unwrap();
        assert_eq!(parsed.encoding, Encoding::Gzip);
        assert_eq!(parsed.accepted, request.accepted);
        assert_eq!(parsed.media, Media::Of(Subtype::of("json")));
        let head = parsed.request.unwrap();
        assert_eq!((head.path.as_str(), head.authority.as_str()), ("/a.B/C", "host"));
        assert_eq!(head.subtype, Subtype::of("json"));
        assert_eq!(head.deadline, Some(now + Duration::from_secs(5)));
        let found: Vec<_> = head.metadata.iter().collect();
        assert_eq!(found, [("user-agent", &b"me"[..]), ("k", b"v"), ("b-bin", &[0, 255])]);
    }

    #[test]
    fn refuses_malformed_requests() {
        for missing in [":path", ":method", ":scheme"] {
            let fields = good().into_iter().filter(|(name, _)| *name != missing).collect();
            assert!(read(&fields).is_err(), "{missing}");
        }
        for twice in [":path", ":method", ":scheme", ":authority"] {
            let mut fields = good();
            fields.insert(0, (twice, "POST"));
            assert!(read(&fields).is_err(), "{twice}");
        }
        let bad = [(":path", ""), (":status", "200"), (":foo", "x"), ("te", "gzip"), ("content-length", "x")];
        for (name, value) in bad {
            let mut fields = with(name, value);
            let last = fields.len() - 1;
            fields.swap(0, last);
            assert!(read(&fields).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn answers_what_is_not_grpc_without_the_application() {
        for (name, value, http, code, message) in [
            (":method", "GET", 405, Code::Internal, "a gRPC request's :method is POST"),
            ("content-type", "text/html", 415, Code::Internal, "a gRPC request's content-type is application/grpc"),
            (":path", "a.B/C", 200, Code::Unimplemented, "a :path that does not begin with a slash"),
            ("grpc-encoding", "br", 200, Code::Unimplemented, "Compression algorithm not supported: br"),
            ("grpc-timeout", "1x", 200, Code::Internal, "Error parsing 'grpc-timeout' metadata"),
            ("x-bin", "!", 200, Code::Internal, "Error parsing 'x-bin' metadata: illegal base64 encoding"),
        ] {
            let refusal = read(&with(name, value)).unwrap().request.unwrap_err();
            let status = Status::new(code, message);
            assert_eq!(refusal, if http == 200 { Refusal::Grpc(status) } else { Refusal::Http(http, status) });
        }
    }

    #[test]
    fn takes_host_for_a_missing_authority() {
        let mut fields = good();
        fields.remove(1);
        fields.push(("host", "h"));
        assert_eq!(read(&fields).unwrap().request.unwrap().authority, "h");
    }
}
