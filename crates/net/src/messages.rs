//! Messages that arrived for a call and were not taken yet.

use std::collections::VecDeque;

use bytes::Bytes;
use farcall_engine::Run;

/// Messages of one call in the order they came. Small ones lie together as they came, and are cut only as they are
/// taken: it is an iterator over them.
#[derive(Clone, Default, Debug)]
pub struct Messages {
    /// The run that is being taken.
    run: Run,
    /// The next one, if it is alone: most calls have no more, and need no queue.
    one: Option<Bytes>,
    rest: VecDeque<Arrival>,
}

#[derive(Clone, Debug)]
enum Arrival {
    Message(Bytes),
    Run(Run),
}

/// A number of messages.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    pub(crate) messages: usize,
    /// Their lengths together.
    pub(crate) bytes: usize,
}

impl Messages {
    pub(crate) fn push(&mut self, message: Bytes) {
        if self.is_empty() {
            self.one = Some(message);
        } else {
            self.rest.push_back(Arrival::Message(message));
        }
    }

    pub(crate) fn push_run(&mut self, run: Run) {
        self.rest.push_back(Arrival::Run(run));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.run.len() == 0 && self.one.is_none() && self.rest.is_empty()
    }

    fn next_of_rest(&mut self) -> Option<Bytes> {
        if let Some(message) = self.one.take() {
            return Some(message);
        }
        match self.rest.pop_front()? {
            Arrival::Message(message) => Some(message),
            Arrival::Run(run) => {
                self.run = run;
                self.run.next()
            }
        }
    }

    /// The next message, if it is one of several small ones that came together.
    #[inline]
    pub(crate) fn next_of_run(&mut self) -> Option<Bytes> {
        self.run.next()
    }

    /// All of them, for when they go untaken.
    pub(crate) fn total(&self) -> Taken {
        let mut total = Taken::default();
        total.add_run(&self.run);
        self.one.iter().for_each(|message| total.add(message));
        for arrival in &self.rest {
            match arrival {
                Arrival::Message(message) => total.add(message),
                Arrival::Run(run) => total.add_run(run),
            }
        }
        total
    }
}

impl Iterator for Messages {
    type Item = Bytes;

    #[inline]
    fn next(&mut self) -> Option<Bytes> {
        match self.run.next() {
            Some(message) => Some(message),
            None => self.next_of_rest(),
        }
    }
}

impl Taken {
    /// What they hold of the peer's windows, their prefixes included.
    pub(crate) fn window(self) -> usize {
        self.bytes + 5 * self.messages
    }

    pub(crate) fn add(&mut self, message: &Bytes) {
        self.messages += 1;
        self.bytes += message.len();
    }

    fn add_run(&mut self, run: &Run) {
        self.messages += run.len();
        self.bytes += run.body_len();
    }

    pub(crate) fn add_all(&mut self, other: Taken) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use farcall_engine::RunBuilder;

    use super::{Messages, Taken};

    #[test]
    fn come_out_as_they_went_in_whether_alone_or_in_runs() {
        let mut builder = RunBuilder::default();
        for text in ["b", "", "cc"] {
            let result: Result<(), ()> = builder.push(|buffer| {
                buffer.extend_from_slice(text.as_bytes());
                Ok(())
            });
            result.unwrap();
        }
        let mut messages = Messages::default();
        assert!(messages.is_empty());
        messages.push(Bytes::from_static(b"a"));
        messages.push_run(builder.take());
        messages.push(Bytes::new());
        assert_eq!(messages.total(), Taken { messages: 5, bytes: 4 });
        assert_eq!(messages.next().unwrap(), "a");
        assert_eq!(messages.next().unwrap(), "b");
        assert_eq!(messages.total(), Taken { messages: 3, bytes: 2 }, "a run taken in part counts for its rest");
        assert!(messages.by_ref().eq(["", "cc", ""]));
        assert!(messages.is_empty());
    }
}
