//! The files protoc carries with it: `google/protobuf/*.proto`, as text.
//!
//! Vendored under `proto/` at the root of the repository; `proto/README.md` says where from.

macro_rules! bundled {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../proto/", $path)))),*]
    };
}

/// Virtual path and text of each bundled file, sorted by path.
pub const FILES: &[(&str, &str)] = bundled![
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/compiler/plugin.proto",
    "google/protobuf/cpp_features.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/go_features.proto",
    "google/protobuf/java_features.proto",
    "google/protobuf/source_context.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/type.proto",
    "google/protobuf/wrappers.proto",
];

/// What protoc 36 carries anew or changed, which edition 2026 needs.
const NEXT: &[(&str, &str)] = &[
    ("google/protobuf/descriptor.proto", include_str!("../../../proto/next/google/protobuf/descriptor.proto")),
    (
        "google/protobuf/json_enumvalue_options.proto",
        include_str!("../../../proto/next/google/protobuf/json_enumvalue_options.proto"),
    ),
    ("google/protobuf/json_options.proto", include_str!("../../../proto/next/google/protobuf/json_options.proto")),
];

/// The text of a bundled file, as whoever accepts edition 2026 has it: see
/// [`Compiler::accept_edition_2026`](crate::Compiler::accept_edition_2026).
pub fn find_for_2026(virtual_path: &str) -> Option<&'static str> {
    NEXT.iter().find(|(path, _)| *path == virtual_path).map(|(_, text)| *text).or_else(|| find(virtual_path))
}

/// The text of a bundled file.
pub fn find(virtual_path: &str) -> Option<&'static str> {
    let index = FILES.binary_search_by_key(&virtual_path, |(path, _)| path).ok()?;
    Some(FILES[index].1)
}
