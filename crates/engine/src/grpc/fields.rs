//! Rules for header fields that requests, responses and trailers share (RFC 9113 8.2, PROTOCOL-HTTP2.md).

use farcall_core::Metadata;

use super::base64;
use crate::hpack::{Encoder, FIELD_OVERHEAD, Indexing, Name};

pub(crate) const CONTENT_TYPE: &[u8] = b"application/grpc";

/// The names of fields that this side writes.
pub(crate) mod name {
    use crate::hpack::Name;

    pub(crate) const PATH: Name<'_> = Name::known(b":path");
    pub(crate) const AUTHORITY: Name<'_> = Name::known(b":authority");
    pub(crate) const METHOD: Name<'_> = Name::known(b":method");
    pub(crate) const SCHEME: Name<'_> = Name::known(b":scheme");
    pub(crate) const STATUS: Name<'_> = Name::known(b":status");
    pub(crate) const CONTENT_TYPE: Name<'_> = Name::known(b"content-type");
    pub(crate) const TE: Name<'_> = Name::known(b"te");
    pub(crate) const USER_AGENT: Name<'_> = Name::known(b"user-agent");
    pub(crate) const GRPC_ENCODING: Name<'_> = Name::known(b"grpc-encoding");
    pub(crate) const GRPC_ACCEPT_ENCODING: Name<'_> = Name::known(b"grpc-accept-encoding");
    pub(crate) const GRPC_TIMEOUT: Name<'_> = Name::known(b"grpc-timeout");
    pub(crate) const GRPC_STATUS: Name<'_> = Name::known(b"grpc-status");
    pub(crate) const GRPC_MESSAGE: Name<'_> = Name::known(b"grpc-message");
}

/// Why a header list cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum FieldFault {
    /// Against HTTP: RST_STREAM with PROTOCOL_ERROR (RFC 9113 8.1.1).
    Malformed(&'static str),
    /// Against gRPC only: the call ends with INTERNAL. The metadata key whose value cannot be read.
    Unreadable(String),
}

/// Collects the fields of one list that are not gRPC's own.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) metadata: Metadata,
    pub(crate) fault: Option<FieldFault>,
    regular_seen: bool,
    scratch: Vec<u8>,
}

impl Collected {
    /// Notes the first fault; later ones change nothing.
    pub(crate) fn fail(&mut self, fault: FieldFault) {
        self.fault.get_or_insert(fault);
    }

    /// Checks any field's value, and that pseudo-headers come first.
    #[inline]
    pub(crate) fn check(&mut self, name: &[u8], value: &[u8]) {
        let pseudo = name.first() == Some(&b':');
        if pseudo && self.regular_seen {
            self.fail(FieldFault::Malformed("a pseudo-header after a header"));
        }
        self.regular_seen |= !pseudo;
        if !is_value(value) {
            self.fail(FieldFault::Malformed("an illegal character in a header's value"));
        }
    }

    /// Checks the name of a field that is not known.
    pub(crate) fn check_name(&mut self, name: &[u8]) {
        if !is_name(name) {
            self.fail(FieldFault::Malformed("an illegal character in a header's name"));
        }
        if is_connection_specific(name) {
            self.fail(FieldFault::Malformed("a header of HTTP/1 connections"));
        }
    }

    /// Checks the name of a field that is not known, and keeps it as metadata.
    pub(crate) fn keep(&mut self, name: &[u8], value: &[u8]) {
        self.check_name(name);
        let Ok(key) = std::str::from_utf8(name) else { return };
        if !Metadata::is_binary(key) {
            // Fails at 4 GiB only, which no header list reaches.
            let _ = self.metadata.append_unchecked(key, value);
            return;
        }
        let metadata = &mut self.metadata;
        let read = base64::decode(value, &mut self.scratch, |value| {
            let _ = metadata.append_unchecked(key, value);
        });
        if read.is_err() {
            self.fail(FieldFault::Unreadable(key.to_owned()));
        }
    }
}

/// A token without upper-case letters (RFC 9110 5.6.2, RFC 9113 8.2.1).
fn is_name(name: &[u8]) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let allowed = b"abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
        let mut i = 0;
        while i < allowed.len() {
            table[allowed[i] as usize] = true;
            i += 1;
        }
        table
    };
    !name.is_empty() && name.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// Nothing that could be taken for another line where HTTP/1 is spoken behind. Spaces around a value are let through,
/// against RFC 9113 8.2.1: grpcio sends them, in `grpc-message` for one.
fn is_value(value: &[u8]) -> bool {
    let (words, rest) = value.as_chunks();
    let suspect =
        words.iter().any(|word| has_control(u64::from_ne_bytes(*word))) || rest.iter().any(|byte| *byte <= b'\r');
    !suspect || !value.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r'))
}

/// Whether any of eight bytes is a line's end or one of the characters before it.
fn has_control(word: u64) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    word.wrapping_sub(EACH * (b'\r' as u64 + 1)) & !word & (EACH * 0x80) != 0
}

fn is_connection_specific(name: &[u8]) -> bool {
    matches!(name, b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade")
}

/// Whether a content-type is gRPC's: `application/grpc`, also with `+...` or `;...`.
pub(crate) fn is_grpc_content_type(value: &[u8]) -> bool {
    match value.split_at_checked(CONTENT_TYPE.len()) {
        Some((head, tail)) => {
            head.eq_ignore_ascii_case(CONTENT_TYPE) && matches!(tail.first(), None | Some(b'+' | b';'))
        }
        None => false,
    }
}

/// Keys that this side sets itself, or that may not be in HTTP/2 at all; left out of metadata that is sent.
fn is_own(key: &[u8]) -> bool {
    matches!(
        key,
        b"content-type"
            | b"content-length"
            | b"te"
            | b"host"
            | b"user-agent"
            | b"grpc-timeout"
            | b"grpc-encoding"
            | b"grpc-accept-encoding"
            | b"grpc-status"
            | b"grpc-message"
    ) || key.first() == Some(&b':')
        || is_connection_specific(key)
}

/// Takes the fields of a header list, to write them or to see how much they come to.
pub(crate) trait Fields {
    /// A field that will come again with the same value.
    fn constant(&mut self, name: Name<'_>, value: &[u8]);

    /// A field whose value `make` writes, different each time.
    fn varying(&mut self, name: Name<'_>, make: impl FnOnce(&mut Vec<u8>));

    /// Custom metadata, without the keys that are gRPC's or HTTP's own.
    fn metadata(&mut self, metadata: &Metadata);
}

/// Writes a header list into a block.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) hpack: &'a mut Encoder,
    pub(crate) out: &'a mut Vec<u8>,
    /// Room for a value while it is made.
    pub(crate) scratch: &'a mut Vec<u8>,
}

impl Fields for Writer<'_> {
    fn constant(&mut self, name: Name<'_>, value: &[u8]) {
        self.hpack.encode(name, value, Indexing::Incremental, self.out);
    }

    fn varying(&mut self, name: Name<'_>, make: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        make(self.scratch);
        // HTTP has no spaces around a value; a peer would have to call it malformed.
        self.hpack.encode(name, self.scratch.trim_ascii(), Indexing::Without, self.out);
    }

    #[inline]
    fn metadata(&mut self, metadata: &Metadata) {
        if !metadata.is_empty() {
            self.some_metadata(metadata);
        }
    }
}

impl Writer<'_> {
    fn some_metadata(&mut self, metadata: &Metadata) {
        for (key, value) in sent(metadata) {
            let name = Name::from(key.as_bytes());
            if matches!(key, "authorization" | "cookie" | "set-cookie") {
                self.hpack.encode(name, value.trim_ascii(), Indexing::Never, self.out);
            } else if Metadata::is_binary(key) {
                self.varying(name, |out| base64::encode(value, out));
            } else {
                self.hpack.encode(name, value.trim_ascii(), Indexing::Without, self.out);
            }
        }
    }
}

/// Adds up a header list by RFC 9113 6.5.2: each field its name, its value and 32.
#[derive(Debug, Default)]
pub(crate) struct Size(pub(crate) usize);

impl Size {
    fn add(&mut self, name: usize, value: usize) {
        self.0 += name + value + FIELD_OVERHEAD;
    }
}

impl Fields for Size {
    fn constant(&mut self, name: Name<'_>, value: &[u8]) {
        self.add(name.text().len(), value.len());
    }

    fn varying(&mut self, name: Name<'_>, make: impl FnOnce(&mut Vec<u8>)) {
        let mut value = Vec::new();
        make(&mut value);
        self.add(name.text().len(), value.trim_ascii().len());
    }

    fn metadata(&mut self, metadata: &Metadata) {
        for (key, value) in sent(metadata) {
            let length =
                if Metadata::is_binary(key) { (value.len() * 4).div_ceil(3) } else { value.trim_ascii().len() };
            self.add(key.len(), length);
        }
    }
}

/// The part of metadata that is sent.
fn sent(metadata: &Metadata) -> impl Iterator<Item = (&str, &[u8])> {
    metadata.iter().filter(|(key, _)| !is_own(key.as_bytes()))
}

/// The text for a list over the limit, as grpcio says it.
pub(crate) fn too_large(which: &str, size: u32, max: u32) -> String {
    format!("received {which} metadata size exceeds hard limit ({size} vs. {max})")
}

/// The text for a list over the peer's limit, as grpcio says it.
pub(crate) fn too_large_to_send(which: &str, size: usize, max: u32) -> String {
    format!("to-be-sent {which} metadata size exceeds peer limit ({size} vs. {max})")
}

/// The text for a reserved header or a `-bin` value that cannot be read, as grpcio says it.
pub(crate) fn unreadable(key: &str) -> String {
    let detail = if Metadata::is_binary(key) { ": illegal base64 encoding" } else { "" };
    format!("Error parsing '{key}' metadata{detail}")
}

#[cfg(test)]
mod tests {
    use super::{Collected, FieldFault, is_grpc_content_type};

    fn fault(fields: &[(&[u8], &[u8])]) -> Option<FieldFault> {
        let mut collected = Collected::default();
        for (name, value) in fields {
            collected.check(name, value);
            if !name.starts_with(b":") {
                collected.keep(name, value);
            }
        }
        collected.fault
    }

    #[test]
    fn takes_what_http_takes() {
        assert_eq!(fault(&[(b":path", b"/"), (b"a.b_c-1!", b" x y\x80\t z "), (b"empty", b"")]), None);
    }

    #[test]
    fn refuses_what_http_refuses() {
        for (name, value) in [
            (&b""[..], &b"x"[..]),
            (b"Upper", b"x"),
            (b"sp ace", b"x"),
            (b"nul\0", b"x"),
            (b"h\xc3\xa9", b"x"),
            (b"co:lon", b"x"),
            (b"k", b"a\nb"),
            (b"k", b"a\rb"),
            (b"k", b"a\0b"),
            (b"connection", b"close"),
            (b"keep-alive", b"1"),
            (b"proxy-connection", b"x"),
            (b"transfer-encoding", b"chunked"),
            (b"upgrade", b"h2c"),
        ] {
            assert!(
                matches!(fault(&[(name, value)]), Some(FieldFault::Malformed(_))),
                "{}: {}",
                name.escape_ascii(),
                value.escape_ascii()
            );
        }
        assert!(matches!(fault(&[(b"a", b"b"), (b":path", b"/")]), Some(FieldFault::Malformed(_))));
    }

    #[test]
    fn finds_what_is_illegal_wherever_in_a_value_it_is() {
        for len in 1..20 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut value = vec![b'v'; len];
                    value[at] = byte;
                    let illegal = fault(&[(b"k", &value)]).is_some();
                    assert_eq!(illegal, matches!(byte, 0 | b'\n' | b'\r'), "{byte} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn names_the_binary_value_it_cannot_read() {
        assert_eq!(fault(&[(b"x-bin", b"!")]), Some(FieldFault::Unreadable("x-bin".to_owned())));
        assert_eq!(super::unreadable("x-bin"), "Error parsing 'x-bin' metadata: illegal base64 encoding");
        assert_eq!(super::unreadable("grpc-timeout"), "Error parsing 'grpc-timeout' metadata");
    }

    #[test]
    fn knows_content_types() {
        for yes in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "Application/gRPC"]
        {
            assert!(is_grpc_content_type(yes.as_bytes()), "{yes}");
        }
        for no in ["", "application/grp", "application/grpc-web", "application/grpcx", "text/html"] {
            assert!(!is_grpc_content_type(no.as_bytes()), "{no}");
        }
    }
}
