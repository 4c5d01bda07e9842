//! gRPC on top of HTTP/2 (grpc/grpc PROTOCOL-HTTP2.md).

pub(crate) mod base64;
pub(crate) mod encoding;
pub(crate) mod fields;
pub(crate) mod fit;
mod gzip;
pub(crate) mod message;
pub(crate) mod percent;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod run;
pub(crate) mod status_map;
pub(crate) mod subtype;
