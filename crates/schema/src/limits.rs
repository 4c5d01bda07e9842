//! Every bound on what a file may ask for, and what it stops.

/// Messages may lie this deep, less one. Bounds recursion in parser and linker; the number is protoc's.
pub(crate) const MESSAGE_NESTING: u32 = 32;
