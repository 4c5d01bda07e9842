//! What a channel asks of its hands.

use std::{fmt, sync::Arc, time::Duration};

use farcall_core::Status;

use crate::{
    Address, Connectivity, DialId, Placed, Refusal, Snapshot,
    resolver::{Hop, Query, QueryId},
    stream::{StreamId, StreamRequest},
};

/// What the hands must do, in this order.
#[derive(Debug)]
pub enum Action<C, K> {
    /// Find this out, and tell [`Channel::handle_answer`](crate::Channel::handle_answer), once. A user's resolver that goes
    /// on tells [`Channel::handle_update`](crate::Channel::handle_update) before, any number of times.
    Resolve(QueryId, Query),
    /// The answer to this is of no use any more; it may still arrive.
    StopResolving(QueryId),
    /// Connect, and tell [`handle_connected`](crate::Channel::handle_connected) when the peer's SETTINGS are here, or
    /// [`handle_connect_failed`](crate::Channel::handle_connect_failed).
    Dial(DialId, Dial),
    /// Give up this attempt. One of the two may still be reported; what has connected after all comes back as
    /// [`Close`](Action::Close).
    Abandon(DialId),
    /// Let the calls on this connection finish, then close it. It takes no new ones.
    Release(C),
    /// Close this connection; its calls end with this status.
    Close(C, Status),
    /// Open this stream of the channel's own on this connection, and report to
    /// [`handle_stream`](crate::Channel::handle_stream) what comes on it. It is no call of the application: it does not count
    /// for [`AskInUse`](Action::AskInUse) or [`Lost::useful`].
    Open(StreamId, C, StreamRequest),
    /// End this stream. What is still reported of it is passed over.
    Cancel(StreamId),
    /// A call that waited goes onto this connection.
    Start(K, Placed<C>),
    /// A call that waited goes nowhere.
    Fail(K, Refusal),
    /// Tell [`handle_in_use`](crate::Channel::handle_in_use) whether a call is in flight on one of these.
    AskInUse(Vec<C>),
    /// New calls read this from now on.
    Publish(Arc<Snapshot<C>>),
    /// The connectivity state has changed to this. Every change is reported, also one that did not last.
    StateChanged(Connectivity),
    /// Something that people should know.
    Note(Note),
    /// To be dropped where no lock is held: what is dropped with it may come back to the channel.
    Drop(Discarded<C, K>),
}

/// A connection to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dial {
    /// Where to.
    pub address: Address,
    /// What the proxy at that address is to connect to, if it is one.
    pub hop: Option<Arc<Hop>>,
    /// The keepalive time is to be no shorter than this; `None`: as the application has chosen.
    pub keepalive_time: Option<Duration>,
    /// How long until the attempt is given up.
    pub timeout: Duration,
}

/// What a channel has no more use for.
pub enum Discarded<C, K> {
    /// A connection's handle, after the connection's end.
    Connection(C),
    /// A call's handle, after [`forget`](crate::Channel::forget).
    Call(K),
    /// A snapshot that another has replaced.
    Snapshot(Arc<Snapshot<C>>),
    /// A policy, a selector or a config, which may be somebody else's.
    Other(Box<dyn Send>),
}

impl<C, K> fmt::Debug for Discarded<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Discarded::Connection(_) => "Connection",
            Discarded::Call(_) => "Call",
            Discarded::Snapshot(_) => "Snapshot",
            Discarded::Other(_) => "Other",
        })
    }
}

/// Something that people should know, and that no call's status says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A resolver has found more addresses than are used.
    TooManyAddresses {
        /// So many.
        found: usize,
        /// So many are used.
        used: usize,
    },
    /// A policy has not settled in as many steps as it may make at one time; it goes on.
    Restless,
    /// A resolver's service config cannot be used, for this reason; the one before it counts.
    InvalidServiceConfig(String),
    /// The server at this address cannot be asked for its health, though the service config wants that.
    NoHealthService(Address),
    /// The server at this address does not report its load out of band, though a policy wants that.
    NoLoadReports(Address),
    /// A resolver has something to say.
    Resolver(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::TooManyAddresses { found, used } => {
                write!(f, "{found} addresses were found, and the first {used} are used")
            }
            Note::Restless => f.write_str("a load balancing policy changes its mind without end"),
            Note::NoHealthService(address) => write!(
                f,
                "{address}: health checking Watch method returned UNIMPLEMENTED; \
                 disabling health checks but assuming server is healthy"
            ),
            Note::NoLoadReports(address) => write!(f, "{address}: ORCA stream returned UNIMPLEMENTED; disabling"),
            Note::Resolver(text) => f.write_str(text),
            Note::InvalidServiceConfig(why) => write!(f, "the resolver's service config is not used: {why}"),
        }
    }
}

/// How a connection was lost to new calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost<'a> {
    /// Whether it is gone, or lets calls finish.
    pub how: How,
    /// For people.
    pub why: &'a str,
    /// Whether the server has answered a call of the application on it, or is at work on one: a server that sends its clients away every
    /// now and then (`max_connection_age`) serves them, however often that is.
    pub useful: bool,
    /// The keepalive time that the server allows, if it has said that pings came too often (`too_many_pings`).
    pub keepalive_time: Option<Duration>,
}

/// Whether a lost connection is there still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// It takes no new calls (GOAWAY), and those in flight may finish. [`Broken`](How::Broken) follows.
    Draining,
    /// It is gone, and this is the last that is reported of it.
    Broken,
}
