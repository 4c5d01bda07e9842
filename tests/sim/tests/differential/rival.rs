//! `h2`'s server on a transport in memory, stepped by hand.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::server::{Connection, Handshake, SendResponse};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both directions of the transport, as `h2` sees them and as we do.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Pipes>>);

#[derive(Default)]
struct Pipes {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

impl AsyncRead for Memory {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let input = &mut self.0.borrow_mut().input;
        if input.is_empty() {
            return Poll::Pending;
        }
        let len = input.len().min(buffer.remaining());
        input.drain(..len).for_each(|byte| buffer.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request that `h2` handed out.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) authority: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// The body came whole.
    pub(crate) ended: bool,
    stream: h2::RecvStream,
    /// Kept, because letting go of it resets the stream.
    _respond: SendResponse<Bytes>,
}

enum Phase {
    Shaking(Handshake<Memory, Bytes>),
    Serving(Connection<Memory, Bytes>),
    Over,
}

/// `h2`'s server with an application that reads all and answers nothing.
pub(crate) struct Rival {
    memory: Memory,
    phase: Phase,
    pub(crate) requests: Vec<Request>,
    /// It says itself that the connection has failed.
    pub(crate) failed: bool,
}

impl Rival {
    pub(crate) fn new() -> Rival {
        let memory = Memory::default();
        let mut builder = h2::server::Builder::new();
        builder.max_header_list_size(16 << 10).max_frame_size(16_384);
        let phase = Phase::Shaking(builder.handshake(memory.clone()));
        Rival { memory, phase, requests: Vec::new(), failed: false }
    }

    /// Gives it bytes and lets it do all it can; what it writes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.memory.0.borrow_mut().input.extend(bytes);
        // What the application reads can make it write.
        for _ in 0..3 {
            self.step();
        }
        std::mem::take(&mut self.memory.0.borrow_mut().output)
    }

    fn step(&mut self) {
        let context = &mut Context::from_waker(Waker::noop());
        if let Phase::Shaking(handshake) = &mut self.phase {
            self.phase = match Pin::new(handshake).poll(context) {
                Poll::Pending => return,
                Poll::Ready(Ok(connection)) => Phase::Serving(connection),
                Poll::Ready(Err(_)) => Phase::Over,
            };
        }
        let Phase::Serving(connection) = &mut self.phase else { return };
        while let Poll::Ready(accepted) = connection.poll_accept(context) {
            let Some(Ok((request, respond))) = accepted else {
                self.failed |= accepted.is_some();
                self.phase = Phase::Over;
                break;
            };
            let (head, stream) = request.into_parts();
            let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                (name.as_str().to_owned(), value.as_bytes().to_vec())
            };
            self.requests.push(Request {
                path: head.uri.path().to_owned(),
                authority: head.uri.authority().map(ToString::to_string).unwrap_or_default(),
                fields: head.headers.iter().map(field).collect(),
                body: Vec::new(),
                ended: false,
                stream,
                _respond: respond,
            });
        }
        self.requests.iter_mut().for_each(|request| request.read(context));
    }
}

impl Request {
    fn read(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(Ok(data))) = self.stream.poll_data(context) {
            self.body.extend_from_slice(&data);
            let released = self.stream.flow_control().release_capacity(data.len());
            released.expect("what was read can be released");
        }
        self.ended |= matches!(self.stream.poll_trailers(context), Poll::Ready(Ok(_)));
    }
}
