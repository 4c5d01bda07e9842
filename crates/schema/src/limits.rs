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

/// Messages may have this many fields.
pub(crate) const MESSAGE_FIELDS: usize = 65535;

/// Values of options may nest this deep. Bounds recursion over messages that contain themselves.
pub(crate) const OPTION_NESTING: u32 = 100;

/// Findings about one file; later ones are dropped. Bounds memory and time where every pair of things can clash.
pub(crate) const FINDINGS: usize = 10_000;

/// Fields in one message on the wire, fields of groups in it included. Bounds memory: two bytes can make a field.
pub(crate) const WIRE_FIELDS: usize = 16 << 20;
