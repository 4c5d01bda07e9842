//! The hands over loopback, with this crate's own server at the other end of the wire.

mod balancing;
mod calls;
mod support;
#[cfg(target_os = "linux")]
mod system_calls;
