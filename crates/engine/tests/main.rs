//! How connections behave, seen from outside: one file per subject, all on the fake world of `support`.

mod support;

mod admission;
mod bad_input;
mod budget;
mod calls;
mod cancellation;
mod compression;
mod content_length;
mod deadlines;
mod flow_control;
mod fuzz_regressions;
mod goaway;
mod hostile;
mod keepalive;
mod lifetime;
mod limits;
mod probing;
mod random;
mod states;
