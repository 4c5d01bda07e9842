//! No input makes the compiler panic, hang or eat memory without bound.

use std::collections::HashMap;

use crate::support::{Files, compile};
use buffa::Message;
use farcall_schema::{CompileResult, Compiler, fuzzing};
use proptest::prelude::*;

fn first_message(result: &CompileResult) -> &str {
    result.diagnostics.first().map(|diagnostic| diagnostic.message.as_str()).unwrap_or_default()
}

#[test]
fn messages_nest_31_deep_and_no_deeper() {
    let nested = |depth: usize| format!("syntax = \"proto3\"; {}{}", "message M {".repeat(depth), "}".repeat(depth));
    assert!(compile(nested(31)).ok);
    let result = compile(nested(32));
    assert!(!result.ok);
    assert_eq!(first_message(&result), "Reached maximum recursion limit for nested messages.");
    assert!(!compile(nested(100_000)).ok);
}

#[test]
fn groups_nest_as_messages_do() {
    let nested = |depth: usize| {
        let open = "optional group G = 1 {".repeat(depth);
        format!("syntax = \"proto2\"; message M {{ {open} {} }}", "}".repeat(depth))
    };
    assert!(compile(nested(30)).ok);
    for depth in [31, 128, 129, 50_000] {
        let result = compile(nested(depth));
        assert!(!result.ok);
        assert_eq!(first_message(&result), "Reached maximum recursion limit for nested messages.");
    }
}

const OPTIONS: &str = "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\";
    message M { optional M m = 1; repeated int32 i = 2; }
    extend google.protobuf.FileOptions { optional M o = 50001; } ";

#[test]
fn aggregates_nest_100_deep_and_no_deeper() {
    let nested = |depth: usize| format!("{OPTIONS} option (o) = {{ {}{} }};", "m {".repeat(depth), "}".repeat(depth));
    assert!(compile(nested(99)).ok);
    let result = compile(nested(101));
    assert!(!result.ok);
    assert!(first_message(&result).contains("the parser exceeded the configured recursion limit of 100."));
    assert!(!compile(nested(100_000)).ok);
    assert!(!compile(format!("{OPTIONS} option (o) = {}", "{".repeat(100_000))).ok);
    assert!(!compile(format!("{OPTIONS} option (o) = {{ x: {} }};", "[".repeat(100_000))).ok);
}

#[test]
fn names_of_options_may_be_long() {
    let _ = compile(format!("{OPTIONS} option (o){} = 1;", ".m".repeat(5_000)));
    let _ = compile(format!("{OPTIONS} option (o{}) = 1;", ".m".repeat(5_000)));
}

#[test]
fn thousands_of_clashes_are_told_in_bounded_number() {
    let fields: String = (0..20_000).map(|index| format!("int32 f{index} = 1;")).collect();
    let ranges = vec!["1"; 20_000].join(",");
    let values: String = (0..20_000).map(|index| format!("V{index} = {};", index % 2)).collect();
    for source in [
        format!("message M {{ {fields} }}"),
        format!("message M {{ reserved {ranges}; }}"),
        format!("message M {{ int32 a = 1; reserved {ranges}; }}"),
        format!("enum E {{ V = 0; reserved {ranges}; }}"),
        format!("enum E {{ {values} }}"),
    ] {
        let result = compile(format!("syntax = \"proto3\"; {source}"));
        assert!(!result.ok);
        assert!((1..=10_001).contains(&result.diagnostics.len()), "{}", result.diagnostics.len());
    }
}

#[test]
fn chains_and_rings_of_imports_are_followed_without_recursion() {
    let chain = |count: usize, last: &str| {
        let mut files = HashMap::new();
        for index in 0..count {
            let next = if index + 1 == count { last.to_owned() } else { format!("f{}.proto", index + 1) };
            let import = if next.is_empty() { String::new() } else { format!("import public \"{next}\";") };
            files.insert(format!("f{index}.proto"), format!("syntax = \"proto3\"; {import}").into_bytes());
        }
        Files(files)
    };
    let result = Compiler::new(chain(2_000, "")).compile(&["f0.proto"]);
    assert!(result.ok);
    assert_eq!(result.files.len(), 2_000);
    let result = Compiler::new(chain(2_000, "f0.proto")).compile(&["f0.proto"]);
    assert!(!result.ok);
    assert!(first_message(&result).starts_with("File recursively imports itself: f0.proto -> f1.proto -> "));
}

#[test]
fn nul_bytes_and_broken_utf8_are_errors_or_text() {
    for source in [
        &b"syntax = \"proto3\";\0message A {}"[..],
        b"\0",
        b"syntax = \"proto3\"; // \0 comment\nmessage A {}",
        b"\xef\xbb\xbfsyntax = \"proto3\";",
        b"\xef\xbbsyntax",
        b"syntax = \"proto3\"; // \xff\xfe\nmessage A {}",
        b"syntax = \"proto3\"; option java_package = \"\xff\xfe\";",
        b"syntax = \"proto2\"; message A { optional string a = 1 [default = \"\xff\"]; optional bytes b = 2 [default = \"\\xff\"]; }",
        b"syntax = \"proto3\"; import \"\xff\";",
        b"syntax = \"proto3\"; message \xc3\x84 {}",
        b"syntax = \"proto3\"; message A { string a = 1 [json_name = \"\\0\"]; reserved \"\\0\"; }",
    ] {
        let _ = compile(source);
    }
}

#[test]
fn options_keep_bytes_that_are_not_utf8() {
    let aggregate = b"syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\";
        message M { optional string s = 1; optional bytes b = 2; }
        extend google.protobuf.FileOptions { optional M o = 50001; optional bytes p = 50002; }
        option (o) = { s: \"\\\\\xff\\n\" b: '\xc3\xa4\xe4' };
        option (p) = \"\xfe\";";
    let result = compile(&aggregate[..]);
    assert!(result.ok, "{}", first_message(&result));
    let declaration = b"syntax = \"proto2\";
        message M { extensions 1 [declaration = { number: 1 full_name: \".a\xff\" type: \"int32\" }]; }";
    assert_eq!(first_message(&compile(&declaration[..])), "\".a\u{fffd}\" contains invalid identifiers.");
    let file = result.files.last().expect("the file").encode_to_vec();
    for part in [&b"\x0a\x03\\\xff\n\x12\x03\xc3\xa4\xe4"[..], b"\x01\xfe"] {
        assert!(file.windows(part.len()).any(|window| window == part), "{part:x?}");
    }
}

/// Words that steer random text into the parser's corners.
fn token() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "syntax",
        "=",
        "\"proto3\"",
        "\"proto2\"",
        ";",
        "edition",
        "\"2023\"",
        "\"2024\"",
        "message",
        "A",
        "B",
        "{",
        "}",
        "int32",
        "string",
        "a",
        "b",
        "1",
        "2",
        "-1",
        "0",
        "optional",
        "repeated",
        "required",
        "group",
        "G",
        "oneof",
        "map",
        "<",
        ">",
        ",",
        "enum",
        "E",
        "extend",
        "extensions",
        "to",
        "max",
        "reserved",
        "\"x\"",
        "service",
        "rpc",
        "returns",
        "(",
        ")",
        "stream",
        "option",
        "deprecated",
        "true",
        "[",
        "]",
        "default",
        "json_name",
        "import",
        "public",
        "weak",
        "\"google/protobuf/descriptor.proto\"",
        "google.protobuf.FileOptions",
        ".",
        "features",
        "package",
        "p",
        "//c\n",
        "/*c*/",
        "export",
        "local",
        "inf",
        "1.5",
        "99999999999999999999",
        "536870911",
        "19000",
        "allow_alias",
        "map_entry",
        "packed",
        "declaration",
        "number",
        ":",
        "uninterpreted_option",
        "message_set_wire_format",
        "\n",
        "\n\n",
        "syntax = \"proto3\";",
        "syntax = \"proto2\";",
        "int32 a = 1;",
        "optional int32 a = 1;",
        "message A {",
        "enum E {",
        "Z = 0;",
    ];
    proptest::sample::select(WORDS).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_upset_lexer_and_parser(source in proptest::collection::vec(any::<u8>(), 0..512)) {
        fuzzing::lexer(&source);
        fuzzing::parser(&source);
    }

    #[test]
    fn no_words_upset_the_compiler(words in proptest::collection::vec(token(), 0..64)) {
        let result = compile(words.join(" "));
        prop_assert!(result.ok || !result.diagnostics.is_empty());
    }

    #[test]
    fn no_aggregate_upsets_the_interpreter(words in proptest::collection::vec(token(), 0..24)) {
        let _ = compile(format!("{OPTIONS} option (o) = {{ {} }};", words.join(" ")));
    }
}
