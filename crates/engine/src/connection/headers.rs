//! Header blocks in: requests, responses and trailers.

use std::time::{Duration, Instant};

use farcall_core::{Code, Metadata, Status};

use super::{CallId, Connection, Role};
use crate::{
    Closed, Event,
    error::{ErrorCode, Fault},
    frame::{Head, Reset, block_fragment, flag},
    grpc::{
        fields,
        request::{self, Refusal, TrailersReader},
        response::{self, encode_trailers_only},
        status_map,
    },
    hpack::DecodedList,
    stream::{Input, State, Step},
};

/// A header block that came in part.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Its HEADERS frame; `None` between blocks.
    head: Option<Head>,
    bytes: Vec<u8>,
    continuations: u32,
}

impl Block {
    /// The stream whose CONTINUATION must come next.
    pub(super) fn stream(&self) -> Option<u32> {
        self.head.map(|head| head.stream)
    }
}

const fn calm(what: &'static str) -> Fault {
    Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM, what)
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
    pub(super) fn read_headers(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Fault> {
        let fragment = block_fragment(head, payload)?;
        if head.has(flag::END_HEADERS) {
            return self.read_block(head, fragment, now);
        }
        self.block.head = Some(head);
        self.block.bytes.extend_from_slice(fragment);
        Ok(())
    }

    pub(super) fn read_continuation(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Fault> {
        self.block.continuations += 1;
        if self.block.continuations > self.config.limits.continuations {
            return Err(calm("too many CONTINUATION frames"));
        }
        if self.block.bytes.len() + payload.len() > self.config.limits.header_block {
            return Err(calm("a header block too large to be sensible"));
        }
        self.block.bytes.extend_from_slice(payload);
        if !head.has(flag::END_HEADERS) {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        match block.head {
            Some(first) => self.read_block(first, &block.bytes, now),
            None => Ok(()),
        }
    }

    /// Decodes a block, which must be done whatever comes of it: the next one builds on it.
    fn decode(&mut self, block: &[u8], field: impl FnMut(&[u8], &[u8])) -> Result<DecodedList, Fault> {
        self.decoder
            .decode(block, self.config.limits.max_header_list_size, field)
            .map_err(|error| Fault::Connection(ErrorCode::COMPRESSION_ERROR, error.description()))
    }

    fn read_block(&mut self, head: Head, block: &[u8], now: Instant) -> Result<(), Fault> {
        let id = head.stream;
        let end_stream = head.has(flag::END_STREAM);
        let Some(stream) = self.store.by_id(id) else {
            return match self.config.role {
                Role::Server => self.read_request(id, end_stream, block, now),
                Role::Client if self.is_idle(id) => {
                    Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a response on a stream that was not opened"))
                }
                Role::Client => {
                    self.decode(block, |_, _| ())?;
                    self.step_closed(id, Input::ReceiveHeaders)
                }
            };
        };
        let (call, step, first) = (stream.call, stream.state.step(Input::ReceiveHeaders), !stream.headers_received);
        match (step, self.config.role) {
            (Step::Fault(fault), _) => {
                self.decode(block, |_, _| ())?;
                Err(fault)
            }
            (_, Role::Server) => self.read_request_trailers(call, end_stream, block, now),
            (_, Role::Client) if first => self.read_response(call, end_stream, block, now),
            (_, Role::Client) => self.read_trailers(call, end_stream, block, now),
        }
    }

    fn read_request(&mut self, id: u32, end_stream: bool, block: &[u8], now: Instant) -> Result<(), Fault> {
        if id.is_multiple_of(2) {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a client's stream with an even id"));
        }
        if id <= self.last_peer_stream {
            if self.store.closed_state(id).is_none() {
                return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a stream id that does not go up"));
            }
            self.decode(block, |_, _| ())?;
            return self.step_closed(id, Input::ReceiveHeaders);
        }
        self.last_peer_stream = id;
        let mut reader = request::Reader::default();
        let list = self.decode(block, |name, value| reader.field(name, value))?;
        if self.refuses_streams() {
            self.store.remember(id, State::ResetByUs);
            return Ok(());
        }
        let calm = self.floods.refuse(&self.config.limits, now)?;
        let limits = &self.config.limits;
        let streams = limits.max_concurrent_streams.unwrap_or(limits.unannounced_streams);
        let headers = self.request_headers.saturating_add(list.size as usize);
        let crowded = headers > limits.request_headers && !list.too_large;
        // A call whose answer the client has not let us write is open still, as far as it can know.
        if calm || crowded || self.store.len() >= streams as usize {
            self.store.remember(id, State::ResetByUs);
            self.transmit.small(|out| Reset { stream: id, code: ErrorCode::REFUSED_STREAM }.encode(out));
            return self.count_induced();
        }
        if list.too_large {
            let message = fields::too_large("initial", list.size, limits.max_header_list_size);
            return self.refuse(id, end_stream, &Status::new(Code::ResourceExhausted, message));
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
            Ok(head) => Ok(head),
            Err(Refusal::Grpc(status)) => return self.refuse(id, end_stream, &status),
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
    fn refuse(&mut self, id: u32, end_stream: bool, status: &Status) -> Result<(), Fault> {
        let accepted = self.config.accepted_encodings;
        self.blocks.write(&mut self.transmit, id, true, |writer| {
            encode_trailers_only(status, accepted, &Metadata::new(), writer);
        });
        if !end_stream {
            self.transmit.small(|out| Reset { stream: id, code: ErrorCode::NO_ERROR }.encode(out));
        }
        self.store.remember(id, if end_stream { State::Ended } else { State::ResetByUs });
        self.count_induced()
    }

    fn read_request_trailers(
        &mut self,
        call: CallId,
        end_stream: bool,
        block: &[u8],
        now: Instant,
    ) -> Result<(), Fault> {
        let mut reader = TrailersReader::default();
        self.decode(block, |name, value| reader.field(name, value))?;
        reader.finish().map_err(malformed)?;
        if !end_stream {
            return Err(malformed("HEADERS after DATA without END_STREAM"));
        }
        self.end_of_stream(call, now)
    }

    fn read_response(&mut self, call: CallId, end_stream: bool, block: &[u8], now: Instant) -> Result<(), Fault> {
        let mut reader = response::Reader::default();
        let list = self.decode(block, |name, value| reader.field(name, value))?;
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

    fn read_trailers(&mut self, call: CallId, end_stream: bool, block: &[u8], now: Instant) -> Result<(), Fault> {
        let mut reader = response::Reader::default();
        let list = self.decode(block, |name, value| reader.field(name, value))?;
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
        self.end_call(call, Closed { status, trailers, completed: true, unprocessed: false });
    }
}
