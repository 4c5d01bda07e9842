//! What the hands of clients and servers do, round after round.

use farcall_channel::{
    Action, How, Lost, PREVIOUS_ATTEMPTS, StreamEvent,
    balancer::End as Heard,
    call::{End, Seen},
};
use farcall_core::{Code, Status};

use crate::{
    attempt::{Attempt, Circumstances, Side},
    guests::{self, Long, Paused},
    hand::Client,
    names::server_at,
    setup::Manner,
    witness::{Handle, Key},
    world::{Task, World},
};

impl World<'_> {
    /// What a connection has told since it was last looked at; says whether that was anything.
    pub(crate) fn look_at(&mut self, index: usize) -> bool {
        let link = &mut self.links[index];
        let mut moved = false;
        let (now, id, hand) = (self.now, link.id, &mut self.clients[link.client]);
        if link.ends[0].ready && link.told_ready.is_none() {
            (link.told_ready, moved) = (Some(now), true);
            hand.handle_connected(id, index, now);
            if self.servers[link.server].manner == Manner::Doorman {
                link.refusing = true;
                link.ends[1].connection.shutdown(now);
                link.ends[1].drain();
            }
        }
        let [client_end, _] = &link.ends;
        let draining = client_end.draining || !client_end.connection.accepts_calls();
        let keepalive_time = client_end.connection.next_keepalive_time();
        if let Some(error) = client_end.disconnected.as_ref().filter(|_| !link.told_broken) {
            let (why, useful) = (error.to_string(), link.is_useful());
            (link.told_broken, link.told_lost, moved) = (true, true, true);
            let end_streams = |hand: &mut Client| {
                let status = Status::new(Code::Unavailable, "Socket closed");
                for stream in hand.streams(Some(index)) {
                    hand.handle_stream(stream, StreamEvent::Ended(&status), now);
                }
            };
            let first = self.rng.bool();
            if first {
                end_streams(hand);
            }
            if link.told_ready.is_some() {
                let lost = Lost { how: How::Broken, why: &why, useful, keepalive_time };
                hand.handle_lost(id, lost, now, &mut self.rng);
            } else {
                hand.handle_connect_failed(id, Code::Unavailable, why, now);
            }
            // If they were cancelled in between, there are none; they may be under way to it.
            if !first {
                end_streams(hand);
            }
        } else if draining && !link.told_lost && link.told_ready.is_some() {
            (link.told_lost, moved) = (true, true);
            let lost = Lost { how: How::Draining, why: "GOAWAY", useful: link.is_useful(), keepalive_time };
            hand.handle_lost(id, lost, now, &mut self.rng);
        }
        // A server that does not want streams any more, or lets in only so many at once, ends calls too.
        while let Some(call) = self.links[index].ends[1].poll_request() {
            moved = true;
            self.serve(index, call);
        }
        moved
    }

    /// A request has come: whose?
    fn serve(&mut self, index: usize, call: farcall_engine::CallId) {
        let head = self.links[index].ends[1].call(call).head.as_ref().expect("a request has a head");
        match head.path.as_str() {
            // Its application never answers.
            guests::BURST => return,
            guests::LONG => return Long::answer(&mut self.links[index].ends[1], call),
            guests::PAUSED => return Paused::answer(&mut self.links[index].ends[1], call, &mut self.rng),
            _ => {}
        }
        let name = head.path.strip_prefix("/sim.S").and_then(|path| path.split_once('/')).expect("a path of ours");
        let name = name.1.split_once('.').expect("a path of ours");
        let (tag, number): (usize, usize) = (name.0.parse().expect("a tag"), name.1.parse().expect("a number"));
        assert!(!self.unprocessed.contains(&(tag, number)), "call {tag}: an attempt that was told unprocessed");
        assert_eq!(head.authority, "sim.example");
        let mut metadata = head.metadata.clone();
        metadata.remove("user-agent");
        let previous = metadata.first(PREVIOUS_ATTEMPTS).map(|value| String::from_utf8_lossy(value).into_owned());
        metadata.remove(PREVIOUS_ATTEMPTS);
        assert_eq!(metadata, self.calls[tag].plan.metadata, "call {tag}: metadata");
        assert_eq!(head.deadline.is_some(), self.calls[tag].deadline.is_some(), "call {tag}: the deadline");
        let find = |attempt: &&mut Attempt| (attempt.tag, attempt.number, attempt.link) == (tag, number, index);
        let attempt = self.attempts.iter_mut().find(find).unwrap_or_else(|| panic!("call {tag} came unasked"));
        assert!(attempt.server.is_none(), "call {tag} came twice");
        assert_eq!(previous, (attempt.previous > 0).then(|| attempt.previous.to_string()), "call {tag}: {number}");
        if self.servers[self.links[index].server].manner == Manner::Resetter {
            attempt.plan.cancel[1] = Some(std::time::Duration::ZERO);
        }
        attempt.server = Some(Side::new(call, 1, &attempt.plan, self.now));
    }

    pub(crate) fn step_attempts(&mut self) -> bool {
        let mut moved = false;
        // None is taken away or goes to another place meanwhile; new ones wait for a connection first.
        for index in 0..self.attempts.len() {
            moved |= self.step_attempt(index);
        }
        // The server may hear of a call that the client has given up, as long as the connection lives.
        let links = &self.links;
        self.attempts.retain(|attempt| {
            let gone = links[attempt.link].ends[1].disconnected.is_some();
            !attempt.client.over || attempt.server.as_ref().map_or(!gone, |side| !side.over)
        });
        moved
    }

    fn step_attempt(&mut self, index: usize) -> bool {
        let attempt = &mut self.attempts[index];
        let (tag, id) = (attempt.tag, attempt.id());
        let call = &mut self.calls[tag];
        if attempt.begins(&self.links[attempt.link].ends) && call.rpc.handle_headers(id) {
            assert_eq!(call.winner.replace(id), None, "call {tag} has two winners");
            self.drive(tag);
        }
        let attempt = &mut self.attempts[index];
        let link = &mut self.links[attempt.link];
        let (disturbed, refusing) = (link.disturbed, link.refusing);
        let world = Circumstances { now: self.now, healed: self.healed, disturbed, refusing };
        let mut moved = attempt.step(&mut link.ends, self.text, world);
        let closed = attempt.client_closed(&link.ends, world);
        let server_closed = attempt.server_closed(&link.ends, world);
        let overflow = attempt.sent() > attempt.plan.kept && attempt.plan.policy.is_some() && !attempt.client.over;
        let (number, processed) = (attempt.number, attempt.server.is_some());
        if let (Some(closed), Some(done)) = (&closed, attempt.done.take_if(|_| closed.is_some())) {
            done.end(&Heard { code: Some(closed.status.code), trailers: Some(&closed.trailers) });
        }
        if let Some(closed) = server_closed {
            moved = true;
            self.note((tag, 1, closed.status.code, closed.completed));
        }
        let call = &mut self.calls[tag];
        if overflow && !call.rpc.is_committed() && call.is_live(id) {
            call.rpc.handle_overflow(Some(id));
            self.drive(tag);
        }
        let Some(closed) = closed else { return moved };
        self.note((tag, 0, closed.status.code, &closed.status.message, closed.completed));
        let seen = match (closed.unprocessed, closed.unsent) {
            (true, true) => Seen::Never,
            (true, false) => Seen::Refused,
            (false, _) => Seen::Perhaps,
        };
        if closed.unprocessed {
            assert!(!processed, "call {tag} was processed");
            self.unprocessed.push((tag, number));
        }
        let Status { code, .. } = closed.status;
        let end = End { code, trailers: &closed.trailers, completed: closed.completed, seen };
        self.attempt_ended(tag, id, end, closed.status);
        true
    }

    pub(crate) fn step_channels(&mut self) -> bool {
        let mut moved = false;
        for index in 0..self.clients.len() {
            moved |= self.clients[index].time_out(self.now);
            moved |= self.pump(index);
        }
        moved
    }

    /// Does what a channel asks for, until its drainer takes a break; says whether that was anything.
    fn pump(&mut self, index: usize) -> bool {
        let mut moved = false;
        loop {
            let hand = &mut self.clients[index];
            let Some(action) = hand.next_action(self.now, &mut self.rng) else { return moved };
            moved = true;
            let Some(action) = hand.pause(action, self.now, &mut self.rng) else { return moved };
            if let Some(action) = hand.take(action, self.now, &mut self.trace) {
                self.act(index, action);
            }
        }
    }

    fn act(&mut self, index: usize, action: Action<Handle, Key>) {
        let well = self.fair || self.healed;
        match action {
            Action::Resolve(id, _) => {
                let longest = if well || self.rng.u8(0..4) > 0 { 500 } else { 10_000 };
                let after = self.delay(longest);
                self.later(after, Task::Answer { client: index, id });
            }
            Action::Dial(id, dial) => {
                let server = server_at(&dial.address).map(|server| &self.servers[server]);
                // Some are never answered.
                let silent = server.is_some_and(|server| server.manner == Manner::Silent) || self.rng.u8(0..8) == 0;
                if !well && silent {
                    let dialling = self.clients[index].dials.get_mut(&id);
                    dialling.expect("it is under way").silent = true;
                } else {
                    let after = self.delay(300);
                    self.later(after, Task::Dialled { client: index, id });
                }
            }
            Action::Abandon(id) => self.abandon(index, id),
            Action::Release(handle) => {
                let link = &mut self.links[handle.link];
                link.refusing = true;
                link.ends[0].connection.shutdown(self.now);
                link.ends[0].drain();
            }
            Action::Close(handle, status) => self.links[handle.link].close(&status, self.now),
            Action::Open(id, handle, request) => {
                assert_eq!(request.path, "/grpc.health.v1.Health/Watch");
                if self.links[handle.link].is_alive() {
                    let after = self.delay(500);
                    self.later(after, Task::Health { client: index, id });
                } else {
                    let status = Status::new(Code::Unavailable, "it takes no streams");
                    self.clients[index].handle_stream(id, StreamEvent::Ended(&status), self.now);
                }
            }
            Action::AskInUse(handles) => {
                assert!(!handles.is_empty(), "the channel asks about nothing");
                let links = handles.iter().map(|handle| handle.link).collect();
                let after = if self.rng.bool() { self.delay(1) } else { self.delay(200) };
                self.later(after, Task::InUse { client: index, links });
            }
            Action::Start(key, placed) => self.given((key.tag, key.attempt, key.serial), Ok(placed)),
            Action::Fail(key, refusal) => self.given((key.tag, key.attempt, key.serial), Err(refusal)),
            other => unreachable!("it was taken: {other:?}"),
        }
    }

    /// An attempt to connect is given up: its answer comes all the same.
    fn abandon(&mut self, index: usize, id: farcall_channel::DialId) {
        let hand = &mut self.clients[index];
        // The answer may have come while this did.
        let Some(dialling) = hand.dials.get_mut(&id) else { return };
        assert!(!std::mem::replace(&mut dialling.given_up, true), "{id:?} is given up twice");
        match dialling.link {
            Some(link) => {
                let link = &mut self.links[link];
                if !link.is_alive() || link.is_silent() || self.rng.bool() {
                    link.close(&Status::from(Code::Cancelled), self.now);
                }
            }
            None if dialling.silent => {
                hand.handle_connect_failed(id, Code::Unknown, "given up".to_owned(), self.now);
            }
            None => {}
        }
    }
}
