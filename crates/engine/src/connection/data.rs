//! DATA in: flow control, and messages to their calls.

use std::time::Instant;

use farcall_core::{Code, Metadata, Status};

use super::{
    CallId, Connection, Packed, Role,
    receive::{Reading, Stop, broken},
};
use crate::{
    Event,
    bdp::Bdp,
    error::{ErrorCode, Fault},
    frame::{Head, Ping, flag},
    grpc::{
        message::{MESSAGE_OVERHEAD, MessageFault},
        status_map,
    },
    recv::{self, Arena, Assembler, Inbox, Whole},
    stream::{Input, Line, Step, Store},
};

/// The rest of a DATA frame, which is used as it comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    id: u32,
    /// `None` when nobody wants it.
    call: Option<CallId>,
    left: u32,
    padding: u8,
    end_stream: bool,
}

/// DATA, as it came.
#[derive(Clone, Copy)]
enum Arrived<'a> {
    Bytes(&'a [u8]),
    /// So many bytes, where they belong already.
    Placed(usize),
}

impl Arrived<'_> {
    fn len(&self) -> usize {
        match self {
            Arrived::Bytes(bytes) => bytes.len(),
            Arrived::Placed(count) => *count,
        }
    }
}

impl Data {
    /// Where the transport may put the next bytes of the frame, if they are of a large message.
    pub(super) fn room<'a>(
        &self,
        store: &'a mut Store,
        arena: &mut Arena,
        incomplete: &mut usize,
    ) -> Option<&'a mut [u8]> {
        let left = self.left as usize;
        if left < recv::LARGE {
            return None;
        }
        let stream = store.live(self.call?).filter(|stream| !stream.discarding)?;
        let others = *incomplete - stream.assembler.held();
        let room = stream.assembler.prepare(left, arena);
        *incomplete = others + stream.assembler.held();
        (room > 0).then(|| stream.assembler.room(room))
    }

    /// How many bytes are still to come, if they are this call's.
    pub(super) fn left_of(&self, call: CallId) -> usize {
        if self.call == Some(call) { self.left as usize } else { 0 }
    }
}

impl Connection {
    pub(super) fn begin_data(&mut self, head: Head, padding: Option<u8>) -> Result<(), Stop> {
        let id = head.stream;
        let overhead = padding.map_or(0, |padding| u32::from(padding) + 1);
        let Some(left) = head.length.checked_sub(overhead) else {
            return Err(broken("DATA with more padding than payload"));
        };
        let end_stream = head.has(flag::END_STREAM);
        if left > 0 {
            self.floods.full_frame();
        } else if !end_stream {
            self.floods.empty_frame(&self.config.limits)?;
        }
        self.receive_window
            .receive(head.length)
            .map_err(|code| Fault::Connection(code, "DATA over the connection's window"))?;
        self.open_connection_window(head.length as usize);
        // From here on the rest of the frame is dropped when the stream fails.
        let mut data = Data { id, call: None, left, padding: padding.unwrap_or(0), end_stream };
        self.reading = Reading::Data(data);
        let Some(stream) = self.store.by_id(id) else {
            return self.step_closed(id, Input::ReceiveData).map_err(|fault| Stop::Fault(fault, id));
        };
        let on_stream = |code, what| Stop::Fault(Fault::Stream(code, what), id);
        match stream.state.step(Input::ReceiveData) {
            Step::Fault(fault) => return Err(Stop::Fault(fault, id)),
            Step::To(_) => {}
            _ => return Ok(()),
        }
        if self.config.role == Role::Client && !stream.headers_received {
            return Err(on_stream(ErrorCode::PROTOCOL_ERROR, "DATA before HEADERS"));
        }
        stream.receive_window.receive(head.length).map_err(|code| on_stream(code, "DATA over the stream's window"))?;
        if let Some(length) = &mut stream.content_length {
            *length = length
                .checked_sub(u64::from(left))
                .ok_or(on_stream(ErrorCode::PROTOCOL_ERROR, "DATA beyond content-length"))?;
        }
        let call = stream.call;
        let unwanted = if stream.discarding { head.length } else { overhead };
        if unwanted > 0 {
            self.open_stream_window(call, unwanted as usize);
        }
        data.call = Some(call);
        self.reading = Reading::Data(data);
        Ok(())
    }

    /// Takes the next bytes of DATA, those placed or else what is in the inbox.
    pub(super) fn read_data(
        &mut self,
        mut data: Data,
        placed: usize,
        inbox: &mut Inbox,
        now: Instant,
    ) -> Result<(), Stop> {
        let arrived = match placed {
            0 => Arrived::Bytes(&inbox.bytes()[..(data.left as usize).min(inbox.bytes().len())]),
            _ => Arrived::Placed(placed.min(data.left as usize)),
        };
        let taken = arrived.len();
        data.left -= taken as u32;
        self.begun_at = now;
        self.reading = Reading::Data(data);
        let fault = match data.call {
            Some(call) if taken > 0 => self.deliver(call, arrived, data.left as usize),
            _ => None,
        };
        inbox.consume(if placed == 0 { taken } else { 0 });
        if self.unread + self.incomplete > self.config.limits.overdraft {
            self.check_overdraft()?;
        }
        if self.bdp.receive(taken, now) {
            let payload = Bdp::payload(self.config.seed);
            self.transmit.small(|out| Ping { payload, ack: false }.encode(out));
        }
        if data.left == 0 && data.padding > 0 {
            let padding = usize::from(data.padding).min(inbox.bytes().len());
            inbox.consume(padding);
            data.padding -= padding as u8;
            self.reading = Reading::Data(data);
        }
        let whole = data.left == 0 && data.padding == 0;
        if whole {
            self.reading = Reading::Head;
        }
        if let Some((call, fault)) = data.call.zip(fault) {
            self.fail_message(call, fault);
        }
        if !whole {
            // What was placed may not have been all.
            return if inbox.bytes().is_empty() { Err(Stop::Starved) } else { Ok(()) };
        }
        match data.call {
            Some(call) if data.end_stream => self.end_of_stream(call, now).map_err(|fault| Stop::Fault(fault, data.id)),
            _ => Ok(()),
        }
    }

    /// Messages that came uninvited take too much memory.
    fn check_overdraft(&self) -> Result<(), Fault> {
        if self.overdraft() <= self.config.limits.overdraft {
            return Ok(());
        }
        Err(Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM, "too many messages that are not taken"))
    }

    /// Gives DATA to its call; `left` of its frame is still to come.
    fn deliver(&mut self, call: CallId, arrived: Arrived<'_>, left: usize) -> Option<MessageFault> {
        let stream = self.store.live(call).filter(|stream| !stream.discarding)?;
        if !stream.assembler.goes_on_after(arrived.len()) {
            return self.deliver_messages(call, arrived, left);
        }
        // In the middle of a large message.
        let others = self.incomplete - stream.assembler.held();
        match arrived {
            Arrived::Bytes(bytes) => stream.assembler.extend(bytes, &mut self.arena),
            Arrived::Placed(count) => stream.assembler.fill(count),
        }
        self.incomplete = others + stream.assembler.held();
        if stream.lacking(left) > 0 {
            self.consider(call);
        }
        None
    }

    fn deliver_messages(&mut self, call: CallId, arrived: Arrived<'_>, left: usize) -> Option<MessageFault> {
        let stream = self.store.live(call)?;
        let (events, unread) = (&mut self.events, &mut self.unread);
        let (held, messages) = (&mut stream.held, &mut stream.held_messages);
        let max = self.config.limits.max_receive_message_length;
        let others = self.incomplete - stream.assembler.held();
        let (packed, packed_cost) = (&mut stream.packed, &mut stream.packed_cost);
        let (mut came, mut packs) = (false, false);
        let whole = |whole| {
            came = true;
            let waits = match whole {
                Whole::Message(body, true) => Packed::Compressed(body),
                Whole::Message(body, false) if !packed.is_empty() => Packed::Plain(body),
                Whole::Run(run) if !packed.is_empty() => Packed::Run(run),
                Whole::Message(message, false) => {
                    *held += message.len();
                    *messages += 1;
                    *unread += message.len() + MESSAGE_OVERHEAD;
                    events.push_back(Event::Message { call, message });
                    return Ok(());
                }
                Whole::Run(run) => {
                    *held += run.body_len();
                    *messages += run.len();
                    *unread += run.body_len() + run.len() * MESSAGE_OVERHEAD;
                    events.push_back(Event::Messages { call, run });
                    return Ok(());
                }
            };
            packs = true;
            *packed_cost += waits.cost();
            *unread += waits.cost();
            packed.push_back(waits);
            Ok(())
        };
        let result = match arrived {
            Arrived::Bytes(bytes) => stream.assembler.push(bytes, max, &mut self.arena, whole),
            Arrived::Placed(count) => stream.assembler.placed(count, &mut self.arena, whole),
        };
        if result.is_err() {
            stream.discarding = true;
            stream.assembler = Assembler::default();
        }
        self.incomplete = others + stream.assembler.held();
        if let Err(fault) = result {
            return Some(fault);
        }
        let came = came && (stream.offered || stream.line != Line::Out);
        let lacks = stream.lacking(left) > 0;
        if came {
            self.message_came(call);
        }
        if lacks {
            // A message larger than the window would otherwise wait for room that it takes up itself.
            self.consider(call);
        }
        if packs {
            self.unpack(call);
        }
        None
    }

    /// The peer's END_STREAM, on DATA or on a client's trailers.
    pub(super) fn end_of_stream(&mut self, call: CallId, now: Instant) -> Result<(), Fault> {
        let Some(stream) = self.store.live(call) else { return Ok(()) };
        if !stream.state.is_open() {
            return Ok(());
        }
        if stream.content_length.is_some_and(|left| left > 0) {
            return Err(Fault::Stream(ErrorCode::PROTOCOL_ERROR, "less DATA than content-length"));
        }
        stream.state.advance(Input::ReceiveEnd);
        self.close_stream_window(call);
        let Some(stream) = self.store.live(call) else { return Ok(()) };
        let whole = if stream.discarding { Ok(()) } else { stream.assembler.finish() };
        if let Some((http, status)) = stream.refused.as_deref().cloned() {
            self.write_http_answer(call, http, status);
            return Ok(());
        }
        match self.config.role {
            Role::Server => match whole {
                Ok(()) if stream.finished => {}
                Ok(()) if !stream.packed.is_empty() => stream.half_closed_behind = true,
                Ok(()) => self.events.push_back(Event::HalfClosed { call }),
                Err(fault) => self.fail_call(call, fault.status(Role::Server)),
            },
            Role::Client => {
                let status = match stream.http {
                    200 => Status::new(Code::Unknown, "Stream removed (Data frame with END_STREAM flag received)"),
                    http => status_map::from_http(http),
                };
                self.end_answered(call, status, Metadata::new(), now);
            }
        }
        Ok(())
    }
}
