//! Bytes out: header blocks, and DATA gathered from all calls that are ready.

use std::{borrow::Cow, time::Instant};

use bytes::Buf;
use farcall_core::{Code, Metadata, Status, Timeout};

use super::{CallId, Connection, Role, Transmit};
use crate::{
    Closed, Event,
    error::ErrorCode,
    flow::{Growth, ReceiveWindow, SendWindow},
    frame::{
        DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW, HEAD_LEN, MAX_U31, Reset, WindowUpdate, encode_data_head, finish_block,
        start_block,
    },
    goaway::Local,
    grpc::{
        fields::{Writer, too_large_to_send},
        fit,
        message::{MESSAGE_OVERHEAD, PREFIX_LEN},
        request,
        response::{encode_headers, encode_http_headers, encode_trailers, encode_trailers_only},
        subtype::Media,
    },
    hpack::Encoder,
    send::{Class, Scheduler},
    stream::{Input, State, Stream},
};

/// How much is gathered for the transport to write at once.
const GATHERED: usize = 512 << 10;

/// Header blocks out.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) encoder: Encoder,
    scratch: Vec<u8>,
    /// The peer's MAX_FRAME_SIZE.
    pub(super) max_frame_size: u32,
}

impl Blocks {
    pub(super) fn new() -> Blocks {
        Blocks { encoder: Encoder::new(), scratch: Vec::new(), max_frame_size: DEFAULT_MAX_FRAME_SIZE }
    }

    /// Gives back memory that is of no use between blocks.
    pub(super) fn slim(&mut self) {
        self.scratch = Vec::new();
    }

    /// Writes HEADERS (and CONTINUATION) for a stream.
    pub(super) fn write(
        &mut self,
        transmit: &mut Transmit,
        id: u32,
        end_stream: bool,
        fields: impl FnOnce(&mut Writer<'_>),
    ) {
        let (hpack, scratch) = (&mut self.encoder, &mut self.scratch);
        let max_frame_size = self.max_frame_size as usize;
        transmit.small(|out| {
            let mark = start_block(out);
            fields(&mut Writer { hpack, scratch, out });
            finish_block(out, mark, id, end_stream, max_frame_size);
        });
    }
}

impl Connection {
    /// Client: gives a call a stream and sends its request.
    pub(super) fn start(&mut self, call: CallId, path: &str, authority: &str, metadata: &Metadata, now: Instant) {
        let Some(stream) = self.store.live(call) else { return };
        let timeout = stream.deadline.map(|deadline| Timeout(deadline.saturating_duration_since(now)));
        let (scheme, user_agent) = (self.config.scheme, self.config.user_agent.as_str());
        let (encoding, accepted) = (stream.encoding, self.config.accepted_encodings);
        let content_type = stream.media.content_type();
        let content_type = &*content_type;
        let outline = request::Outline {
            scheme,
            user_agent,
            path,
            authority,
            content_type,
            encoding,
            accepted,
            timeout,
            metadata,
        };
        let limit = self.peer.max_header_list_size;
        if fit::most(path.len() + authority.len() + user_agent.len(), metadata) > limit as usize {
            let size = fit::size(|fields| request::encode(&outline, fields));
            if size > limit as usize {
                let status = Status::new(Code::ResourceExhausted, too_large_to_send("initial", size, limit));
                return self.end_call(call, Closed::locally(status));
            }
        }
        let id = self.next_stream;
        self.next_stream += 2;
        self.store.link(call, id);
        let (send_window, receive_window) = self.new_windows();
        let Some(stream) = self.store.live(call) else { return };
        stream.id = id;
        stream.state.advance(Input::Send);
        (stream.send_window, stream.receive_window) = (send_window, receive_window);
        self.blocks.write(&mut self.transmit, id, false, |writer| request::encode(&outline, writer));
        self.note_data_sent();
        if let Some(stream) = self.store.live(call) {
            stream.request_end = self.transmit.end();
        }
        self.schedule(call);
        if self.next_stream > MAX_U31 && self.going_away.peer.is_none() {
            self.events.push_back(Event::Draining);
        }
    }

    /// The windows of a stream that is opened now.
    pub(super) fn new_windows(&self) -> (SendWindow, ReceiveWindow) {
        let initial =
            if self.settings_acknowledged { self.config.limits.initial_stream_window } else { DEFAULT_WINDOW };
        (SendWindow::new(self.peer.initial_window), ReceiveWindow::new(initial))
    }

    /// Client: opens streams for calls that wait, as many as may be.
    fn start_waiting(&mut self, now: Instant) {
        while self.may_open_stream() {
            let Some(call) = self.waiting.pop_front() else { return };
            if let Some(waiting) = self.store.live(call).and_then(|stream| stream.waiting.take()) {
                self.start(call, &waiting.path, &waiting.authority, &waiting.metadata, now);
            }
        }
        if self.next_stream > MAX_U31 {
            self.end_waiting(&Status::new(Code::Unavailable, "the connection is out of stream ids"));
        }
    }

    /// Server: the answer to a call, when the client does not take headers as large as these would be.
    pub(super) fn refuses_headers(&mut self, call: CallId, metadata: &Metadata) -> Option<Status> {
        let limit = self.peer.max_header_list_size;
        if fit::most(0, metadata) <= limit as usize {
            return None;
        }
        let accepted = self.config.accepted_encodings;
        let stream = self.store.live(call)?;
        let size = fit::size(|fields| encode_headers(&stream.media, stream.encoding, accepted, metadata, fields));
        let too_large = size > limit as usize && !metadata.is_empty();
        too_large.then(|| Status::new(Code::ResourceExhausted, too_large_to_send("initial", size, limit)))
    }

    /// Server: sends response headers.
    pub(super) fn write_response_headers(&mut self, call: CallId, metadata: &Metadata) {
        let Some(stream) = self.store.live(call) else { return };
        stream.headers_sent = true;
        stream.state.advance(Input::Send);
        let (id, encoding, accepted) = (stream.id, stream.encoding, self.config.accepted_encodings);
        let media = &stream.media;
        self.blocks.write(&mut self.transmit, id, false, |writer| {
            encode_headers(media, encoding, accepted, metadata, writer);
        });
        self.note_data_sent();
    }

    /// Server: ends a call with a status, after the messages that are still queued.
    pub(super) fn answer(&mut self, call: CallId, status: &Status, trailers: &Metadata) {
        let Some(stream) = self.store.live(call) else { return };
        stream.finished = true;
        stream.discarding = true;
        if stream.queue.is_empty() {
            self.write_answer(call, status, trailers);
        } else {
            stream.answer = Some(Box::new((status.clone(), trailers.clone())));
            self.schedule(call);
        }
    }

    /// Server: answers a request whose messages its method cannot read; those of `codec` it could.
    pub(super) fn answer_unsupported(&mut self, call: CallId, codec: &str) {
        let Some(stream) = self.store.live(call) else { return };
        let status = stream.media.refusal(codec);
        stream.media = Media::Unsupported;
        self.answer(call, &status, &Metadata::new());
    }

    /// Server: answers a request that is not gRPC's, once it has come whole.
    pub(super) fn write_http_answer(&mut self, call: CallId, http: u16, status: Status) {
        let Some(stream) = self.store.live(call) else { return };
        stream.state.advance(Input::Send);
        stream.headers_sent = true;
        stream.queue.push_text(&status.message);
        self.unsent += stream.queue.len();
        self.congested |= self.unsent >= self.config.limits.unsent;
        stream.answer = Some(Box::new((status, Metadata::new())));
        let id = stream.id;
        self.blocks.write(&mut self.transmit, id, false, |writer| encode_http_headers(http, writer));
        self.note_data_sent();
        self.schedule(call);
    }

    /// Server: as much of a status and of trailing metadata as the client takes, with the headers before them if they are
    /// still to be sent.
    pub(super) fn fitted<'a>(
        &self,
        begins: Option<&Media>,
        status: &'a Status,
        trailers: &'a Metadata,
    ) -> (Cow<'a, Status>, Cow<'a, Metadata>) {
        let (accepted, limit) = (self.config.accepted_encodings, self.peer.max_header_list_size);
        if fit::most(status.message.len(), trailers) <= limit as usize {
            return (Cow::Borrowed(status), Cow::Borrowed(trailers));
        }
        let size = |status: &Status, trailers: &Metadata| {
            fit::size(|fields| match begins {
                None => encode_trailers(status, trailers, fields),
                Some(media) => encode_trailers_only(media, status, accepted, trailers, fields),
            })
        };
        fit::answer(status, trailers, limit, size)
    }

    pub(super) fn write_answer(&mut self, call: CallId, status: &Status, trailers: &Metadata) {
        if fit::most(status.message.len(), trailers) <= self.peer.max_header_list_size as usize {
            return self.write_fitted(call, status, trailers);
        }
        let Some(stream) = self.store.peek(call) else { return };
        let (status, trailers) = self.fitted((!stream.headers_sent).then_some(&stream.media), status, trailers);
        let (status, trailers) = (status.into_owned(), trailers.into_owned());
        self.write_fitted(call, &status, &trailers);
    }

    fn write_fitted(&mut self, call: CallId, status: &Status, trailers: &Metadata) {
        let Some(stream) = self.store.live(call) else { return };
        let (id, headers_sent) = (stream.id, stream.headers_sent);
        stream.state.advance(Input::SendEnd);
        let early = stream.state == State::HalfClosedLocal;
        if early {
            stream.state.advance(Input::SendReset);
        }
        let (state, media) = (stream.state, &stream.media);
        let accepted = self.config.accepted_encodings;
        if headers_sent {
            self.blocks.write(&mut self.transmit, id, true, |writer| encode_trailers(status, trailers, writer));
        } else {
            self.blocks.write(&mut self.transmit, id, true, |writer| {
                encode_trailers_only(media, status, accepted, trailers, writer);
            });
        }
        if early {
            // "Early server closure": the client need not send the rest.
            self.transmit.small(|out| Reset { stream: id, code: ErrorCode::NO_ERROR }.encode(out));
        }
        self.note_data_sent();
        self.store.unlink(id, state);
        self.floods.answered(&self.config.limits);
        self.answered.push_back((self.transmit.end(), call, status.clone()));
    }

    /// Gives a call its turn if it has something to send and may.
    pub(super) fn schedule(&mut self, call: CallId) {
        if let Some(stream) = self.store.live(call) {
            enschedule(stream, &mut self.scheduler);
        }
    }

    /// Makes frames until there is enough to write.
    #[inline(never)]
    pub(super) fn gather(&mut self, now: Instant) {
        if !self.waiting.is_empty() {
            self.start_waiting(now);
        }
        while self.transmit.remaining() < GATHERED {
            let Some(call) = self.scheduler.pop(self.send_window.available() > 0) else { break };
            self.send_data(call);
        }
    }

    /// One call's turn, and those that follow as long as no other call has one.
    fn send_data(&mut self, call: CallId) {
        let Some(stream) = self.store.live(call) else { return };
        stream.scheduled = false;
        while has_turn(stream) {
            let queued = stream.queue.len();
            let class = stream.queue.class();
            let count = stream
                .queue
                .portion(self.scheduler.turn(class))
                .min(stream.send_window.available())
                .min(self.send_window.available())
                .min(self.blocks.max_frame_size as usize);
            if count == 0 && queued > 0 {
                stream.scheduled = true;
                self.scheduler.block(call);
                break;
            }
            let last = count == queued && stream.finished;
            let end_stream = last && self.config.role == Role::Client;
            if count > 0 || end_stream {
                let head = encode_data_head(stream.id, count, end_stream);
                self.transmit.small(|out| out.extend_from_slice(&head));
                stream.queue.take(count, &mut self.transmit);
                self.unsent -= count;
                stream.send_window.consume(count);
                self.send_window.consume(count);
                self.keepalive.data_sent();
                self.strikes.data_sent();
            }
            if self.congested {
                // What other calls have waiting keeps no call from its next message.
                stream.crowded &= stream.queue.len() > self.config.limits.send_buffer / 2;
                if count > 0 && stream.queue.is_empty() && !stream.finished {
                    self.events.push_back(Event::Writable { call });
                }
            } else if stream.crowded && stream.queue.len() <= self.config.limits.send_buffer / 2 {
                stream.crowded = false;
                self.events.push_back(Event::Writable { call });
            }
            if class == Class::Small {
                self.scheduler.charge(HEAD_LEN + count);
            }
            if end_stream {
                stream.state.advance(Input::SendEnd);
                break;
            }
            if last && let Some(answer) = stream.answer.take() {
                self.write_answer(call, &answer.0, &answer.1);
                break;
            }
            let goes_on = self.scheduler.is_empty() && self.send_window.available() > 0;
            if !goes_on || self.transmit.remaining() >= GATHERED {
                enschedule(stream, &mut self.scheduler);
                break;
            }
        }
        self.relieve();
    }

    /// Something was sent or is not to be sent any more: whether the connection has room again.
    pub(super) fn relieve(&mut self) {
        if self.congested && self.unsent <= self.config.limits.unsent / 2 && self.error.is_none() {
            self.congested = false;
            let calls = self.store.iter_mut().filter(|stream| !stream.crowded && !stream.finished);
            self.events.extend(calls.map(|stream| Event::Writable { call: stream.call }));
        }
    }

    /// The application has taken messages: opens the windows again.
    ///
    /// Their number is estimated when it is not known. Whether the application `keeps` them, or is done with them.
    pub(super) fn give_back(&mut self, call: CallId, messages: Option<usize>, len: usize, keeps: bool) {
        let Some(stream) = self.store.live(call) else { return };
        stream.begun = true;
        let messages = messages
            .unwrap_or_else(|| (stream.held_messages * len).checked_div(stream.held).unwrap_or(1).max(1))
            .min(stream.held_messages);
        let bytes = len.min(stream.held);
        stream.held_messages -= messages;
        stream.held -= bytes;
        // The longer form of compressed messages was never in the window.
        let inflated = bytes.min(stream.inflated);
        stream.inflated -= inflated;
        let in_hand = if keeps { bytes } else { 0 };
        self.account.hand(std::mem::replace(&mut stream.in_hand, in_hand), in_hand);
        if !keeps {
            self.account.done(call);
        }
        self.unread = self.unread.saturating_sub(bytes + messages * MESSAGE_OVERHEAD);
        let waits = !stream.packed.is_empty();
        let count = bytes - inflated + messages * PREFIX_LEN;
        if self.admission.use_up(stream, count, &self.bdp) {
            self.admit();
        } else {
            self.reopen_stream_window(call, count);
        }
        if waits {
            self.unpack(call);
        }
    }

    /// `count` bytes have come in: the connection's window opens for as many again, whoever they are for and whether or
    /// not they are taken. What is kept is bounded by the windows of the streams: a connection's window that stays shut
    /// would hold up those whose messages are taken.
    pub(super) fn open_connection_window(&mut self, count: usize) {
        if let Some(increment) = self.receive_window.release(count, self.bdp.connection_window(), Growth::AtOnce) {
            self.transmit.small(|out| WindowUpdate { stream: 0, increment }.encode(out));
        }
    }

    /// Whether a stream that the peer opens now is beyond the last one this side has promised to look at.
    pub(super) fn refuses_streams(&self) -> bool {
        self.going_away.local == Local::Final
    }
}

/// A stream has been given more to send; before it had so many bytes. By how many these are more.
#[inline]
pub(super) fn enqueued(stream: &mut Stream, before: usize, send_buffer: usize, scheduler: &mut Scheduler) -> usize {
    let queued = stream.queue.len();
    stream.crowded |= queued >= send_buffer;
    enschedule(stream, scheduler);
    queued - before
}

#[inline]
fn enschedule(stream: &mut Stream, scheduler: &mut Scheduler) {
    if !stream.scheduled && has_turn(stream) {
        stream.scheduled = true;
        scheduler.push(stream.call, stream.queue.class());
    }
}

/// Whether a call has anything to send that its own stream allows.
fn has_turn(stream: &Stream) -> bool {
    stream.id != 0
        && stream.state.local_may_send()
        && if stream.queue.is_empty() {
            // A request refused in HTTP's words has no answer before it has come whole.
            stream.finished && (stream.refused.is_none() || stream.answer.is_some())
        } else {
            stream.send_window.available() > 0
        }
}
