//! Every limit on what a file may ask for, at the limit and one past it.

use std::collections::HashMap;
use std::fmt::Write;

use crate::support::{Files, compile};
use farcall_schema::Compiler;

/// The one complaint about a file that is wrong.
fn complaint(source: impl Into<Vec<u8>>) -> String {
    let result = compile(source);
    assert!(!result.ok);
    match &result.diagnostics[..] {
        [diagnostic] => diagnostic.message.clone(),
        many => panic!("{} complaints, the first {:?}", many.len(), many.first()),
    }
}

#[test]
fn packages() {
    let package = |name: String| format!("syntax = \"proto3\"; package {name};");
    assert!(compile(package("p".repeat(511))).ok);
    assert_eq!(complaint(package("p".repeat(512))), "Package name is too long");
    assert!(compile(package(vec!["p"; 101].join("."))).ok);
    assert_eq!(complaint(package(vec!["p"; 102].join("."))), "Exceeds Maximum Package Depth");
}

#[test]
fn one_full_name() {
    let message = |length: usize| format!("syntax = \"proto3\"; package p; message {} {{}}", "M".repeat(length - 2));
    assert!(compile(message(65_535)).ok);
    assert_eq!(complaint(message(65_536)), "Name too long.");
}

#[test]
fn all_full_names_of_a_file() {
    // A message of 65,000 letters and so many fields, each of whose names holds the message's.
    let source = |fields: usize| {
        let mut source = format!("syntax = \"proto3\"; message {} {{", "M".repeat(65_000));
        for field in 1..=fields {
            let _ = write!(source, "int32 f{field:04} = {field};");
        }
        source + "}"
    };
    let fields = ((64 << 20) - 65_000) / 65_006;
    assert!(compile(source(fields)).ok);
    assert_eq!(complaint(source(fields + 1)), "The full names in this file take more than 64 MiB.");
    // However many there are, it ends with the first that are too many.
    let enums = format!("syntax = \"proto3\"; message {} {{ enum E {{ Z = 0;", "M".repeat(65_000));
    let values: String = (1..20_000).map(|value| format!("V{value} = {value};")).collect();
    assert_eq!(complaint(format!("{enums}{values}}}}}")), "The full names in this file take more than 64 MiB.");
}

#[test]
fn fields_of_a_message() {
    let source = |fields: u32| {
        let number = |field: u32| if field < 19_000 { field } else { field + 1_000 };
        let fields: String = (1..=fields).map(|field| format!("int32 f{field} = {};", number(field))).collect();
        format!("syntax = \"proto3\"; message M {{ {fields} }}")
    };
    assert!(compile(source(65_535)).ok);
    assert_eq!(complaint(source(65_536)), "65536 fields in M exceeds the limit of 65535");
}

#[test]
fn numbers_of_fields() {
    let source = |number: u32| format!("syntax = \"proto3\"; message M {{ int32 f = {number}; }}");
    assert!(compile(source(536_870_911)).ok);
    assert!(compile(source(18_999)).ok);
    assert!(compile(source(20_000)).ok);
    let complaints = |number| -> Vec<String> {
        compile(source(number)).diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect()
    };
    assert_eq!(
        complaints(536_870_912),
        ["Field numbers cannot be greater than 536870911.", "Suggested field numbers for M: 1"]
    );
    let reserved = "Field numbers 19000 through 19999 are reserved for the protocol buffer library implementation.";
    assert_eq!(complaint(source(19_000)), reserved);
    assert_eq!(complaint(source(19_999)), reserved);
    assert_eq!(complaint(source(u32::MAX)), "Integer out of range.");
}

const OPTIONS: &str = "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\";
    message M { optional M m = 1; repeated int32 i = 2; }
    extend google.protobuf.FileOptions { optional M o = 50001; } ";

#[test]
fn messages_in_the_name_of_an_option() {
    let source = |depth: usize| format!("{OPTIONS} option (o){}.i = 1;", ".m".repeat(depth - 1));
    assert!(compile(source(100)).ok);
    let name = format!("(o){}", ".m".repeat(100));
    assert_eq!(complaint(source(101)), format!("Option \"{name}\" lies deeper than 100 messages."));
    assert_eq!(complaint(source(50_000)), format!("Option \"{name}\" lies deeper than 100 messages."));
}

#[test]
fn messages_in_the_value_of_an_option() {
    let source = |depth: usize| format!("{OPTIONS} option (o) = {{ {}{} }};", "m {".repeat(depth), "}".repeat(depth));
    assert!(compile(source(100)).ok);
    assert!(complaint(source(101)).contains("the parser exceeded the configured recursion limit of 100."));
}

#[test]
fn what_is_said_of_a_file() {
    // By number: each of these clashes with the first.
    let fields = |count: usize| -> String { (0..=count).map(|field| format!("int32 f{field} = 1;")).collect() };
    let source = |count| format!("syntax = \"proto3\"; message M {{ {} }}", fields(count));
    assert_eq!(compile(source(10_000)).diagnostics.len(), 10_000);
    assert_eq!(compile(source(10_001)).diagnostics.len(), 10_000);
    // By length: each names the message twice.
    let long = |count| format!("syntax = \"proto3\"; message {} {{ {} }}", "M".repeat(60_000), fields(count));
    let said =
        |count| -> usize { compile(long(count)).diagnostics.iter().map(|diagnostic| diagnostic.message.len()).sum() };
    assert!((16 << 20..(16 << 20) + 60_200).contains(&said(500)), "{}", said(500));
    assert!(said(250) < 16 << 20);
}

#[test]
fn what_is_said_in_a_run() {
    let name = "M".repeat(60_000);
    let wrong: String = (0..100).map(|field| format!("int32 f{field} = 1;")).collect();
    let mut files = HashMap::new();
    let mut imports = String::new();
    for file in 0..10 {
        files.insert(
            format!("f{file}.proto"),
            format!("syntax = \"proto3\"; message {name}{file} {{ {wrong} }}").into_bytes(),
        );
        let _ = write!(imports, "import \"f{file}.proto\";");
    }
    files.insert("a.proto".to_owned(), format!("syntax = \"proto3\"; {imports}").into_bytes());
    let result = Compiler::new(Files(files)).compile(&["a.proto"]);
    assert!(!result.ok);
    let said: usize = result.diagnostics.iter().map(|diagnostic| diagnostic.message.len()).sum();
    assert!((16 << 20..(16 << 20) + 60_200).contains(&said), "{said}");
}
