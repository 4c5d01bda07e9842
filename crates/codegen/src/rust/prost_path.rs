//! Where `prost-build` puts the Rust type of a message.

use heck::{ToSnakeCase, ToUpperCamelCase};

use crate::schema::{Schema, package};

/// Types that prost replaces by Rust's own or its crate's, as `prost-build` does by default.
const WELL_KNOWN: [(&str, &str); 11] = [
    (".google.protobuf.Empty", "()"),
    (".google.protobuf.BoolValue", "bool"),
    (".google.protobuf.BytesValue", "::prost::alloc::vec::Vec<u8>"),
    (".google.protobuf.DoubleValue", "f64"),
    (".google.protobuf.FloatValue", "f32"),
    (".google.protobuf.Int32Value", "i32"),
    (".google.protobuf.Int64Value", "i64"),
    (".google.protobuf.StringValue", "::prost::alloc::string::String"),
    (".google.protobuf.UInt32Value", "u32"),
    (".google.protobuf.UInt64Value", "u64"),
    (".google.protobuf", "::prost_types"),
];

/// The path of `name` (`.pkg.Outer.Inner`) as seen from a module directly inside that of package `from`, if the
/// message is known. The longest of `extern_paths` that holds the name wins.
pub(super) fn resolve(
    schema: &Schema<'_>,
    extern_paths: &[(String, String)],
    from: &str,
    name: &str,
) -> Option<String> {
    let given = extern_paths.iter().map(|(proto, rust)| (proto.as_str(), rust.as_str()));
    let own_google = schema.type_entry(name).is_some() && from.starts_with("google.protobuf");
    let well_known = WELL_KNOWN.iter().copied().filter(|_| !own_google);
    let found = given.chain(well_known).filter(|(proto, _)| is_under(name, proto)).max_by_key(|(proto, _)| proto.len());
    if let Some((proto, rust)) = found {
        let rest: Vec<&str> = name[proto.len()..].split('.').filter(|part| !part.is_empty()).collect();
        return Some(join(rust.to_owned(), &rest));
    }
    let entry = schema.type_entry(name)?;
    let (from, to) = (parts(from), parts(package(entry.file)));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = vec!["super"; from.len() - shared + 1].join("::");
    let module = to[shared..].iter().fold(up, |path, part| format!("{path}::{}", escaped(&part.to_snake_case())));
    Some(join(module, &entry.path))
}

fn is_under(name: &str, proto: &str) -> bool {
    name.strip_prefix(proto).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn parts(package: &str) -> Vec<&str> {
    package.split('.').filter(|part| !part.is_empty()).collect()
}

/// Messages are modules for what is nested in them: `Outer.Inner` is `outer::Inner`.
fn join(mut path: String, names: &[&str]) -> String {
    for (index, name) in names.iter().enumerate() {
        path += "::";
        path += &if index + 1 < names.len() {
            escaped(&name.to_snake_case())
        } else {
            escaped(&name.to_upper_camel_case())
        };
    }
    path
}

fn escaped(name: &str) -> String {
    match name {
        "self" | "super" | "crate" | "extern" | "Self" => format!("{name}_"),
        keyword if buffa_codegen::idents::is_rust_keyword(keyword) => format!("r#{keyword}"),
        plain => plain.to_owned(),
    }
}
