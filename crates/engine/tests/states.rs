//! Every state of a stream against every frame that a peer can send for it (RFC 9113 5.1), seen from outside.

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Config, ConnectionError};

use crate::support::{Frame, Raw};

/// What becomes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// It is used or ignored.
    Fine,
    /// RST_STREAM with this code; the connection lives.
    Stream(u32),
    /// GOAWAY with this code.
    Connection(u32),
}

use Outcome::{Connection, Fine, Stream};

const PROTOCOL_ERROR: u32 = 1;
const STREAM_CLOSED: u32 = 5;

/// Stream 1 in some state, after anything its way there made the connection write was read.
struct Standing {
    raw: Raw,
    call: Option<CallId>,
}

fn server(before: &[Frame]) -> Standing {
    let mut raw = Raw::server(Config::server());
    raw.send(before);
    let call = raw.end.poll_request();
    raw.frames();
    Standing { raw, call }
}

fn client(before: &[Frame]) -> Standing {
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    raw.send(before);
    raw.frames();
    Standing { raw, call: Some(call) }
}

impl Standing {
    fn answered(mut self) -> Standing {
        if let Some(call) = self.call {
            self.raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
        }
        self.raw.frames();
        self
    }

    fn half_closed(mut self) -> Standing {
        if let Some(call) = self.call {
            self.raw.end.connection.half_close(call).unwrap();
        }
        self.raw.frames();
        self
    }

    fn cancelled(mut self) -> Standing {
        if let Some(call) = self.call {
            self.raw.end.connection.cancel(call, Status::from(Code::Cancelled));
        }
        self.raw.frames();
        self
    }

    fn outcome(mut self, frame: &Frame) -> Outcome {
        self.raw.send(std::slice::from_ref(frame));
        let frames = self.raw.frames();
        let code = |kind: u8| frames.iter().find(|frame| frame.kind == kind).map(Frame::code);
        match (&self.raw.end.disconnected, code(Frame::GOAWAY), code(Frame::RST_STREAM)) {
            (Some(ConnectionError::PeerMisbehaved(error, _)), Some(code), _) => {
                assert_eq!(error.0, code);
                Connection(code)
            }
            // NO_ERROR is how a side that is done tells the other not to go on.
            (None, None, None | Some(0)) => Fine,
            (None, None, Some(code)) => {
                assert!(self.raw.end.seen.values().all(|seen| seen.closed.is_some()));
                Stream(code)
            }
            other => panic!("{frame:?} came to {other:?}"),
        }
    }
}

fn data() -> Frame {
    Frame::data(1, false, [0, 0, 0, 0, 1, 7])
}

fn last_data() -> Frame {
    Frame::data(1, true, [0, 0, 0, 0, 1, 7])
}

fn priority() -> Frame {
    Frame::new(Frame::PRIORITY, 0, 1, [0, 0, 0, 0, 16])
}

fn push() -> Frame {
    Frame::new(Frame::PUSH_PROMISE, Frame::END_HEADERS, 1, [0, 0, 0, 2])
}

fn continuation() -> Frame {
    Frame::new(Frame::CONTINUATION, Frame::END_HEADERS, 1, [])
}

fn check(state: &str, standing: impl Fn() -> Standing, expected: &[(Frame, Outcome)]) {
    for (frame, outcome) in expected {
        let found = standing().outcome(frame);
        assert_eq!(found, *outcome, "{state}: {frame:?}");
    }
    for frame in [push(), continuation()] {
        assert_eq!(standing().outcome(&frame), Connection(PROTOCOL_ERROR), "{state}: {frame:?}");
    }
    assert_eq!(standing().outcome(&priority()), Fine, "{state}: PRIORITY");
}

#[test]
fn of_a_server() {
    let (request, whole) = (Frame::request(1, false, &[]), Frame::request(1, true, &[]));
    let trailers = || Frame::headers(1, true, &[("k", "v")]);
    let headers = || Frame::headers(1, false, &[("k", "v")]);
    let (reset, update) = (|| Frame::reset(1, 8), || Frame::window_update(1, 10));
    check(
        "idle",
        || server(&[]),
        &[
            (data(), Connection(PROTOCOL_ERROR)),
            (request.clone(), Fine),
            (whole.clone(), Fine),
            (reset(), Connection(PROTOCOL_ERROR)),
            (update(), Connection(PROTOCOL_ERROR)),
        ],
    );
    check(
        "open",
        || server(std::slice::from_ref(&request)),
        &[
            (data(), Fine),
            (last_data(), Fine),
            (trailers(), Fine),
            (headers(), Stream(PROTOCOL_ERROR)),
            (reset(), Fine),
            (update(), Fine),
        ],
    );
    check(
        "half-closed (remote)",
        || server(std::slice::from_ref(&whole)),
        &[
            (data(), Stream(STREAM_CLOSED)),
            (last_data(), Stream(STREAM_CLOSED)),
            (trailers(), Stream(STREAM_CLOSED)),
            (reset(), Fine),
            (update(), Fine),
        ],
    );
    check(
        "closed by END_STREAM on both sides",
        || server(std::slice::from_ref(&whole)).answered(),
        &[
            (data(), Connection(STREAM_CLOSED)),
            (trailers(), Connection(STREAM_CLOSED)),
            (reset(), Fine),
            (update(), Fine),
        ],
    );
    check(
        "closed by the peer's RST_STREAM",
        || server(&[request.clone(), reset()]),
        &[(data(), Stream(STREAM_CLOSED)), (trailers(), Stream(STREAM_CLOSED)), (reset(), Fine), (update(), Fine)],
    );
    let late = [(data(), Fine), (last_data(), Fine), (trailers(), Fine), (reset(), Fine), (update(), Fine)];
    check("closed by our RST_STREAM", || server(std::slice::from_ref(&request)).cancelled(), &late);
    check("answered before the client was done", || server(std::slice::from_ref(&request)).answered(), &late);
}

#[test]
fn of_a_client() {
    let (response, trailers) = (Frame::response(1), Frame::trailers(1, "0"));
    let (reset, update) = (|| Frame::reset(1, 8), || Frame::window_update(1, 10));
    check(
        "open, without response headers",
        || client(&[]),
        &[
            (data(), Stream(PROTOCOL_ERROR)),
            (response.clone(), Fine),
            (Frame::headers(1, false, &[(":status", "100")]), Fine),
            (reset(), Fine),
            (update(), Fine),
        ],
    );
    check(
        "open, with response headers",
        || client(std::slice::from_ref(&response)),
        &[(data(), Fine), (last_data(), Fine), (trailers.clone(), Fine), (reset(), Fine), (update(), Fine)],
    );
    check(
        "half-closed (local)",
        || client(std::slice::from_ref(&response)).half_closed(),
        &[(data(), Fine), (last_data(), Fine), (trailers.clone(), Fine), (reset(), Fine), (update(), Fine)],
    );
    check(
        "closed by END_STREAM on both sides",
        || {
            let mut standing = client(std::slice::from_ref(&response)).half_closed();
            standing.raw.send(std::slice::from_ref(&trailers));
            standing
        },
        &[
            (data(), Connection(STREAM_CLOSED)),
            (trailers.clone(), Connection(STREAM_CLOSED)),
            (reset(), Fine),
            (update(), Fine),
        ],
    );
    check(
        "closed by the peer's RST_STREAM",
        || client(&[reset()]),
        &[
            (data(), Stream(STREAM_CLOSED)),
            (trailers.clone(), Stream(STREAM_CLOSED)),
            (reset(), Fine),
            (update(), Fine),
        ],
    );
    let late = [(data(), Fine), (response.clone(), Fine), (trailers.clone(), Fine), (reset(), Fine), (update(), Fine)];
    check("closed by our RST_STREAM", || client(&[]).cancelled(), &late);
    check("answered before we were done", || client(&[response.clone(), trailers.clone()]), &late);
}

/// A server that has answered, and whose messages still wait for the client's window, does not hear of its last one.
#[test]
fn a_call_that_is_answered_is_not_half_closed() {
    for answered in [false, true] {
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, false, &[])]);
        let call = raw.end.request();
        raw.end.connection.send_message(call, &[0; 100_000][..]).unwrap();
        if answered {
            raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
        }
        raw.frames();
        raw.send(&[Frame::data(1, true, [])]);
        assert_eq!(raw.end.call(call).half_closed, !answered);
    }
}
