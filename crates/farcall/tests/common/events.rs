//! What is said through `tracing`, kept for tests to look at.

use std::{
    fmt::{Debug, Write},
    sync::{LazyLock, Mutex},
    time::Duration,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Every event so far: its level, its target and its fields.
pub static EVENTS: Mutex<Vec<(Level, String, String)>> = Mutex::new(Vec::new());

/// Keeps what is said from INFO on, for all tests of this file.
struct Listener;

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        EVENTS.lock().unwrap().push((*event.metadata().level(), event.metadata().target().to_owned(), fields.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Keeps what is said from here on.
pub fn listen() {
    static ONCE: LazyLock<()> = LazyLock::new(|| tracing::subscriber::set_global_default(Listener).unwrap());
    *ONCE;
}

/// The events about a peer, once there is one.
pub async fn said_of(peer: &str) -> Vec<(Level, String, String)> {
    loop {
        let events = EVENTS.lock().unwrap().clone();
        let mut about = events.into_iter().filter(|(_, _, fields)| fields.contains(peer)).peekable();
        if about.peek().is_some() {
            return about.collect();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
