//! The brain of one gRPC channel: where calls may go, and what to do until they may.
//!
//! [`Channel`] turns a [`Target`] into endpoints (by asking the hands to resolve), endpoints into connections (as its load
//! balancing policy wants: [`balancer`]), and says of each call where it goes. It keeps the connectivity state that gRPC
//! prescribes (grpc/grpc `doc/connectivity-semantics-and-api.md`), backs off between failures
//! (`doc/connection-backoff.md`), keeps the calls that wait, and goes IDLE when nobody calls. [`ServiceConfig`] is what a
//! service's owner asks of its callers, and [`call::Rpc`] says of one failed call whether, where and when it is made again.
//!
//! It does not own sockets or calls: `farcall-engine` is the brain of a connection, and the hands (`farcall-net`,
//! `farcall-python`) hold both and introduce them, as handles: `C` is a connection, `K` a call that waits.
//!
//! # The contract
//!
//! A channel is stepped, like every brain. `handle_*` report what came from outside; the verbs
//! ([`connect`](Channel::connect), [`queue`](Channel::queue), [`rest`](Channel::rest), [`resume`](Channel::resume),
//! [`forget`](Channel::forget), [`shutdown`](Channel::shutdown), [`retire`](Channel::retire)) what the application wants. After any of
//! them the hands drain [`poll_action`](Channel::poll_action) and look at [`poll_timeout`](Channel::poll_timeout).
//!
//! - **One drainer.** Actions are performed in the order they come, by one thread at a time and without the channel's lock.
//!   Who gets `false` from [`begin_drain`](Channel::begin_drain) has left them to the thread that drains. Performing an
//!   action may step the channel again; what comes of that is for the same drain.
//! - **One answer.** Each [`Dial`](Action::Dial) and [`Resolve`](Action::Resolve) gets exactly one, also after it was
//!   given up and when the thread, task or loop that was at it ends. Each connection gets exactly one
//!   [`Lost`] that is [`Broken`](How::Broken), after at most one that is [`Draining`](How::Draining).
//! - **Streams of the channel's own** ([`Open`](Action::Open)): servers are asked on them for their health (gRFC A17) and their load (gRFC A51). Each ends with
//!   exactly one [`Ended`](StreamEvent::Ended). They are no calls: they keep no channel from being IDLE, and a connection that lets its
//!   calls finish does not wait for them, for they are cancelled first.
//! - **A new call** reads the newest [`Snapshot`] without a lock: [`select`](Snapshot::select) once, then
//!   [`pick`](Snapshot::pick). What is [`Ready`](Choice::Ready) opens its stream at once; [`Queue`](Choice::Queue), and
//!   [`Fail`](Choice::Fail) of a call that waits for ready, go to [`Channel::queue`].
//! - **A connection that refuses a call** (it drains, is full or gone) is reported to [`handle_lost`](Channel::handle_lost), and
//!   the call goes to [`Channel::queue`], which picks again. There is no race to lose: the channel picks under its lock.
//! - **Nothing foreign under the lock.** Handles, snapshots and pickers are dropped as [`Action::Drop`]. A store of the new
//!   snapshot in [`Action::Publish`] gives back the old one: that too is dropped without the lock.
//!
//! ```
//! use std::{collections::VecDeque, time::Instant};
//!
//! use farcall_channel::{Action, Channel, Choice, Config, How, Lost, Target, Waiting, balancer::PickArgs};
//!
//! // A connection is a name here and a call a number; connecting succeeds at once.
//! let now = Instant::now();
//! let target = Target::parse("ipv4:10.0.0.1:1,10.0.0.2:1")?;
//! let mut channel: Channel<String, u32> = Channel::new(target, Config::new(1), 2, now);
//! let mut snapshot = channel.snapshot().clone();
//! let mut world = VecDeque::new();
//!
//! // A call: nothing is connected, so it waits.
//! let args = PickArgs::new("/package.Service/Method", 3);
//! assert!(matches!(snapshot.pick(&args), Choice::Queue));
//! let waiting = Waiting::new(args.path, false, None);
//! let _ticket = channel.queue(7, waiting, now);
//!
//! // The loop of every hand: drain, perform, and tell what came of it.
//! let mut started = Vec::new();
//! loop {
//!     channel.begin_drain();
//!     while let Some(action) = channel.poll_action() {
//!         match action {
//!             Action::Dial(id, dial) => world.push_back((id, dial.address.to_string())),
//!             Action::Publish(new) => snapshot = new,
//!             Action::Start(call, placed) => started.push((call, placed.connection)),
//!             Action::Fail(call, refusal) => panic!("call {call}: {}", refusal.status),
//!             other => println!("{other:?}"),
//!         }
//!     }
//!     let Some((id, name)) = world.pop_front() else { break };
//!     channel.handle_connected(id, name, now);
//! }
//! assert_eq!(started, [(7, "ipv4:10.0.0.1:1".to_owned())]);
//!
//! // From now on calls go without the channel; then the server goes away.
//! let Choice::Ready(picked) = snapshot.pick(&args) else { panic!("it is connected") };
//! let lost = Lost { how: How::Broken, why: "Socket closed", useful: true, keepalive_time: None };
//! channel.handle_lost(picked.dial, lost, now);
//! # Ok::<(), farcall_channel::InvalidTarget>(())
//! ```
//!
//! # What lives elsewhere
//!
//! Sockets, DNS, timers: the hands. Streams and flow control: `farcall-engine`. TLS: `farcall-security`. What the application
//! sees of a call, and the moment a call is cancelled: the faces.

mod action;
mod address;
mod backoff;
pub mod balancer;
pub mod call;
mod channel;
mod config;
mod connectivity;
pub mod dns;
pub mod limits;
pub mod proxy;
mod queue;
mod random;
pub mod resolver;
mod selection;
mod service_config;
mod snapshot;
mod stream;
mod subchannel;
mod target;
mod tree;
mod wire;

pub use action::{Action, Dial, Discarded, How, Lost, Note};
pub use address::Address;
pub use backoff::Backoff;
pub use call::{PREVIOUS_ATTEMPTS, RetryConfig, Seen, Throttle};
pub use channel::Channel;
pub use config::{Config, ConnectError, DnsConfig};
pub use connectivity::Connectivity;
pub use limits::Limits;
pub use proxy::{InvalidProxy, Proxy, ProxyChoice};
pub(crate) use queue::Queue;
pub use queue::{Ticket, Until, Waiting};
pub use selection::{Attributes, CallFilter, ConfigSelector, Filters, Go, Head, Lease, Question, Selection};
pub use service_config::{
    HedgingPolicy, InvalidServiceConfig, MethodConfig, RetryPolicy, ServiceConfig, ThrottlingConfig,
};
pub(crate) use snapshot::{Activity, Place};
pub use snapshot::{Choice, Picked, Placed, Refusal, Snapshot};
pub use stream::{StreamEvent, StreamId, StreamRequest};
pub use subchannel::DialId;
pub use target::{Asked, Endpoint, InvalidTarget, Target};
