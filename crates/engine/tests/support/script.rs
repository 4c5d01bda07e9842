use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Closed, Config, ConnectionError, Encoding, ErrorCode, Limits, RunBuilder};
use fastrand::Rng;

use super::{End, Pair, Weather};

/// Plays bytes as a script: weather, limits, then what two applications do with their ends of a connection and when.
/// However it goes, every message must arrive once, in order and unchanged, or its call end with exactly one `Closed`
/// that has a reason; and when both applications have done their part, nothing may be left waiting.
///
/// Any bytes are a script, so a random generator and a fuzzer can both write them.
pub fn play(script: &[u8]) {
    let mut world = World::new(Script(script));
    while let Some(op) = world.script.byte() {
        world.step(op);
        world.look();
    }
    world.finish();
}

/// Choices, taken one byte after the other; when there is none left, the first.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(script: &'a [u8]) -> Script<'a> {
        Script(script)
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte().unwrap_or(0)) % bound
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Mostly small, sometimes large.
    fn message_len(&mut self) -> usize {
        match usize::from(self.byte().unwrap_or(0)) {
            b @ 0..100 => b,
            b @ 100..200 => (b - 100) * 200,
            b @ 200..250 => (b - 200) * 2000,
            _ => 300_000,
        }
    }
}

/// What the two applications did with one call.
#[derive(Debug)]
struct Story {
    client: CallId,
    server: Option<CallId>,
    deadline: Option<Instant>,
    /// Lengths of the messages sent to the server and back, and how many of each arrived.
    requests: Vec<usize>,
    responses: Vec<usize>,
    requests_seen: usize,
    responses_seen: usize,
    half_closed: bool,
    answer: Option<Status>,
    client_cancelled: bool,
    server_cancelled: bool,
}

struct World<'a> {
    script: Script<'a>,
    pair: Pair,
    stories: BTreeMap<u32, Story>,
    /// Messages that arrived and were not released: whose, and their length.
    held: [Vec<(CallId, usize)>; 2],
    broken: bool,
    closed: bool,
    shut_down: bool,
    /// The server takes only so many calls at once, which the client may not know yet.
    limited: bool,
    /// Little may be unread.
    tight: bool,
    /// No message is longer: where each turn carries a few bytes, a long one is a hundred thousand turns that show nothing
    /// new.
    longest: usize,
    /// Limits and weather in words, for the report of a failure.
    setting: String,
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n{:?}\n{:?}", self.setting, self.pair.client.connection, self.pair.server.connection);
        }
    }
}

fn limits(script: &mut Script<'_>) -> Limits {
    let mut limits = Limits::default();
    limits.stream_window = script.pick(&[1 << 20, 65_535, 20_000, 1000, 1]);
    limits.connection_window = script.pick(&[1 << 20, 100_000, 65_535]);
    limits.max_frame_size = script.pick(&[16_384, 20_000, 1 << 20]);
    limits.max_concurrent_streams = script.pick(&[None, Some(1), Some(3), Some(100)]);
    limits.send_buffer = script.pick(&[64 << 10, 1, 5000]);
    limits.header_table_size = script.pick(&[4096, 0, 100, 65_536]);
    limits.initial_stream_window = script.pick(&[65_535, 1000]);
    limits.incomplete = script.pick(&[64 << 20, 100_000, 1]);
    limits.unread = script.pick(&[256 << 20, 30_000, 1]);
    limits
}

fn weather(script: &mut Script<'_>) -> Weather {
    Weather {
        chop: script.below(2) == 0,
        delay: Duration::from_millis(script.pick(&[0, 0, 1, 50, 300])),
        steady: false,
        capacity: script.pick(&[usize::MAX, 100_000, 1000, 100]),
        breaks_after: match script.below(8) {
            0 => Some(script.below(256) * script.pick(&[1, 10, 1000]) + 1),
            _ => None,
        },
    }
}

/// The bytes of a message, which tell whose and which it is.
fn message(tag: u32, direction: u32, index: usize, len: usize) -> Vec<u8> {
    let mut rng = Rng::with_seed(u64::from(tag) << 33 | u64::from(direction) << 32 | index as u64);
    // A period that no frame or window has.
    let pattern: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(1009.min(len)).collect();
    let mut message = pattern.repeat(len.div_ceil(1009));
    message.truncate(len);
    message
}

impl<'a> World<'a> {
    fn new(mut script: Script<'a>) -> World<'a> {
        let seed = (0..4).fold(0, |seed, _| seed << 8 | script.below(256) as u64);
        let mut client = Config { seed, ..Config::client() };
        let mut server = Config { seed: seed + 1, ..Config::server() };
        (client.runs, server.runs) = (script.below(2) == 0, script.below(2) == 0);
        client.limits = limits(&mut script);
        client.limits.max_concurrent_streams = None;
        server.limits = limits(&mut script);
        // On a wire of a few hundred bytes a second an acknowledgement can wait behind much else.
        client.limits.settings_timeout = Duration::from_secs(3600);
        server.limits.settings_timeout = client.limits.settings_timeout;
        let tight = [&client, &server].iter().any(|config| config.limits.unread < 1 << 20);
        let limited = server.limits.max_concurrent_streams.is_some() || tight;
        let window = client.limits.stream_window.min(server.limits.stream_window);
        let weather = [weather(&mut script), weather(&mut script)];
        let longest = match weather[0].capacity.min(weather[1].capacity) {
            _ if window < 1000 => 2000,
            0..1000 => 3000,
            1000..10_000 => 30_000,
            _ => usize::MAX,
        };
        let setting = format!("client: {:?}\nserver: {:?}\nweather: {weather:?}", client.limits, server.limits);
        let mut pair = Pair::new(client, server, weather, Rng::with_seed(seed));
        pair.client.release = false;
        pair.server.release = false;
        (pair.client.want, pair.server.want) = (false, false);
        let broken = weather.iter().any(|weather| weather.breaks_after.is_some());
        World {
            script,
            pair,
            stories: BTreeMap::new(),
            held: [Vec::new(), Vec::new()],
            broken,
            closed: false,
            shut_down: false,
            limited,
            tight,
            longest,
            setting,
        }
    }

    fn step(&mut self, op: u8) {
        match op % 32 {
            0..=3 => self.open(),
            4..=9 => self.client_sends(),
            10..=11 => self.half_close(),
            12 => self.client_cancels(),
            13..=18 => self.server_sends(),
            19..=20 => self.answer(),
            21 => self.send_headers(),
            22 => self.server_cancels(),
            23..=24 => self.release(),
            25 => {
                let time = Duration::from_millis(self.script.pick(&[1, 10, 100, 1000]));
                self.pair.run_for(time);
            }
            26 => self.pair.run(),
            27 => self.rarely(),
            28 => self.client_sends_run(),
            _ => {
                for _ in 0..self.script.below(64) {
                    self.pair.turn();
                }
            }
        }
    }

    /// What ends the whole connection.
    fn rarely(&mut self) {
        match self.script.below(64) {
            0 => {
                self.broken = true;
                self.pair.break_wire();
            }
            1 => {
                self.shut_down = true;
                self.pair.server.connection.shutdown(self.pair.now);
            }
            2 => {
                self.shut_down = true;
                self.pair.client.connection.shutdown(self.pair.now);
            }
            3 => {
                self.closed = true;
                let status = Status::new(Code::Cancelled, "closed");
                self.pair.client.connection.close(ErrorCode::NO_ERROR, "", &status, self.pair.now);
            }
            4 => {
                self.closed = true;
                let status = Status::new(Code::Unavailable, "closed");
                self.pair.server.connection.close(ErrorCode::NO_ERROR, "", &status, self.pair.now);
            }
            _ => {}
        }
    }

    /// How messages are compressed: mostly not. Where little may be unread a compressed message can end its call.
    fn encoding(&mut self) -> Encoding {
        let choices = [Encoding::Identity, Encoding::Identity, Encoding::Deflate, Encoding::Gzip];
        self.script.pick(if self.tight { &choices[..1] } else { &choices })
    }

    fn open(&mut self) {
        let tag = self.stories.len() as u32;
        let timeout = match self.script.below(8) {
            0 => Some(Duration::from_millis(self.script.below(256) as u64 * 4)),
            _ => None,
        };
        let mut metadata = Metadata::new();
        for _ in 0..self.script.below(4) {
            let key = self.script.pick(&["a", "long-name-that-repeats", "b-bin", "c-bin"]);
            let value = vec![b'v'; self.script.below(200)];
            metadata.append(key, value).expect("keys and values are legal");
        }
        let deadline = timeout.map(|timeout| self.pair.now + timeout);
        let encoding = self.encoding();
        match self.pair.open_encoded(&format!("/s.S/{tag}"), &metadata, timeout, encoding) {
            Ok(client) => {
                let story = Story {
                    client,
                    server: None,
                    deadline,
                    requests: Vec::new(),
                    responses: Vec::new(),
                    requests_seen: 0,
                    responses_seen: 0,
                    half_closed: false,
                    answer: None,
                    client_cancelled: false,
                    server_cancelled: false,
                };
                self.stories.insert(tag, story);
            }
            Err(_) => assert!(!self.pair.client.connection.accepts_calls()),
        }
    }

    /// A call that lives at this end as far as the application knows.
    fn pick(&mut self, server: bool) -> Option<u32> {
        let live: Vec<u32> = self
            .stories
            .iter()
            .filter(|(_, story)| match (server, story.server) {
                (false, _) => self.pair.client.call(story.client).closed.is_none(),
                (true, Some(call)) => self.pair.server.call(call).closed.is_none(),
                (true, None) => false,
            })
            .map(|(tag, _)| *tag)
            .collect();
        if live.is_empty() { None } else { Some(live[self.script.below(live.len())]) }
    }

    fn client_sends(&mut self) {
        let Some(tag) = self.pick(false) else { return };
        let len = self.script.message_len().min(self.longest);
        let (shared, patient) = (self.script.below(2) == 0, self.script.below(4) > 0);
        let Some(story) = self.stories.get_mut(&tag) else { return };
        let connection = &mut self.pair.client.connection;
        if patient && !connection.writable(story.client) {
            return;
        }
        let message = message(tag, 0, story.requests.len(), len);
        let sent = match shared {
            true => connection.send_message(story.client, Bytes::from(message)),
            false => connection.send_message(story.client, &message[..]),
        };
        match sent {
            Ok(()) => story.requests.push(len),
            Err(_) => assert!(story.half_closed || story.client_cancelled || self.closed),
        }
    }

    /// Several small messages as one run.
    fn client_sends_run(&mut self) {
        let Some(tag) = self.pick(false) else { return };
        let (count, len) = (self.script.below(40), self.script.below(300));
        let Some(story) = self.stories.get_mut(&tag) else { return };
        let mut run = RunBuilder::default();
        for index in 0..count {
            let message = message(tag, 0, story.requests.len() + index, len);
            let pushed: Result<(), ()> = run.push(|buffer| {
                buffer.extend_from_slice(&message);
                Ok(())
            });
            pushed.expect("nothing can fail");
        }
        match self.pair.client.connection.send_run(story.client, run.take(), true) {
            Ok(()) => story.requests.resize(story.requests.len() + count, len),
            Err(_) => assert!(story.half_closed || story.client_cancelled || self.closed),
        }
    }

    fn half_close(&mut self) {
        let Some(tag) = self.pick(false) else { return };
        let Some(story) = self.stories.get_mut(&tag) else { return };
        match self.pair.client.connection.half_close(story.client) {
            Ok(()) => story.half_closed = true,
            Err(_) => assert!(story.half_closed || story.client_cancelled || self.closed),
        }
    }

    fn client_cancels(&mut self) {
        let Some(tag) = self.pick(false) else { return };
        let Some(story) = self.stories.get_mut(&tag) else { return };
        self.pair.client.connection.cancel(story.client, Status::new(Code::Cancelled, "client"));
        story.client_cancelled = true;
    }

    fn server_sends(&mut self) {
        let Some(tag) = self.pick(true) else { return };
        let len = self.script.message_len().min(self.longest);
        let (shared, patient) = (self.script.below(2) == 0, self.script.below(4) > 0);
        let Some(story) = self.stories.get_mut(&tag) else { return };
        let Some(call) = story.server else { return };
        let connection = &mut self.pair.server.connection;
        if patient && !connection.writable(call) {
            return;
        }
        let message = message(tag, 1, story.responses.len(), len);
        let sent = match shared {
            true => connection.send_message(call, Bytes::from(message)),
            false => connection.send_message(call, &message[..]),
        };
        match sent {
            Ok(()) => story.responses.push(len),
            Err(_) => assert!(story.answer.is_some() || story.server_cancelled || self.closed),
        }
    }

    fn answer(&mut self) {
        let Some(tag) = self.pick(true) else { return };
        let code = Code::ALL[self.script.below(Code::ALL.len())];
        let code = if code == Code::DeadlineExceeded { Code::Aborted } else { code };
        self.answer_with(tag, Status::new(code, if code == Code::Ok { "" } else { "answer %☃" }));
    }

    fn answer_with(&mut self, tag: u32, status: Status) {
        let Some(story) = self.stories.get_mut(&tag) else { return };
        let Some(call) = story.server else { return };
        match self.pair.server.connection.respond(call, &status, &Metadata::new()) {
            Ok(()) => story.answer = Some(status),
            Err(_) => assert!(story.answer.is_some() || story.server_cancelled || self.closed),
        }
    }

    fn send_headers(&mut self) {
        let Some(call) = self.pick(true).and_then(|tag| self.stories[&tag].server) else { return };
        // Refused after the first message; either is fine here.
        let encoding = self.encoding();
        let _ = self.pair.server.connection.set_encoding(call, encoding);
        let _ = self.pair.server.connection.send_headers(call, &Metadata::new());
    }

    fn server_cancels(&mut self) {
        let Some(tag) = self.pick(true) else { return };
        let Some(story) = self.stories.get_mut(&tag) else { return };
        let Some(call) = story.server else { return };
        self.pair.server.connection.cancel(call, Status::new(Code::Internal, "server"));
        story.server_cancelled = true;
    }

    fn release(&mut self) {
        let side = self.script.below(2);
        let many = self.script.below(8);
        let many = many.min(self.held[side].len());
        let end = if side == 0 { &mut self.pair.client } else { &mut self.pair.server };
        for (call, len) in self.held[side].drain(..many) {
            end.connection.release(call, len);
        }
        if !end.large.is_empty() {
            let call = end.large.swap_remove(self.script.below(end.large.len()));
            end.connection.want(call);
        }
    }

    /// Takes what arrived at both ends and holds it against what was sent.
    fn look(&mut self) {
        self.pair.client.drain();
        self.pair.server.drain();
        while let Some(call) = self.pair.server.poll_request() {
            let head = self.pair.server.call(call).head.as_ref().expect("a request has a head");
            let tag =
                head.path.strip_prefix("/s.S/").and_then(|tag| tag.parse().ok()).expect("the path came unchanged");
            let story: &mut Story = self.stories.get_mut(&tag).expect("the call was opened");
            assert_eq!(head.deadline.is_some(), story.deadline.is_some());
            assert!(story.server.replace(call).is_none(), "a request comes once");
        }
        let [client_held, server_held] = &mut self.held;
        for (tag, story) in &mut self.stories {
            let Story { requests, requests_seen, responses, responses_seen, .. } = story;
            if let Some(call) = story.server {
                take(&mut self.pair.server, call, (*tag, 0), requests, requests_seen, server_held);
                if self.pair.server.call(call).half_closed {
                    assert!(story.half_closed && requests_seen == &requests.len());
                }
            }
            take(&mut self.pair.client, story.client, (*tag, 1), responses, responses_seen, client_held);
        }
        for end in [&self.pair.client, &self.pair.server] {
            match &end.disconnected {
                None => {}
                Some(ConnectionError::TransportClosed(_)) => assert!(self.broken || self.shut_down || self.closed),
                Some(ConnectionError::ClosedLocally | ConnectionError::GoneAway(..)) => {
                    assert!(self.shut_down || self.closed);
                }
                Some(error) => panic!("two of a kind do not understand each other: {error}"),
            }
        }
    }

    /// Both applications do their part to the end; then nothing may be left.
    fn finish(&mut self) {
        let mut idle = 0;
        while idle < 3 {
            let before = self.progress();
            for side in 0..2 {
                let end = if side == 0 { &mut self.pair.client } else { &mut self.pair.server };
                for (call, len) in self.held[side].drain(..) {
                    end.connection.release(call, len);
                }
                end.large.clear();
            }
            let tags: Vec<u32> = self.stories.keys().copied().collect();
            for tag in tags {
                let story = self.stories.get_mut(&tag).expect("the call was opened");
                let open = self.pair.client.call(story.client).closed.is_none();
                if open && !story.half_closed && !story.client_cancelled {
                    story.half_closed = self.pair.client.connection.half_close(story.client).is_ok();
                }
                let done = |call: CallId| {
                    let seen = self.pair.server.call(call);
                    seen.half_closed && seen.closed.is_none()
                };
                if story.server.is_some_and(done) && story.answer.is_none() && !story.server_cancelled {
                    self.answer_with(tag, Status::OK);
                }
            }
            self.pair.run();
            self.look();
            idle = if self.progress() == before { idle + 1 } else { 0 };
        }
        if self.shut_down || self.closed {
            self.pair.run_for(Duration::from_secs(600));
            self.look();
            let ends = [&self.pair.client, &self.pair.server];
            assert!(ends.iter().all(|end| end.disconnected.is_some()), "the shutdown comes to its end");
        }
        let stories = std::mem::take(&mut self.stories);
        stories.iter().for_each(|(tag, story)| self.check(*tag, story));
        let Pair { client, server, .. } = &self.pair;
        assert_eq!((client.connection.calls(), server.connection.calls()), (0, 0));
        if !self.broken && client.disconnected.is_none() && server.disconnected.is_none() {
            self.probe();
        }
    }

    /// After all that the connection is as good as new: a call that needs every window many times over goes through.
    fn probe(&mut self) {
        let Pair { client, server, .. } = &mut self.pair;
        (client.release, server.release, client.want, server.want) = (true, true, true, true);
        let call = self.pair.open("/s.S/probe");
        // Over a thin wire just more than the connection's window at its smallest.
        let message = Bytes::from(vec![1; if self.longest < 100_000 { 20_000 } else { 400_000 }]);
        for _ in 0..4 {
            self.pair.client.connection.send_message(call, message.clone()).expect("the call is open");
        }
        self.pair.client.connection.half_close(call).expect("the call is open");
        self.pair.run();
        let served = self.pair.server.request();
        assert!(self.pair.server.messages(served) == vec![message.clone(); 4]);
        for _ in 0..4 {
            self.pair.server.connection.send_message(served, message.clone()).expect("the call is open");
        }
        let answered = self.pair.server.connection.respond(served, &Status::OK, &Metadata::new());
        answered.expect("the call is open");
        self.pair.run();
        assert!(self.pair.client.messages(call) == vec![message; 4]);
        assert!(self.pair.client.closed(call).completed && self.pair.server.closed(served).completed);
    }

    /// Grows whenever anything happens to a call.
    fn progress(&self) -> usize {
        let seen = self.pair.client.seen.values().chain(self.pair.server.seen.values());
        let ends: usize = seen.map(|seen| usize::from(seen.closed.is_some()) + usize::from(seen.half_closed)).sum();
        ends + self.stories.values().map(|story| story.requests_seen + story.responses_seen).sum::<usize>()
    }

    fn check(&self, tag: u32, story: &Story) {
        let lost = self.broken || self.closed;
        let late = story.deadline.is_some();
        let client = self.pair.client.call(story.client).closed.as_ref();
        let client = client.unwrap_or_else(|| panic!("call {tag} waits for ever at the client: {story:?}"));
        // A server that sees the deadline pass first answers by itself.
        let expired = |closed: &Closed| late && closed.status.code == Code::DeadlineExceeded;
        if expired(client) {
            assert_eq!(client.status.message, "Deadline Exceeded");
        } else if client.completed {
            assert_eq!(Some(&client.status), story.answer.as_ref(), "call {tag}");
            assert_eq!(story.responses_seen, story.responses.len(), "call {tag} lost responses");
        } else {
            let refused = (self.shut_down || self.limited) && client.unprocessed;
            let reason = story.client_cancelled || story.server_cancelled || late || lost || refused;
            assert!(reason, "call {tag} ended for no reason: {client:?}");
        }
        if client.unprocessed {
            assert!(story.server.is_none(), "call {tag} was processed");
        }
        let Some(call) = story.server else { return };
        let server = self.pair.server.call(call).closed.as_ref();
        let server = server.unwrap_or_else(|| panic!("call {tag} waits for ever at the server: {story:?}"));
        if expired(server) {
            assert_eq!(server.status.message, "Deadline Exceeded");
        } else if server.completed {
            assert_eq!(Some(&server.status), story.answer.as_ref(), "call {tag}");
        } else {
            let reason = story.client_cancelled || story.server_cancelled || late || lost;
            assert!(reason, "call {tag} ended for no reason: {server:?}");
        }
    }
}

/// Takes the messages that came for a call and compares them with those sent.
fn take(
    end: &mut End,
    call: CallId,
    (tag, direction): (u32, u32),
    sent: &[usize],
    seen: &mut usize,
    held: &mut Vec<(CallId, usize)>,
) {
    for came in end.messages(call) {
        let len = *sent.get(*seen).unwrap_or_else(|| panic!("call {tag}: a message that nobody sent"));
        assert!(came == message(tag, direction, *seen, len), "call {tag}: message {seen} came changed");
        *seen += 1;
        held.push((call, len));
    }
}
