//! A server that echoes, and the calls of a client.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use farcall_blocking::{
    call::{Call, CallState, Last, Outbox, Waited},
    channel::Channel,
    connection::Then,
    handover::{Handover, NewCall},
    server::Server,
};
use farcall_core::{Code, Metadata, Status};
use farcall_system::{
    credentials::PortSecurity,
    message::Message,
    options::{ChannelOptions, ServerOptions, Value},
};

/// A service config that has servers asked for their health.
pub(crate) const HEALTH_CHECKED: (&str, &str) =
    ("grpc.service_config", r#"{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}"#);

/// Until then a test waits for what must come.
pub(crate) fn patience() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// What every thread of the hands is given to: it runs as it comes.
fn host(work: &mut (dyn FnMut() + Send)) {
    work();
}

/// A channel's options, of which none may be refused.
pub(crate) fn options(texts: &[(&str, &str)]) -> ChannelOptions {
    let (options, mut complaints) =
        ChannelOptions::read(texts.iter().map(|(key, text)| ((*key).to_owned(), Value::Text((*text).to_owned()))));
    // Not every face asks servers for their health.
    complaints.retain(|complaint| !complaint.contains("healthCheckConfig"));
    assert_eq!(complaints, Vec::<String>::new());
    options
}

pub(crate) fn channel_to(port: u16, options: &ChannelOptions) -> Arc<Channel> {
    Channel::new(&format!("127.0.0.1:{port}"), options, host).unwrap()
}

/// A call of `path` with nothing in it yet.
pub(crate) fn open(path: &str) -> Outbox {
    Outbox::new(path.to_owned(), Metadata::new())
}

/// One unary call, and its answer.
pub(crate) fn echo(channel: &Arc<Channel>, message: &[u8]) -> Vec<u8> {
    let mut outbox = open("/test.Echo/Unary");
    outbox.half_closed = true;
    let call = channel.start(outbox, Some(Message::Borrowed(message)), Some(patience()), Then::Wait);
    assert_eq!(call.wait(None, &CallState::ended), Waited::Done);
    let answer = call.lock().inbox.pop_front();
    let status = call.lock().closed.as_ref().unwrap().status.clone();
    answer.unwrap_or_else(|| panic!("no answer: {status:?}")).to_vec()
}

/// All messages until the end of a call.
pub(crate) fn collect(call: &Arc<Call>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    loop {
        if call.lock().inbox.is_empty() {
            call.release();
        }
        assert_eq!(call.wait(Some(patience()), &CallState::receivable), Waited::Done);
        match call.take_message() {
            Some(message) => messages.push(message.to_vec()),
            None => break,
        }
    }
    assert_eq!(call.wait(Some(patience()), &CallState::ended), Waited::Done);
    messages
}

/// A server of `/test.Echo/*`: each request comes back, and the end of the requests is that of the responses.
pub(crate) struct Echo {
    pub(crate) server: Arc<Server>,
    pub(crate) port: u16,
    seen: Arc<Seen>,
    ended: Receiver<Code>,
}

#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    peers: Mutex<Vec<String>>,
}

impl Echo {
    pub(crate) fn start() -> Echo {
        Echo::secured(None)
    }

    pub(crate) fn secured(security: Option<&PortSecurity>) -> Echo {
        let (options, _) = ServerOptions::read([]);
        let handover = Arc::<Handover>::default();
        let server = Server::new(&options, &handover, host).unwrap();
        let port = server.add_port("127.0.0.1:0", security).unwrap();
        let seen = Arc::<Seen>::default();
        // The first thread takes calls from the reactor; those that have served one take the next by themselves.
        let (sender, ended) = mpsc::channel();
        let noted = Arc::clone(&seen);
        let serve = move |calls: Vec<NewCall>| {
            for call in calls {
                let (seen, sender, handover) = (Arc::clone(&noted), sender.clone(), Arc::clone(&handover));
                thread::spawn(move || serve_many(call, &seen, &sender, &handover));
            }
        };
        assert!(server.start(Box::new(serve), host).unwrap());
        Echo { server, port, seen, ended }
    }

    pub(crate) fn channel(&self) -> Arc<Channel> {
        channel_to(self.port, &options(&[]))
    }

    /// How many calls have come.
    pub(crate) fn calls(&self) -> usize {
        self.seen.calls.load(Ordering::SeqCst)
    }

    /// From how many connections.
    pub(crate) fn connections(&self) -> usize {
        let mut peers = self.seen.peers.lock().unwrap().clone();
        peers.sort();
        peers.dedup();
        peers.len()
    }

    /// How calls ended that did not end well.
    pub(crate) fn ended(&self) -> &Receiver<Code> {
        &self.ended
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.server.stop();
    }
}

fn serve_many(first: NewCall, seen: &Seen, ended: &Sender<Code>, handover: &Handover) {
    let mut next = Some(first);
    while let Some((call, head)) = next {
        if head.path == "/grpc.health.v1.Health/Watch" {
            be_well(&call, ended);
        } else {
            serve(&call, seen, ended);
        }
        next = handover.take(Duration::from_millis(2));
    }
}

/// Says that it is SERVING, and nothing more until the client leaves.
fn be_well(call: &Arc<Call>, ended: &Sender<Code>) {
    call.wait(None, &CallState::receivable);
    call.take_message();
    call.send(Message::Borrowed(&[8, 1]), true);
    call.wait(None, &CallState::ended);
    let code = call.lock().closed.as_ref().map_or(Code::Ok, |closed| closed.status.code);
    let _ = ended.send(code);
}

fn serve(call: &Arc<Call>, seen: &Seen, ended: &Sender<Code>) {
    seen.calls.fetch_add(1, Ordering::SeqCst);
    seen.peers.lock().unwrap().push(call.lock().peer.to_string());
    loop {
        if call.lock().inbox.is_empty() {
            call.release();
        }
        call.wait(None, &CallState::receivable);
        let Some(message) = call.take_message() else { break };
        let message = Message::Owned(message);
        let is_last = {
            let state = call.lock();
            state.half_closed && state.inbox.is_empty()
        };
        if is_last {
            // With its status, in one write.
            call.finish(Some(Last { message, compress: true }), &Status::OK, &Metadata::new());
            return;
        }
        call.wait(None, &CallState::sendable);
        call.send(message, true);
    }
    if !call.finish(None, &Status::OK, &Metadata::new()) {
        let code = call.lock().closed.as_ref().map_or(Code::Ok, |closed| closed.status.code);
        let _ = ended.send(code);
    }
}
