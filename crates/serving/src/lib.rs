//! The brain of a server: what its listeners and connections are to do, whatever threads, loop or runtime they live on.
//!
//! It decides who is let in ([`Serving::admit`]), what a connection does that was accepted while the server stops
//! ([`Newcomer`]), when the last call has ended ([`Serving::is_drained`]), and how long accepting pauses after the system
//! has refused it ([`Serving::handle_refused`]). What it says of its load is a [`load::LoadReport`]. What happens *on* a connection is the engine's: its age, its idleness,
//! the calls it takes.
//!
//! The hands own the sockets. `L` is their handle of a listener, `C` that of a connection, `K` names a connection; this
//! crate keeps them and never looks inside. It knows no clock: accepting pauses for a time that the hands wait.
//!
//! ```
//! use farcall_serving::{Newcomer, Serving};
//!
//! let mut serving = Serving::<&str, u32, &str>::new(Some(1));
//! serving.listen(["port 50051"]).expect("it is not closing");
//! assert_eq!(serving.start(), Some(vec!["port 50051"]));
//!
//! serving.admit().expect("there is a place");
//! assert_eq!(serving.handle_connected(1, "first"), Newcomer::Serve);
//! assert_eq!(serving.admit().unwrap_err().to_string(), "there are 1 connections, as many as the server may have");
//!
//! serving.handle_request();
//! let stopped = serving.close();
//! assert_eq!((stopped.listeners, stopped.connections), (vec!["port 50051"], vec!["first"]));
//! assert!(!serving.is_drained());
//! serving.handle_ended();
//! assert!(serving.is_drained());
//! ```

pub mod limits;
pub mod load;
mod pauses;
mod serving;

pub use serving::{Closing, Full, Newcomer, Serving, Stopped, stopped};
