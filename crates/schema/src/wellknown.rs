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

/// The text of a bundled file.
pub fn find(virtual_path: &str) -> Option<&'static str> {
    let index = FILES.binary_search_by_key(&virtual_path, |(path, _)| path).ok()?;
    Some(FILES[index].1)
}
