//! What the messages of a call are, as its content-type says (PROTOCOL-HTTP2.md).

use std::borrow::Cow;

use farcall_core::{Code, Status};

use super::fields::CONTENT_TYPE;

const PROTO: &str = "proto";
const CONTENT_TYPE_PROTO: &[u8] = b"application/grpc+proto";

/// The most bytes of a content-subtype: what is left of the 127 of a media type's name (RFC 6838 4.2) behind `grpc+`.
const MAX_LEN: usize = 127 - 5;

/// A call's content-subtype: the name of the codec of its messages, without regard to case.
///
/// `application/grpc` is what nearly all clients say; it leaves the codec to the method.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Subtype {
    /// `application/grpc`.
    #[default]
    None,
    /// `application/grpc+proto`.
    Proto,
    /// `application/grpc+` and this.
    Other(Box<str>),
}

impl Subtype {
    /// That of a codec's name; none if the name is empty.
    pub fn of(name: &str) -> Subtype {
        match name {
            "" => Subtype::None,
            name if name.eq_ignore_ascii_case(PROTO) => Subtype::Proto,
            name => Subtype::Other(name.into()),
        }
    }

    /// What stands behind the `+`, if there is one.
    pub fn name(&self) -> &str {
        match self {
            Subtype::None => "",
            Subtype::Proto => PROTO,
            Subtype::Other(name) => name,
        }
    }

    /// Whether a method whose codec has this name serves such calls; one whose codec has none leaves it to the
    /// application what messages are.
    pub fn is_served_by(&self, codec: Option<&str>) -> bool {
        match (self, codec) {
            (Subtype::None, _) | (_, None) => true,
            (subtype, Some(codec)) => subtype.name().eq_ignore_ascii_case(codec),
        }
    }

    /// Reads a request's content-type; `None` when it is not gRPC's, or no legal media type.
    pub(crate) fn of_content_type(value: &[u8]) -> Option<Subtype> {
        if value == CONTENT_TYPE {
            return Some(Subtype::None);
        }
        let (head, tail) = value.split_at_checked(CONTENT_TYPE.len())?;
        if !head.eq_ignore_ascii_case(CONTENT_TYPE) {
            return None;
        }
        let tail = tail.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
        match tail {
            [] => Some(Subtype::None),
            [b'+', name @ ..] if name.len() <= MAX_LEN && name.iter().all(|byte| may_name(*byte)) => {
                Some(Subtype::of(str::from_utf8(name).ok()?))
            }
            _ => None,
        }
    }
}

/// Whether a byte may be in the name of a media type (RFC 6838 4.2).
fn may_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte)
}

/// The content-type of a call's headers; a server's also says with which `:status` they begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Media {
    /// What the request is, and so the answer.
    Of(Subtype),
    /// Server: the answer to a request whose messages its method cannot read.
    Unsupported,
}

impl Default for Media {
    fn default() -> Media {
        Media::Of(Subtype::None)
    }
}

impl Media {
    pub(crate) fn content_type(&self) -> Cow<'static, [u8]> {
        match self {
            Media::Of(Subtype::None) | Media::Unsupported => Cow::Borrowed(CONTENT_TYPE),
            Media::Of(Subtype::Proto) => Cow::Borrowed(CONTENT_TYPE_PROTO),
            Media::Of(Subtype::Other(name)) => Cow::Owned([CONTENT_TYPE, b"+", name.as_bytes()].concat()),
        }
    }

    /// `:status` of a server's headers: of what it cannot read the one that HTTP has for it.
    pub(crate) fn http_status(&self) -> &'static [u8] {
        match self {
            Media::Of(_) => b"200",
            Media::Unsupported => b"415",
        }
    }

    /// The status of a call whose messages the method cannot read.
    pub(crate) fn refusal(&self, codec: &str) -> Status {
        let asked = String::from_utf8_lossy(&self.content_type()).into_owned();
        let message = format!("the method reads application/grpc and application/grpc+{codec}, not {asked}");
        Status::new(Code::Unimplemented, message)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_LEN, Media, Subtype};

    fn read(content_type: &str) -> Option<Subtype> {
        Subtype::of_content_type(content_type.as_bytes())
    }

    #[test]
    fn reads_content_types() {
        for bare in ["application/grpc", "Application/gRPC", "application/grpc;charset=utf-8", "application/grpc ; a=b"]
        {
            assert_eq!(read(bare), Some(Subtype::None), "{bare}");
        }
        assert_eq!(read("application/grpc+"), Some(Subtype::None));
        for proto in ["application/grpc+proto", "application/grpc+Proto", "application/grpc+proto; charset=utf-8"] {
            assert_eq!(read(proto), Some(Subtype::Proto), "{proto}");
        }
        assert_eq!(read("application/grpc+json"), Some(Subtype::Other("json".into())));
        for no in
            ["", "application/grp", "application/grpc-web", "application/grpcx", "text/html", "application/grpc+a b"]
        {
            assert_eq!(read(no), None, "{no}");
        }
    }

    #[test]
    fn a_name_is_as_long_as_media_types_may_be() {
        let longest = "x".repeat(MAX_LEN);
        assert_eq!(read(&format!("application/grpc+{longest}")), Some(Subtype::of(&longest)));
        assert_eq!(read(&format!("application/grpc+{longest}x")), None);
    }

    #[test]
    fn a_method_serves_bare_requests_and_those_of_its_codec() {
        let (none, proto, json) = (Subtype::None, Subtype::Proto, Subtype::of("JSON"));
        for subtype in [&none, &proto, &json] {
            assert!(subtype.is_served_by(None));
        }
        assert!(none.is_served_by(Some("proto")) && none.is_served_by(Some("json")));
        assert!(proto.is_served_by(Some("proto")) && !proto.is_served_by(Some("json")));
        assert!(json.is_served_by(Some("json")) && !json.is_served_by(Some("proto")));
    }

    #[test]
    fn an_answer_is_of_the_type_that_was_asked_for() {
        for (subtype, expected) in
            [("", "application/grpc"), ("proto", "application/grpc+proto"), ("x.y", "application/grpc+x.y")]
        {
            let media = Media::Of(Subtype::of(subtype));
            assert_eq!((media.http_status(), &*media.content_type()), (&b"200"[..], expected.as_bytes()));
        }
    }
}
