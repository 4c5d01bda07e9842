//! A client's call under a retry or hedging policy: makes the attempts that its brain asks for, and brings it what
//! comes of them.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    PREVIOUS_ATTEMPTS, Refusal,
    call::{Attempt, AttemptId, Cursor, End, Piece, Rpc, Seen, Verdict},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::Closed;
use tokio::time::Sleep;

use crate::{
    call::Receiver,
    calls::{At, NewCall, Posted},
    channel::Channel,
    mailbox::Command,
    requests::{Batch, Requests},
};

/// One call over its attempts.
pub(crate) struct Attempts {
    channel: Channel,
    call: NewCall,
    rpc: Rpc,
    /// The only request, or the stream of them.
    unary: Option<Bytes>,
    requests: Option<Arc<Requests>>,
    live: Vec<Live>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// An attempt under way.
struct Live {
    id: AttemptId,
    stage: Stage,
    /// How much of the stream of requests it has sent, and whether that was all.
    cursor: Cursor,
    fed: bool,
}

enum Stage {
    /// It waits for a connection.
    Placing(Placing),
    Open(At, Box<Receiver>),
}

type Placing = Pin<Box<dyn Future<Output = Result<Posted, Refusal>> + Send>>;

/// What is heard of an attempt.
enum Heard {
    Placed(Posted),
    Nowhere(Refusal),
    Headers(Metadata),
    Closed(Box<Closed>),
}

/// The attempt that a call has come down to.
pub(crate) struct Winner {
    pub(crate) receiver: Receiver,
    /// Sends what is left of the stream of requests.
    pub(crate) rest: Option<Rest>,
}

impl Attempts {
    pub(crate) fn new(channel: Channel, call: NewCall, rpc: Rpc, unary: Option<Bytes>) -> Attempts {
        Attempts { channel, call, rpc, unary, requests: None, live: Vec::new(), timer: None }
    }

    /// Those of a call with a stream of requests.
    pub(crate) fn streaming(channel: Channel, call: NewCall, rpc: Rpc, requests: Arc<Requests>) -> Attempts {
        let mut attempts = Attempts::new(channel, call, rpc, None);
        attempts.requests = Some(requests);
        attempts
    }

    /// Makes attempts until one has response headers, or the call is over; then its receiver has what came of it.
    ///
    /// # Errors
    /// The status of a call whose last attempt found no connection.
    pub(crate) async fn winner(mut self) -> Result<Winner, Status> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Winner, Status>> {
        loop {
            let now = Instant::now();
            if let Poll::Ready(status) = self.poll_cancelled(context) {
                self.rpc.give_up();
                return Poll::Ready(Err(status));
            }
            self.begin(now);
            self.feed(context);
            if self.choose() {
                continue;
            }
            if let Some((index, heard)) = self.hear(context) {
                match self.handle(index, heard, Instant::now()) {
                    Some(end) => return Poll::Ready(end),
                    None => continue,
                }
            }
            match self.poll_timer(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(status)) => return Poll::Ready(Err(status)),
            }
        }
    }

    fn poll_cancelled(&self, context: &mut Context<'_>) -> Poll<Status> {
        self.requests.as_ref().map_or(Poll::Pending, |requests| requests.poll_cancelled(context))
    }

    /// Begins the attempts that are due, and drops those that have lost, which cancels them.
    fn begin(&mut self, now: Instant) {
        while let Some(id) = self.rpc.poll_cancel() {
            self.live.retain(|live| live.id != id);
        }
        while let Some(attempt) = self.rpc.attempt(now) {
            let stage = Stage::Placing(self.place(attempt));
            self.live.push(Live { id: attempt.id, stage, cursor: Cursor::default(), fed: self.requests.is_none() });
            if self.rpc.is_committed() {
                // It is the last, for what was sent is more than is kept.
                self.requests.iter().for_each(|requests| requests.commit(Cursor::default()));
            }
        }
    }

    fn place(&self, attempt: Attempt) -> Placing {
        let mut call = self.call.clone();
        if attempt.previous > 0 {
            call.metadata.remove(PREVIOUS_ATTEMPTS);
            // The key and the digits of a number may always be sent.
            let _ = call.metadata.append(PREVIOUS_ATTEMPTS, attempt.previous.to_string());
        }
        let (channel, unary) = (self.channel.clone(), self.unary.clone());
        Box::pin(async move {
            let wait_for_ready = call.wait_for_ready.unwrap_or(false);
            channel.post(Box::new(channel.open(call, unary)), wait_for_ready).await
        })
    }

    /// Sends what there is of the stream of requests, by each attempt that has room.
    fn feed(&mut self, context: &mut Context<'_>) {
        let Some(requests) = &self.requests else { return };
        for live in &mut self.live {
            if let Stage::Open(at, _) = &live.stage {
                live.fed = live.fed || feed(requests, at, &mut live.cursor, context).is_ready();
            }
        }
    }

    /// Past what is kept the call is that of the attempt that has sent the most. Says whether others have lost by it.
    fn choose(&mut self) -> bool {
        let Some(requests) = &self.requests else { return false };
        if self.rpc.is_committed() || !requests.has_overflown() {
            return false;
        }
        let furthest = self.live.iter().max_by_key(|live| live.cursor);
        self.rpc.handle_overflow(furthest.map(|live| live.id));
        furthest.inspect(|live| requests.commit(live.cursor)).is_some()
    }

    /// What is new of an attempt.
    fn hear(&mut self, context: &mut Context<'_>) -> Option<(usize, Heard)> {
        self.live.iter_mut().enumerate().find_map(|(index, live)| match live.poll(context) {
            Poll::Ready(heard) => Some((index, heard)),
            Poll::Pending => None,
        })
    }

    /// The end of the attempts, if this is it.
    fn handle(&mut self, index: usize, heard: Heard, now: Instant) -> Option<Result<Winner, Status>> {
        let id = self.live[index].id;
        match heard {
            Heard::Placed(posted) => {
                self.live[index].stage = Stage::Open(posted.at.clone(), Box::new(posted.receiver()));
                None
            }
            Heard::Nowhere(Refusal { status, may_retry }) => {
                self.live.swap_remove(index);
                let seen = if may_retry { Seen::Perhaps } else { Seen::Dropped };
                let end = End { code: status.code, trailers: &Metadata::new(), completed: false, seen };
                (self.rpc.handle_ended(id, end, now) == Verdict::Deliver).then_some(Err(status))
            }
            Heard::Headers(headers) => {
                let live = self.live.swap_remove(index);
                if !self.rpc.handle_headers(id) {
                    return None;
                }
                let mut winner = self.win(live)?;
                winner.receiver.begun(headers, std::mem::take(&mut self.rpc), id);
                Some(Ok(winner))
            }
            Heard::Closed(closed) => {
                let live = self.live.swap_remove(index);
                let seen = seen(&closed);
                if let (Stage::Open(at, _), Seen::Never) = (&live.stage, seen) {
                    self.channel.pump().refused(at.dial, &at.mailbox);
                }
                let Closed { status, trailers, completed, .. } = &*closed;
                let end = End { code: status.code, trailers, completed: *completed, seen };
                if self.rpc.handle_ended(id, end, now) != Verdict::Deliver {
                    return None;
                }
                let mut winner = self.win(live)?;
                winner.receiver.ended(closed);
                Some(Ok(winner))
            }
        }
    }

    /// Everything but this attempt ends.
    fn win(&mut self, live: Live) -> Option<Winner> {
        self.live.clear();
        let Stage::Open(at, receiver) = live.stage else { return None };
        let rest = self.requests.take().map(|requests| {
            requests.commit(live.cursor);
            Rest { requests, at, cursor: live.cursor, fed: live.fed }
        });
        Some(Winner { receiver: *receiver, rest })
    }

    /// Ready when an attempt is due.
    ///
    /// # Errors
    /// The deadline has passed, and no attempt is under way to say so.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let deadline = self.call.deadline.filter(|_| self.live.is_empty());
        let Some(at) = self.rpc.poll_timeout().into_iter().chain(deadline).min() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
        if timer.deadline() != at.into() {
            timer.as_mut().reset(at.into());
        }
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.timer = None;
        if deadline.is_some_and(|deadline| deadline <= at) {
            self.rpc.give_up();
            return Poll::Ready(Err(Status::new(Code::DeadlineExceeded, "Deadline Exceeded")));
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        // Nobody will send what is left.
        self.requests.iter().for_each(|requests| requests.close());
    }
}

impl Live {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        match &mut self.stage {
            Stage::Placing(placing) => placing.as_mut().poll(context).map(|placed| match placed {
                Ok(posted) => Heard::Placed(posted),
                Err(refusal) => Heard::Nowhere(refusal),
            }),
            Stage::Open(_, receiver) => match receiver.poll_headers(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(headers)) => Poll::Ready(Heard::Headers(headers)),
                Poll::Ready(None) => receiver.poll_closed(context).map(Heard::Closed),
            },
        }
    }
}

/// Sends the rest of a stream of requests, once nothing is sent again.
pub(crate) struct Rest {
    requests: Arc<Requests>,
    at: At,
    cursor: Cursor,
    fed: bool,
}

impl Rest {
    /// Until all is sent, or the call is over.
    pub(crate) async fn send(mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let At { mailbox, slot, .. } = &self.at;
        if slot.poll_closed(context).is_ready() {
            return Poll::Ready(());
        }
        if let Poll::Ready(status) = self.requests.poll_cancelled(context) {
            let _ = mailbox.post(Command::Cancel(Arc::clone(slot), status));
            return Poll::Ready(());
        }
        if self.fed {
            return Poll::Ready(());
        }
        feed(&self.requests, &self.at, &mut self.cursor, context)
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.requests.close();
    }
}

/// Sends what there is of a stream of requests, as long as there is room. Ready when that was all.
fn feed(requests: &Requests, at: &At, cursor: &mut Cursor, context: &mut Context<'_>) -> Poll<()> {
    let At { mailbox, slot, .. } = at;
    loop {
        if slot.is_closed() {
            return Poll::Ready(());
        }
        if slot.poll_room(context).is_pending() {
            return Poll::Pending;
        }
        let Poll::Ready(piece) = requests.poll_next(cursor, context) else { return Poll::Pending };
        let command = match piece {
            Piece::HalfClose => Command::HalfClose(Arc::clone(slot)),
            Piece::Message(batch) => {
                slot.queue(batch.len());
                match batch {
                    Batch::Message(message, compress) => Command::Message(Arc::clone(slot), message, compress),
                    Batch::Run(run, compress) => Command::Run(Arc::clone(slot), run, compress),
                }
            }
        };
        let last = matches!(command, Command::HalfClose(_));
        // A connection that is over has told the slot.
        let _ = mailbox.post(command);
        if last {
            return Poll::Ready(());
        }
    }
}

/// What the server may have seen of an attempt that has ended.
pub(crate) fn seen(closed: &Closed) -> Seen {
    match (closed.unprocessed, closed.unsent) {
        (true, true) => Seen::Never,
        (true, false) => Seen::Refused,
        (false, _) => Seen::Perhaps,
    }
}
