//! Codes of HTTP to codes of gRPC, and back (grpc/grpc `doc/http-grpc-status-mapping.md` and PROTOCOL-HTTP2.md,
//! "Errors"). Texts are grpcio's.

use farcall_core::{Code, Status};

use crate::ErrorCode;

/// The status of a response that has no `grpc-status`, from its `:status`.
pub(crate) fn from_http(status: u16) -> Status {
    let code = match status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    match status {
        200 => Status::new(code, "No status received"),
        _ => Status::new(code, format!("Received http2 header with status: {status}")),
    }
}

/// The status of a call that the peer ended by RST_STREAM. A call past its deadline is `DEADLINE_EXCEEDED` where this
/// says `CANCELLED`; only the caller knows.
pub(crate) fn from_reset(code: ErrorCode) -> Status {
    let status = match code {
        ErrorCode::REFUSED_STREAM => Code::Unavailable,
        ErrorCode::CANCEL => Code::Cancelled,
        ErrorCode::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        ErrorCode::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Internal,
    };
    let ErrorCode(number) = code;
    Status::new(status, format!("Stream removed (RST_STREAM (Received RST_STREAM with error code {number}))"))
}

/// The code of an RST_STREAM that ends a call with this status.
pub(crate) fn to_reset(code: Code) -> ErrorCode {
    match code {
        Code::Ok => ErrorCode::NO_ERROR,
        Code::Cancelled | Code::DeadlineExceeded => ErrorCode::CANCEL,
        Code::ResourceExhausted => ErrorCode::ENHANCE_YOUR_CALM,
        Code::PermissionDenied => ErrorCode::INADEQUATE_SECURITY,
        Code::Unavailable => ErrorCode::REFUSED_STREAM,
        _ => ErrorCode::INTERNAL_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use farcall_core::Code;

    use super::{from_http, from_reset, to_reset};
    use crate::ErrorCode;

    #[test]
    fn http_statuses() {
        for (http, code) in [
            (200, Code::Unknown),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (429, Code::Unavailable),
            (500, Code::Unknown),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
            (505, Code::Unknown),
        ] {
            assert_eq!(from_http(http).code, code, "{http}");
        }
        assert_eq!(from_http(200).message, "No status received");
        assert_eq!(from_http(404).message, "Received http2 header with status: 404");
    }

    #[test]
    fn reset_codes() {
        for number in (0..=13).chain([14, u32::MAX]) {
            let code = match number {
                7 => Code::Unavailable,
                8 => Code::Cancelled,
                11 => Code::ResourceExhausted,
                12 => Code::PermissionDenied,
                _ => Code::Internal,
            };
            let status = from_reset(ErrorCode(number));
            assert_eq!(status.code, code, "{number}");
            let text = format!("Stream removed (RST_STREAM (Received RST_STREAM with error code {number}))");
            assert_eq!(status.message, text);
        }
    }

    #[test]
    fn statuses_to_reset_codes() {
        for code in Code::ALL {
            let number = match code {
                Code::Ok => 0,
                Code::Cancelled | Code::DeadlineExceeded => 8,
                Code::ResourceExhausted => 11,
                Code::PermissionDenied => 12,
                Code::Unavailable => 7,
                _ => 2,
            };
            assert_eq!(to_reset(code), ErrorCode(number), "{code}");
        }
    }
}
