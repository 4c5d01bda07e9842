//! One unary call after the other through the hands, over loopback: what the thread that calls does is counted, system
//! calls apart. The server is an engine on a thread of its own.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Instant,
};

use bytes::{Buf, Bytes};
use farcall_blocking::{
    call::{CallState, Outbox},
    channel::Channel,
    connection::Then,
};
use farcall_core::{Metadata, Status};
use farcall_engine::{Config, Connection, Event, Outgoing};
use farcall_system::{message::Message, options::ChannelOptions};

use crate::measured;

const PATH: &str = "/package.Service/Method";
const MESSAGE: &[u8] = &[7; 32];

/// Calls that are not counted: what only the first ones do.
const WARM_UP: usize = 20;

/// A thread that waits in its own call: `farcall-blocking`.
pub(crate) fn blocking(times: usize) {
    let (options, _) = ChannelOptions::read([]);
    let channel = Channel::new(&format!("127.0.0.1:{}", serve()), &options, |work| work()).expect("a channel");
    let call = || {
        let mut outbox = Outbox::new(PATH.to_owned(), Metadata::new());
        outbox.half_closed = true;
        let call = channel.start(outbox, Some(Message::Borrowed(MESSAGE)), None, Then::Wait);
        call.wait(None, &CallState::ended);
        assert_eq!(call.lock().inbox.pop_front().as_deref(), Some(MESSAGE));
    };
    (0..WARM_UP).for_each(|_| call());
    (0..times).for_each(|_| measured(call));
}

/// A task on a runtime of one thread: `farcall`, and `farcall-net` below it.
pub(crate) fn tokio(times: usize) {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let channel = farcall::Channel::new(format!("http://127.0.0.1:{}", serve())).expect("a target");
    let call = || {
        let request = farcall::Request::new(Bytes::from_static(MESSAGE));
        let answer = runtime.block_on(channel.unary::<_, _, Bytes>(PATH, farcall::codec::Bytes, request));
        assert_eq!(answer.expect("an answer").into_inner(), MESSAGE);
    };
    (0..WARM_UP).for_each(|_| call());
    (0..times).for_each(|_| measured(call));
}

/// A server of one connection that echoes; its port.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || echo(listener.accept().expect("a client").0));
    port
}

fn echo(mut socket: TcpStream) {
    socket.set_nodelay(true).expect("a TCP socket");
    let mut server = Connection::new(Config::server(), Instant::now());
    let mut wire = Vec::new();
    loop {
        wire.clear();
        while let Some(transmit) = server.poll_transmit(Instant::now()) {
            while transmit.has_remaining() {
                wire.extend_from_slice(transmit.chunk());
                transmit.advance(transmit.chunk().len());
            }
        }
        if socket.write_all(&wire).is_err() {
            return;
        }
        let Ok(len @ 1..) = socket.read(server.receive_buffer()) else { return };
        server.handle_received(len, Instant::now());
        while let Some(event) = server.poll_event() {
            match event {
                Event::Message { call, message } => {
                    server.release(call, message.len());
                    server.send_message(call, Outgoing::Shared(message)).expect("the call is open");
                }
                Event::HalfClosed { call } => {
                    server.respond(call, &Status::OK, &Metadata::new()).expect("the call is open");
                }
                _ => {}
            }
        }
    }
}
