//! How a channel behaves, seen from outside: one file per subject, stepped with virtual time.

mod bench;

mod attempts;
mod channel;
mod dials;
mod dns;
mod foreign;
mod health;
mod named_children;
mod names;
mod pick_first;
mod policies;
mod random;
mod ring_hash;
mod round_robin;
mod rpc;
mod toy_resolver;
mod users_policies;
mod weighing;
