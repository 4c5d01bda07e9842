//! Header blocks in: requests, responses and trailers.

use std::time::{Duration, Instant};

use farcall_core::{Code, Metadata, Status};

use super::{CallId, Connection, Role};
use crate::{
    Cause, Closed, Event,
    error::{ErrorCode, Fault},
    frame::{Head, Reset, block_fragment, flag},
    grpc::{
        fields,
        request::{self, Refusal, TrailersReader},
        response::{self, encode_trailers_only},
        status_map,
        subtype::Media,
    },
    hpack::{self, DecodedList, Partial},
    stream::{Input, State, Step},
};

/// A header block that has come in part.
#[derive(Debug)]
pub(super) struct Block {
    /// Its HEADERS frame.
    head: Head,
    sink: Sink,
    partial: Partial,
    /// Its length so far, as it is on the wire.
    length: usize,
    continuations: u32,
}

/// What becomes of a header block: it is decoded in any case, for the next one builds on it.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Request,
    RequestTrailers(CallId),
    Response(CallId),
    Trailers(CallId),
    Nothing(Result<(), Fault>),
}

/// Where the fields of a block go that comes piece by piece.
#[derive(Debug)]
enum Sink {
    Request(Box<request::Reader>),
    RequestTrailers(CallId, Box<TrailersReader>),
    Response(CallId, Box<response::Reader>),
    Trailers(CallId, Box<response::Reader>),
    Nothing(Result<(), Fault>),
}

impl Sink {
    fn new(purpose: Purpose) -> Sink {
        match purpose {
            Purpose::Request => Sink::Request(Box::default()),
            Purpose::RequestTrailers(call) => Sink::RequestTrailers(call, Box::default()),
            Purpose::Response(call) => Sink::Response(call, Box::default()),
            Purpose::Trailers(call) => Sink::Trailers(call, Box::default()),
            Purpose::Nothing(outcome) => Sink::Nothing(outcome),
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        match self {
            Sink::Request(reader) => reader.field(name, value),
            Sink::RequestTrailers(_, reader) => reader.field(name, value),
            Sink::Response(_, reader) | Sink::Trailers(_, reader) => reader.field(name, value),
            Sink::Nothing(_) => {}
        }
    }
}

const fn calm(what: &'static str) -> Fault {
    Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM, what)
}

const fn broken(error: hpack::Error) -> Fault {
    Fault::Connection(ErrorCode::COMPRESSION_ERROR, error.description())
}

const fn malformed(what: &'static str) -> Fault {
    Fault::Stream(ErrorCode::PROTOCOL_ERROR, what)
}

/// How much sooner than its deadline, as this side knows it, a client may give a call up for its sake: it began to count
/// before the request came, it may have rounded the time up to tell it, and its clock and this one's owner may be late.
fn leeway(timeout: Duration) -> Duration {
    (timeout / 64 + Duration::from_millis(100)).min(timeout / 4)
}

impl Connection {
    /// The stream whose CONTINUATION must come next.
    pub(super) fn unfinished_block(&self) -> Option<u32> {
        self.block.as_deref().map(|block| block.head.stream)
    }

    /// A frame of a header block begins: whether all of it together is within bounds.
    #[inline]
    pub(super) fn count_block(&mut self, head: Head) -> Result<(), Fault> {
        let (length, continuations) = match self.block.as_deref_mut() {
            None => (head.length as usize, 0),
            Some(block) => {
                block.length += head.length as usize;
                block.continuations += 1;
                (block.length, block.continuations)
            }
        };
        if continuations > self.config.limits.continuations {
            return Err(calm("too many CONTINUATION frames"));
        }
        if length > self.config.limits.header_block {
            return Err(calm("a header block too large to be sensible"));
        }
        Ok(())
    }

    pub(super) fn read_headers(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Fault> {
        let fragment = block_fragment(head, payload)?;
        if head.has(flag::END_HEADERS) {
            return self.read_block(head, fragment, now);
        }
        self.begin_block(head)?;
        self.feed_block(fragment)
    }

    pub(super) fn read_continuation(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Fault> {
        self.feed_block(payload)?;
        if head.has(flag::END_HEADERS) { self.end_block(now) } else { Ok(()) }
    }

    /// A header block begins that does not come in one piece.
    pub(super) fn begin_block(&mut self, head: Head) -> Result<(), Fault> {
        let sink = Sink::new(self.purpose(head)?);
        let length = head.length as usize;
        self.block = Some(Box::new(Block { head, sink, partial: Partial::default(), length, continuations: 0 }));
        Ok(())
    }

    pub(super) fn feed_block(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let Some(Block { partial, sink, .. }) = self.block.as_deref_mut() else { return Ok(()) };
        self.decoder
            .feed(partial, piece, self.config.limits.max_header_list_size, |name, value| sink.field(name, value))
            .map_err(broken)
    }

    /// The header block is whole. Its call may have ended meanwhile.
    pub(super) fn end_block(&mut self, now: Instant) -> Result<(), Fault> {
        let Some(block) = self.block.take() else { return Ok(()) };
        let Block { head, sink, partial, .. } = *block;
        let list = self.decoder.finish(partial).map_err(broken)?;
        let end_stream = head.has(flag::END_STREAM);
        match sink {
            Sink::Request(reader) => self.take_request(head, *reader, list, now),
            Sink::RequestTrailers(call, reader) => self.take_request_trailers(call, end_stream, *reader, now),
            Sink::Response(call, reader) => self.take_response(call, end_stream, *reader, list, now),
            Sink::Trailers(call, reader) => self.take_trailers(call, end_stream, *reader, list, now),
            Sink::Nothing(outcome) => outcome,
        }
    }

    /// A header block that comes whole.
    fn read_block(&mut self, head: Head, block: &[u8], now: Instant) -> Result<(), Fault> {
        let end_stream = head.has(flag::END_STREAM);
        match self.purpose(head)? {
            Purpose::Request => {
                let mut reader = request::Reader::default();
                let list = self.decode(block, |name, value| reader.field(name, value))?;
                self.take_request(head, reader, list, now)
            }
            Purpose::RequestTrailers(call) => {
                let mut reader = TrailersReader::default();
                self.decode(block, |name, value| reader.field(name, value))?;
                self.take_request_trailers(call, end_stream, reader, now)
            }
            Purpose::Response(call) => {
                let mut reader = response::Reader::default();
                let list = self.decode(block, |name, value| reader.field(name, value))?;
                self.take_response(call, end_stream, reader, list, now)
            }
            Purpose::Trailers(call) => {
                let mut reader = response::Reader::default();
                let list = self.decode(block, |name, value| reader.field(name, value))?;
                self.take_trailers(call, end_stream, reader, list, now)
            }
            Purpose::Nothing(outcome) => {
                self.decode(block, |_, _| ())?;
                outcome
            }
        }
    }

    fn decode(&mut self, block: &[u8], field: impl FnMut(&[u8], &[u8])) -> Result<DecodedList, Fault> {
        self.decoder.decode(block, self.config.limits.max_header_list_size, field).map_err(broken)
    }

    /// What the block is for that a HEADERS frame begins.
    ///
    /// # Errors
    /// The connection is broken by the head alone.
    #[inline]
    fn purpose(&mut self, head: Head) -> Result<Purpose, Fault> {
        let id = head.stream;
        let Some(stream) = self.store.by_id(id) else {
            return match self.config.role {
                Role::Server => self.purpose_of_request(id),
                Role::Client if self.is_idle(id) => {
                    Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a response on a stream that was not opened"))
                }
                Role::Client => Ok(Purpose::Nothing(self.step_closed(id, Input::ReceiveHeaders))),
            };
        };
        let (call, step, first) = (stream.call, stream.state.step(Input::ReceiveHeaders), !stream.headers_received);
        Ok(match (step, self.config.role) {
            (Step::Fault(fault), _) => Purpose::Nothing(Err(fault)),
            (_, Role::Server) => Purpose::RequestTrailers(call),
            (_, Role::Client) if first => Purpose::Response(call),
            (_, Role::Client) => Purpose::Trailers(call),
        })
    }

    fn purpose_of_request(&mut self, id: u32) -> Result<Purpose, Fault> {
        if id.is_multiple_of(2) {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a client's stream with an even id"));
        }
        if id > self.last_peer_stream {
            return Ok(Purpose::Request);
        }
        if self.store.closed_state(id).is_none() {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a stream id that does not go up"));
        }
        Ok(Purpose::Nothing(self.step_closed(id, Input::ReceiveHeaders)))
    }

    fn take_request(
        &mut self,
        head: Head,
        reader: request::Reader,
        list: DecodedList,
        now: Instant,
    ) -> Result<(), Fault> {
        let (id, end_stream) = (head.stream, head.has(flag::END_STREAM));
        self.last_peer_stream = id;
        if self.refuses_streams() {
            self.store.remember(id, State::ResetByUs);
            return Ok(());
        }
        let calm = self.floods.refuse(&self.config.limits, now)?;
        let limits = &self.config.limits;
        let streams = limits.max_concurrent_streams.unwrap_or(limits.unannounced_streams);
        let headers = self.request_headers.saturating_add(list.size as usize);
        // A call whose answer the client has not let us write is open still, as far as it can know.
        let full = self.store.len() >= streams as usize;
        let refused = if calm {
            Some("resets: a call was refused, for too many were reset before they were served")
        } else if headers > limits.request_headers && !list.too_large {
            Some("request_headers: a call was refused, for those at hand have very large headers")
        } else if self.overdraft() > limits.unread {
            Some("unread: a call was refused, for those at hand have too many messages that are not taken")
        } else if self.is_over_budget() {
            Some("memory_budget: a call was refused, for messages at hand have nearly all of it")
        } else if full && limits.max_concurrent_streams.is_some() {
            Some("max_concurrent_streams: a call was refused, for there are as many already")
        } else if full {
            Some("unannounced_streams: a call was refused, for there are as many already")
        } else {
            None
        };
        if let Some(what) = refused {
            self.strike(Cause::Bound, what);
            self.store.remember(id, State::ResetByUs);
            self.transmit.small(|out| Reset { stream: id, code: ErrorCode::REFUSED_STREAM }.encode(out));
            return self.count_induced();
        }
        if list.too_large {
            let message = fields::too_large("initial", list.size, limits.max_header_list_size);
            return self.refuse(id, end_stream, &Media::default(), &Status::new(Code::ResourceExhausted, message));
        }
        let parsed = match reader.finish(self.config.any_path, self.config.accepted_encodings, now) {
            Ok(parsed) if end_stream && parsed.content_length.is_some_and(|length| length > 0) => {
                Err("less DATA than content-length")
            }
            result => result,
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(what) => {
                self.store.remember(id, State::ResetByUs);
                return Err(malformed(what));
            }
        };
        let request = match parsed.request {
            Ok(head) if head.deadline.is_some_and(|deadline| deadline <= now) => {
                let status = Status::new(Code::DeadlineExceeded, "Deadline Exceeded");
                return self.refuse(id, end_stream, &parsed.media, &status);
            }
            Ok(head) => Ok(head),
            Err(Refusal::Grpc(status)) => return self.refuse(id, end_stream, &parsed.media, &status),
            Err(Refusal::Http(http, status)) => Err((http, status)),
        };
        let (send_window, receive_window) = self.new_windows();
        let stream = self.store.insert();
        let call = stream.call;
        stream.id = id;
        stream.state = State::Open;
        (stream.send_window, stream.receive_window) = (send_window, receive_window);
        stream.content_length = parsed.content_length;
        stream.assembler.encoding = parsed.encoding;
        stream.accepted = parsed.accepted;
        stream.media = parsed.media;
        stream.header_list = list.size as usize;
        self.request_headers = headers;
        match request {
            Ok(head) => {
                stream.deadline = head.deadline;
                if let Some(deadline) = head.deadline {
                    stream.excused_from = deadline.checked_sub(leeway(deadline.saturating_duration_since(now)));
                    self.deadlines.insert(deadline, call);
                }
                self.events.push_back(Event::Request { call, head });
            }
            Err(refused) => {
                stream.refused = Some(Box::new(refused));
                (stream.finished, stream.discarding) = (true, true);
            }
        }
        self.store.link(call, id);
        if end_stream { self.end_of_stream(call, now) } else { Ok(()) }
    }

    /// Answers a request that does not become a call.
    fn refuse(&mut self, id: u32, end_stream: bool, media: &Media, status: &Status) -> Result<(), Fault> {
        let accepted = self.config.accepted_encodings;
        let nothing = Metadata::new();
        let (status, _) = self.fitted(Some(media), status, &nothing);
        self.blocks.write(&mut self.transmit, id, true, |writer| {
            encode_trailers_only(media, &status, accepted, &nothing, writer);
        });
        if !end_stream {
            self.transmit.small(|out| Reset { stream: id, code: ErrorCode::NO_ERROR }.encode(out));
        }
        self.store.remember(id, if end_stream { State::Ended } else { State::ResetByUs });
        self.count_induced()
    }

    fn take_request_trailers(
        &mut self,
        call: CallId,
        end_stream: bool,
        reader: TrailersReader,
        now: Instant,
    ) -> Result<(), Fault> {
        reader.finish().map_err(malformed)?;
        if !end_stream {
            return Err(malformed("HEADERS after DATA without END_STREAM"));
        }
        self.end_of_stream(call, now)
    }

    fn take_response(
        &mut self,
        call: CallId,
        end_stream: bool,
        reader: response::Reader,
        list: DecodedList,
        now: Instant,
    ) -> Result<(), Fault> {
        if list.too_large {
            let message = fields::too_large("initial", list.size, self.config.limits.max_header_list_size);
            self.fail_call(call, Status::new(Code::ResourceExhausted, message));
            return Ok(());
        }
        let parsed = reader.finish(false, self.config.accepted_encodings).map_err(malformed)?;
        if (100..200).contains(&parsed.http) {
            return if end_stream { Err(malformed("an interim response with END_STREAM")) } else { Ok(()) };
        }
        if let Some(failure) = parsed.failure {
            self.fail_call(call, failure);
            return Ok(());
        }
        let Some(stream) = self.store.live(call) else { return Ok(()) };
        stream.headers_received = true;
        stream.http = parsed.http;
        stream.content_length = parsed.content_length;
        stream.assembler.encoding = parsed.encoding;
        stream.discarding = parsed.http != 200 || !parsed.is_grpc;
        if end_stream {
            let status = parsed.status.unwrap_or_else(|| status_map::from_http(parsed.http));
            stream.state.advance(Input::ReceiveEnd);
            self.end_answered(call, status, parsed.metadata, now);
        } else if !stream.discarding {
            self.events.push_back(Event::Headers { call, metadata: parsed.metadata });
        }
        Ok(())
    }

    fn take_trailers(
        &mut self,
        call: CallId,
        end_stream: bool,
        reader: response::Reader,
        list: DecodedList,
        now: Instant,
    ) -> Result<(), Fault> {
        if list.too_large {
            let message = fields::too_large("trailing", list.size, self.config.limits.max_header_list_size);
            self.fail_call(call, Status::new(Code::ResourceExhausted, message));
            return Ok(());
        }
        let parsed = reader.finish(true, self.config.accepted_encodings).map_err(malformed)?;
        if !end_stream {
            return Err(malformed("HEADERS after DATA without END_STREAM"));
        }
        let Some(stream) = self.store.live(call) else { return Ok(()) };
        if !stream.discarding && stream.content_length.is_some_and(|left| left > 0) {
            return Err(malformed("less DATA than content-length"));
        }
        let mut status = parsed.status.unwrap_or_else(|| status_map::from_http(stream.http));
        if let Some(failure) = parsed.failure {
            status = failure;
        }
        if status.is_ok()
            && !stream.discarding
            && let Err(fault) = stream.assembler.finish()
        {
            status = fault.status(Role::Client);
        }
        stream.state.advance(Input::ReceiveEnd);
        self.end_answered(call, status, parsed.metadata, now);
        Ok(())
    }

    /// Client: the server has ended its side of the stream, and with it the call.
    pub(super) fn end_answered(&mut self, call: CallId, status: Status, trailers: Metadata, now: Instant) {
        let Some(stream) = self.store.live(call) else { return };
        let expired = stream.deadline.is_some_and(|deadline| deadline <= now);
        let status = if expired && status.code == Code::Cancelled {
            Status::new(Code::DeadlineExceeded, "Deadline Exceeded")
        } else {
            status
        };
        // What was not sent is not wanted any more.
        self.reset(call, ErrorCode::NO_ERROR);
        let closed = Closed { status, trailers, completed: true, unprocessed: false, unsent: false };
        let Some(stream) = self.store.live(call) else { return };
        if stream.packed.is_empty() {
            return self.end_call(call, closed);
        }
        // Messages that wait compressed come before it.
        stream.ended = Some(Box::new(closed));
        let (id, state) = (stream.id, stream.state);
        self.store.unlink(id, state);
    }
}
