//! Frames in that steer: RST_STREAM, WINDOW_UPDATE, SETTINGS, PING, GOAWAY, PRIORITY.

use std::time::Instant;

use farcall_core::{Code, Metadata, Status};

use super::{Connection, Role, receive::Stop};
use crate::{
    Closed, Event,
    bdp::Bdp,
    error::{ErrorCode, Fault},
    frame::{
        GoAway, Head, MAX_U31, Ping, Reset, Setting, Settings, WindowUpdate, encode_settings_ack, settings_parameters,
    },
    goaway::{self, PeerGoAway},
    grpc::status_map,
    stream::Input,
};

impl Connection {
    /// PRIORITY means nothing any more (RFC 9113 5.3); only its form is checked.
    pub(super) fn read_priority(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        let Ok([d0, d1, d2, d3, _weight]) = <[u8; 5]>::try_from(payload) else {
            return Err(Fault::Stream(ErrorCode::FRAME_SIZE_ERROR, "PRIORITY that is not of 5 bytes"));
        };
        if u32::from_be_bytes([d0, d1, d2, d3]) & MAX_U31 == head.stream {
            return Err(Fault::Stream(ErrorCode::PROTOCOL_ERROR, "a stream that depends on itself"));
        }
        match self.store.by_id(head.stream) {
            Some(_) => Ok(()),
            None => self.step_closed(head.stream, Input::ReceivePriority),
        }
    }

    pub(super) fn read_reset(&mut self, reset: Reset, now: Instant) -> Result<(), Fault> {
        let Some(stream) = self.store.by_id(reset.stream) else {
            return self.step_closed(reset.stream, Input::ReceiveReset);
        };
        stream.state.advance(Input::ReceiveReset);
        let call = stream.call;
        let expired = stream.deadline.is_some_and(|deadline| deadline <= now);
        let premature = !stream.begun && !stream.headers_sent && stream.excused_from.is_none_or(|from| now < from);
        let status = match self.config.role {
            Role::Client => match status_map::from_reset(reset.code) {
                Status { code: Code::Cancelled, .. } if expired => {
                    Status::new(Code::DeadlineExceeded, "Deadline Exceeded")
                }
                status => status,
            },
            Role::Server => {
                if premature {
                    self.floods.reset(&self.config.limits, now);
                }
                let ErrorCode(code) = reset.code;
                Status::new(Code::Cancelled, format!("RST_STREAM received; Error code: {code}"))
            }
        };
        let unprocessed = self.config.role == Role::Client && reset.code == ErrorCode::REFUSED_STREAM;
        self.end_call(call, Closed { status, trailers: Metadata::new(), completed: false, unprocessed, unsent: false });
        Ok(())
    }

    pub(super) fn read_window_update(&mut self, update: WindowUpdate) -> Result<(), Fault> {
        const OVERFLOW: &str = "WINDOW_UPDATE beyond 2^31-1";
        let increment = i64::from(update.increment);
        if update.stream == 0 {
            let code = ErrorCode::FLOW_CONTROL_ERROR;
            self.send_window.shift(increment).map_err(|_| Fault::Connection(code, OVERFLOW))?;
            return Ok(());
        }
        let Some(stream) = self.store.by_id(update.stream) else {
            return self.step_closed(update.stream, Input::ReceiveWindowUpdate);
        };
        let call = stream.call;
        let code = ErrorCode::FLOW_CONTROL_ERROR;
        stream.send_window.shift(increment).map_err(|_| Fault::Stream(code, OVERFLOW))?;
        self.schedule(call);
        Ok(())
    }

    pub(super) fn read_settings(&mut self, settings: Settings<'_>, now: Instant) -> Result<(), Stop> {
        let found = match settings {
            Settings::Parameters(found) => found,
            Settings::Ack if !self.peer.received => return Err(Stop::Incompatible("it acknowledges SETTINGS first")),
            Settings::Ack => {
                self.settings_in_force();
                return Ok(());
            }
        };
        let first = !std::mem::replace(&mut self.peer.received, true);
        if first {
            self.peer.max_concurrent_streams = u32::MAX;
        }
        // One frame can name it thousands of times, and each stream's window follows it: the last one counts.
        let mut window = None;
        for setting in settings_parameters(found) {
            match setting? {
                Setting::InitialWindowSize(size) => window = Some(size),
                setting => self.apply(setting)?,
            }
        }
        if let Some(size) = window.filter(|size| *size != self.peer.initial_window) {
            self.floods.walk(self.store.streams(), &self.config.limits, now)?;
            self.shift_send_windows(size)?;
        }
        // Not before they are known to be sound: a peer whose SETTINGS are not is none to connect to again at once.
        if first {
            self.events.push_back(Event::Ready);
        }
        self.transmit.small(encode_settings_ack);
        self.count_induced()?;
        Ok(())
    }

    fn apply(&mut self, setting: Setting) -> Result<(), Fault> {
        match setting {
            Setting::HeaderTableSize(size) => self.blocks.encoder.set_max_table_size(size),
            Setting::EnablePush(true) if self.config.role == Role::Client => {
                return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a server that switches push on"));
            }
            Setting::MaxConcurrentStreams(limit) => self.peer.max_concurrent_streams = limit,
            Setting::MaxFrameSize(size) => self.blocks.max_frame_size = size,
            Setting::MaxHeaderListSize(size) => self.peer.max_header_list_size = size,
            // The window is dealt with already.
            Setting::EnablePush(_) | Setting::InitialWindowSize(_) => {}
        }
        Ok(())
    }

    fn shift_send_windows(&mut self, initial: u32) -> Result<(), Fault> {
        let by = i64::from(initial) - i64::from(self.peer.initial_window);
        self.peer.initial_window = initial;
        let mut open = Vec::new();
        for stream in self.store.iter_mut().filter(|stream| stream.id != 0) {
            let code = ErrorCode::FLOW_CONTROL_ERROR;
            stream
                .send_window
                .shift(by)
                .map_err(|_| Fault::Connection(code, "INITIAL_WINDOW_SIZE that takes a window beyond 2^31-1"))?;
            open.push(stream.call);
        }
        if by > 0 {
            open.into_iter().for_each(|call| self.schedule(call));
        }
        Ok(())
    }

    /// The peer has acknowledged our SETTINGS.
    fn settings_in_force(&mut self) {
        if std::mem::replace(&mut self.settings_acknowledged, true) {
            return;
        }
        self.lifetime.settings_acknowledged();
        self.decoder.settings_acknowledged();
        self.settle_stream_windows();
    }

    pub(super) fn read_ping(&mut self, ping: Ping, now: Instant) -> Result<(), Stop> {
        if !ping.ack {
            if self.config.role == Role::Server {
                let idle = self.store.streams() == 0 && !self.config.keepalive_without_calls;
                self.strikes.ping(idle, &self.config.limits, now)?;
            }
            self.transmit.small(|out| Ping { ack: true, ..ping }.encode(out));
            self.count_induced()?;
        } else if ping.payload == goaway::ping_payload(self.config.seed) {
            self.finish_shutdown();
        } else if ping.payload == Bdp::payload(self.config.seed) {
            self.bdp.acknowledge(now);
        }
        Ok(())
    }

    pub(super) fn read_goaway(&mut self, goaway: GoAway<'_>, now: Instant) -> Result<(), Stop> {
        let known = self.going_away.peer.as_ref();
        let first = known.is_none();
        let lower = known.is_none_or(|known| goaway.last_stream < known.last_stream);
        // The last of several need not say again why.
        let debug = match known {
            Some(known) if goaway.debug.is_empty() => known.debug.clone(),
            _ => goaway.debug[..goaway.debug.len().min(goaway::DEBUG_KEPT)].to_vec(),
        };
        let peer = PeerGoAway {
            last_stream: goaway.last_stream.min(known.map_or(MAX_U31, |known| known.last_stream)),
            code: goaway.code,
            debug,
        };
        self.going_away.peer = Some(peer);
        if first {
            self.events.push_back(Event::Draining);
        }
        if self.config.role == Role::Client && lower {
            // This looks at every stream, for a few bytes.
            self.floods.walk(self.store.streams(), &self.config.limits, now)?;
            self.end_unanswered();
        }
        Ok(())
    }
}
