//! Every bound on what a file may ask for, and what it stops. The numbers are protoc's.

use std::ops::RangeInclusive;

/// Messages may lie this deep, less one. Bounds recursion in parser and linker.
pub(crate) const MESSAGE_NESTING: u32 = 32;

/// Groups may lie this deep before the parser gives up on them. Bounds its recursion; the linker refuses them from
/// [`MESSAGE_NESTING`] on.
pub(crate) const GROUP_NESTING: u32 = 128;

/// The highest field number.
pub(crate) const FIELD_NUMBER_MAX: i32 = (1 << 29) - 1;

/// Field numbers no one may use.
pub(crate) const RESERVED_NUMBERS: RangeInclusive<i32> = 19000..=19999;

/// Packages may have this many dots.
pub(crate) const PACKAGE_DOTS: usize = 100;

/// Packages may have this many bytes.
pub(crate) const PACKAGE_NAME: usize = 511;

/// Full names may have this many bytes.
pub(crate) const FULL_NAME: usize = 65535;

/// Full names in one file may have this many bytes together. Bounds memory: a long name is in those of all members.
pub(crate) const FULL_NAMES: usize = 64 << 20;

/// Messages may have this many fields.
pub(crate) const MESSAGE_FIELDS: usize = 65535;

/// Values of options may nest this deep. Bounds recursion over messages that contain themselves.
pub(crate) const OPTION_NESTING: u32 = 100;

/// Findings about one file; later ones are dropped. Bounds memory and time where every pair of things can clash.
pub(crate) const FINDINGS: usize = 10_000;

/// Bytes of what is said about one file, and of what is said in one run; the rest is dropped. Bounds memory: what is
/// said can be longer than what it is about.
pub(crate) const FINDINGS_TEXT: usize = 16 << 20;

/// Fields in one message on the wire, fields of groups in it included. Bounds memory: two bytes can make a field.
pub(crate) const WIRE_FIELDS: usize = 16 << 20;

/// What one declaration of edition 2026 may hold, unless `features.enforce_proto_limits` says otherwise: fields of a
/// message, oneofs of a message, fields of a oneof, values of an enum.
pub(crate) const MAX_FIELDS_2026: usize = 1500;
pub(crate) const MAX_ONEOFS_2026: usize = 1000;
pub(crate) const MAX_ONEOF_FIELDS_2026: usize = 1200;
pub(crate) const MAX_VALUES_2026: usize = 1700;
