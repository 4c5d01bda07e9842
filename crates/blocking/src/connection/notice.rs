//! What a connection tells its owner.

use std::sync::Arc;

use bytes::Bytes;
use farcall_channel::{ConnectError, StreamId};
use farcall_core::Status;
use farcall_engine::RequestHead;
use farcall_system::{Callback, channelz::Entity, reports::Remark};

use super::Connection;
use crate::{attempts::At, call::Call};

/// What a connection tells its owner, without any lock held.
pub(crate) enum Notice {
    /// The connection works.
    Ready,
    /// It takes no new calls.
    Draining,
    /// It is over.
    Lost {
        why: String,
        /// Whether the transport was connected.
        connected: bool,
        /// What TLS has to say about that.
        refused: Option<ConnectError>,
    },
    /// A line for who looks for a fault.
    Trace(Callback),
    /// It did something that its operator may hear of.
    Remark(Remark),
    /// Server: a call begins.
    Request(Arc<Call>, Box<RequestHead>),
    /// Client: an attempt at a call ended, and the call goes on; elsewhere if this connection takes no calls.
    Again {
        call: Arc<Call>,
        elsewhere: bool,
    },
    /// Client: nothing is to come of this attempt.
    Cancel(At),
    /// Client: a message on a stream of the channel's own, or its end.
    StreamMessage(StreamId, Bytes),
    StreamEnded(StreamId, Status),
    /// Server: what waited for a call's request.
    Receivable(Callback),
    /// A call has ended, and these callbacks are due.
    Ended(Arc<Call>, Vec<Callback>),
}

/// A channel or a server.
pub(crate) trait Owner: Send + Sync {
    /// Something has happened on `connection`.
    fn notice(&self, connection: &Arc<Connection>, notices: Vec<Notice>);

    /// The same, told by a thread that reads the connection while it waits for its own call. It is in the midst of a
    /// user's code: on a server no other call's code may run on it.
    fn notice_by_leader(&self, connection: &Arc<Connection>, notices: Vec<Notice>) {
        self.notice(connection, notices);
    }

    /// What channelz knows it as.
    fn entity(&self) -> &Arc<Entity>;
}
