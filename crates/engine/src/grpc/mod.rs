//! gRPC on top of HTTP/2 (grpc/grpc PROTOCOL-HTTP2.md).

pub(crate) mod base64;
pub(crate) mod percent;
pub(crate) mod status_map;
