//! What a build script gets: files per package, or errors that say where.

use std::fs;
use std::path::{Path, PathBuf};

use buffa::Message;
use buffa_descriptor::generated::descriptor::FileDescriptorSet;
use farcall_build::{Builder, MessageCodec, configure};

fn place(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("build-{name}"));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("out")).expect("a directory");
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a written file");
    }
    root
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

const GREETER: &str = r#"syntax = "proto3";
package hello.v1;
import "common/types.proto";
// Greets.
service Greeter { rpc Say (common.Name) returns (Reply); }
message Reply { string text = 1; common.Name name = 2; }
"#;
const TYPES: &str = "syntax = \"proto3\";\npackage common;\nmessage Name { string first = 1; }\n";

#[test]
fn each_package_gets_a_file_and_the_tree_names_them() {
    let root = place("packages", &[("proto/hello.proto", GREETER), ("proto/common/types.proto", TYPES)]);
    let proto = root.join("proto");
    configure().out_dir(root.join("out")).compile(&[proto.join("hello.proto")], &[&proto]).expect("compiled");
    assert_eq!(names(&root.join("out")), ["common.rs", "hello.v1.rs", "mod.rs"]);
    let tree = fs::read_to_string(root.join("out/mod.rs")).expect("mod.rs");
    assert!(tree.contains("pub mod hello") && tree.contains("pub mod v1") && tree.contains("hello.v1.rs"));
    let code = fs::read_to_string(root.join("out/hello.v1.rs")).expect("code");
    assert!(code.contains("pub struct Reply") && code.contains("pub mod greeter_client"));
    assert!(code.contains("super::super::super::common::Name"), "a client's path to a message of another package");
}

#[test]
fn with_prost_only_services_are_written() {
    let root = place("prost", &[("hello.proto", GREETER), ("common/types.proto", TYPES)]);
    let builder = configure().codec(MessageCodec::Prost).build_server(false).out_dir(root.join("out"));
    builder.compile(&[root.join("hello.proto")], &[&root]).expect("compiled");
    let code = fs::read_to_string(root.join("out/hello.v1.rs")).expect("code");
    assert!(!code.contains("pub struct Reply") && code.contains("Prost") && code.contains("super::Reply"));
    assert!(!code.contains("greeter_server"));
}

#[test]
fn imports_that_have_a_home_are_not_generated_again() {
    let proto = GREETER.replace("import", "import \"google/protobuf/any.proto\";\nimport");
    let proto = proto.replace("string text", "google.protobuf.Any any = 3; string text");
    let root = place("extern", &[("hello.proto", proto.as_str()), ("common/types.proto", TYPES)]);
    let builder = configure().extern_path(".common", "::elsewhere::common").out_dir(root.join("out"));
    builder.compile(&[root.join("hello.proto")], &[&root]).expect("compiled");
    assert_eq!(names(&root.join("out")), ["hello.v1.rs", "mod.rs"]);
    let code = fs::read_to_string(root.join("out/hello.v1.rs")).expect("code");
    assert!(code.contains("::elsewhere::common::Name") && code.contains("::buffa_types::google::protobuf::Any"));
}

#[test]
fn errors_say_where() {
    let root = place("errors", &[("bad.proto", "syntax = \"proto3\";\nmessage A { B b = 1; }\n")]);
    let error = configure().out_dir(root.join("out")).compile(&[root.join("bad.proto")], &[&root]);
    let path = root.join("bad.proto");
    let expected = format!(
        "error: \"B\" is not defined.\n --> {}:2:13\n  |\n2 | message A {{ B b = 1; }}\n  |             ^",
        path.display()
    );
    assert_eq!(error.expect_err("an error").to_string(), expected);
    assert!(names(&root.join("out")).is_empty());
    let error = configure().out_dir(root.join("out")).compile(&[root.join("bad.proto")], &[root.join("elsewhere")]);
    assert!(error.expect_err("an error").to_string().contains("not below any include directory"));
}

#[test]
fn errors_are_drawn_with_a_path_that_leads_to_the_file_and_the_way_out() {
    let root = place(
        "drawn",
        &[
            ("protos/a.proto", "syntax = \"proto3\";\nimport \"deep/b.proto\";\nmessage A { B b = 1; }\n"),
            ("protos/deep/b.proto", "syntax = \"proto3\";\nmessage B {\n  strng name = 1;\n}\n"),
        ],
    );
    // A relative path, as a build script has it.
    let relative = |path: &Path| {
        let here = std::env::current_dir().expect("a directory");
        let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
        up.join(path.strip_prefix("/").expect("an absolute path"))
    };
    let protos = relative(&root.join("protos"));
    let error = configure().out_dir(root.join("out")).compile(&[protos.join("a.proto")], &[&protos]);
    let text = error.expect_err("an error").to_string();
    let place = text.lines().find_map(|line| line.trim_start().strip_prefix("--> ")).expect("a place");
    let (path, position) = place.split_once(".proto:").expect("a path");
    let path = PathBuf::from(format!("{path}.proto"));
    assert!(path.is_absolute() && path.is_file(), "{text}");
    assert_eq!(path.canonicalize().ok(), root.join("protos/deep/b.proto").canonicalize().ok());
    assert_eq!(position, "3:3");
    assert!(text.contains("= help: did you mean `string`?") && text.contains("  strng name = 1;"), "{text}");
}

/// What the generator cannot write, by an option that it does not take: of each the option, the place, the name.
fn wrong_options() -> Vec<(Builder, &'static str, &'static str)> {
    vec![
        (configure().type_attribute(".b.B", "#[("), "7:9", "b.B"),
        (configure().field_attribute(".b.Outer.Inner.deep", "#[("), "11:39", "b.Outer.Inner.deep"),
        (configure().enum_attribute(".b.Outer.E", "#[("), "12:8", "b.Outer.E"),
        // The first of two.
        (configure().message_attribute(".b.B", "#[(").message_attribute(".b.Outer", "#[("), "7:9", "b.B"),
        // In a map, whose entry nobody wrote.
        (configure().map_type(".b.Outer.map", "not rust"), "13:22", "b.Outer.map"),
        (configure().string_type(".b.Outer.text", "::a::"), "14:10", "b.Outer.text"),
        (configure().bytes_type(".b.Outer.raw", "not rust"), "15:9", "b.Outer.raw"),
        (configure().repeated_type(".b.Outer.list", "Vec"), "16:19", "b.Outer.list"),
    ]
}

const WRONG: [(&str, &str); 2] = [
    ("a.proto", "syntax = \"proto3\";\npackage a;\nmessage A {}\n"),
    (
        "b.proto",
        r#"syntax = "proto3";
package b;

import "a.proto";

// Two.
message B {
  a.A a = 1;
}
message Outer {
  message Inner { Outer e = 1; string deep = 2; }
  enum E { ZERO = 0; }
  map<string, Inner> map = 1;
  string text = 2;
  bytes raw = 3;
  repeated string list = 4;
  Inner one = 5;
}
"#,
    ),
];

#[test]
fn an_error_of_generation_names_file_line_column_and_name() {
    let root = place("generation", &WRONG);
    for (builder, position, name) in wrong_options() {
        let error = builder.out_dir(root.join("out")).compile(&[root.join("a.proto"), root.join("b.proto")], &[&root]);
        let text = error.expect_err("an error").to_string();
        assert!(text.starts_with(&format!("error: {name}: ")), "{name}: {text}");
        assert!(text.contains(&format!(" --> {}:{position}\n", root.join("b.proto").display())), "{name}: {text}");
    }
    assert!(names(&root.join("out")).is_empty());
}

#[test]
fn an_external_path_that_is_none_is_an_error_of_no_file() {
    let root = place("extern-path", &[("a.proto", TYPES)]);
    for path in ["", "not rust", "a::", "r#type::A", "::1", "a:::b"] {
        let builder = configure().extern_path(".x", path).out_dir(root.join("out"));
        let error = builder.compile(&[root.join("a.proto")], &[&root]).expect_err("an error").to_string();
        assert!(error.starts_with(&format!("extern_path=.x={path}: expected a path")), "{error}");
    }
}

#[test]
fn an_error_of_generation_from_a_descriptor_set_says_why_there_is_no_line() {
    let root = place("generation-set", &WRONG);
    let set = root.join("set.binpb");
    let builder = configure().file_descriptor_set_path(&set).out_dir(root.join("out"));
    builder.compile(&[root.join("b.proto")], &[&root]).expect("compiled");
    let bytes = fs::read(&set).expect("a set");
    let mut without = FileDescriptorSet::decode_from_slice(&bytes).expect("a set");
    without.file.iter_mut().for_each(|file| file.source_code_info = Default::default());
    fs::write(root.join("without.binpb"), without.encode_to_vec()).expect("a written file");
    for (builder, position, name) in wrong_options() {
        let builder = builder.out_dir(root.join("out"));
        let error = builder.clone().compile_descriptor_set(&set).expect_err("an error").to_string();
        assert!(error.starts_with(&format!("error: {name}: ")), "{name}: {error}");
        assert!(error.contains(&format!("at b.proto:{position}")), "{name}: {error}");
        let error = builder.compile_descriptor_set(root.join("without.binpb")).expect_err("an error").to_string();
        assert!(error.starts_with(&format!("error: {name}: ")), "{name}: {error}");
        assert!(error.contains("have no source information") && error.contains("in b.proto"), "{name}: {error}");
    }
}

#[test]
fn edition_2026_is_for_those_who_ask_for_it() {
    let text = "edition = \"2026\";\npackage a;\nimport option \"google/protobuf/json_options.proto\";\n\
        message Thing { int32 number = 1; Kind kind = 2; }\n\
        enum Kind { KIND_UNSPECIFIED = 0 [(pb.enumvalue.json).string = \"none\"]; }\n";
    let root = place("edition-2026", &[("a.proto", text)]);
    let compile = |builder: Builder| builder.out_dir(root.join("out")).compile(&[root.join("a.proto")], &[&root]);
    let error = compile(configure()).expect_err("an edition that is not finished").to_string();
    assert!(error.contains("2026"), "{error}");
    assert!(names(&root.join("out")).is_empty());
    let set = root.join("set.binpb");
    compile(configure().experimental_editions(true).file_descriptor_set_path(&set)).expect("compiled");
    let code = fs::read_to_string(root.join("out/a.rs")).expect("code");
    assert!(code.contains("pub struct Thing"));
    // And from a set.
    let builder = || configure().out_dir(root.join("out"));
    builder().experimental_editions(true).compile_descriptor_set(&set).expect("compiled");
    assert_eq!(code, fs::read_to_string(root.join("out/a.rs")).expect("code"));
    assert!(builder().compile_descriptor_set(&set).expect_err("an edition").to_string().contains("2026"));
}

#[test]
fn a_descriptor_set_gives_what_the_files_give() {
    let files = [("proto/hello.proto", GREETER), ("proto/common/types.proto", TYPES)];
    let root = place("set", &files);
    let proto = root.join("proto");
    let set = root.join("set.binpb");
    fs::create_dir_all(root.join("second")).expect("a directory");
    let builder = configure().file_descriptor_set_path(&set).out_dir(root.join("out"));
    builder.compile(&[proto.join("hello.proto")], &[&proto]).expect("compiled");
    configure().out_dir(root.join("second")).compile_descriptor_set(&set).expect("compiled");
    for name in ["common.rs", "hello.v1.rs", "mod.rs"] {
        let read = |directory: &str| fs::read_to_string(root.join(directory).join(name)).expect("code");
        assert_eq!(read("out"), read("second"), "{name}");
    }
    assert!(fs::read_to_string(root.join("second/hello.v1.rs")).expect("code").contains("/// Greets."));
    for (bytes, words) in
        [(&b"\xff"[..], "not a FileDescriptorSet"), (b"\x0a\x09\x0a\x01x\x22\x04\x0a\x00\x12\x00", "x")]
    {
        fs::write(&set, bytes).expect("a written file");
        let error = configure().out_dir(root.join("second")).compile_descriptor_set(&set);
        assert!(error.expect_err("an error").to_string().contains(words));
    }
}

#[test]
fn with_prost_types_have_the_names_that_prost_build_gives() {
    let proto = r#"syntax = "proto3";
package a.b;
import "google/protobuf/empty.proto";
import "google/protobuf/timestamp.proto";
message HTTPThing { message Inner {} }
service S {
  rpc One(HTTPThing) returns (HTTPThing.Inner);
  rpc Two(google.protobuf.Empty) returns (google.protobuf.Timestamp);
}
"#;
    let root = place("prost-names", &[("s.proto", proto)]);
    let builder = configure().codec(MessageCodec::Prost).out_dir(root.join("out"));
    builder.compile(&[root.join("s.proto")], &[&root]).expect("compiled");
    let code = fs::read_to_string(root.join("out/a.b.rs")).expect("code");
    for path in ["super::HttpThing", "super::http_thing::Inner", "()", "::prost_types::Timestamp"] {
        assert!(code.contains(path), "{path} in {code}");
    }
}

#[test]
fn attributes_find_what_was_renamed() {
    let proto = "syntax = \"proto3\";\npackage a;\nmessage low_case {\n  int32 self = 1;\n  oneof one { int32 super = 2; }\n  \
                 message Inner { bytes data = 1; }\n}\n";
    let root = place("attributes", &[("a.proto", proto)]);
    let builder = configure()
        .field_attribute(".a.low_case.self", "#[first]")
        .field_attribute(".a.low_case.one.super", "#[second]")
        .message_attribute(".a.low_case.Inner", "#[third]")
        .bytes(".a.low_case.Inner");
    builder.out_dir(root.join("out")).compile(&[root.join("a.proto")], &[&root]).expect("compiled");
    let code = fs::read_to_string(root.join("out/a.rs")).expect("code");
    for (attribute, item) in [("#[first]", "pub self_:"), ("#[second]", "Super"), ("#[third]", "pub struct Inner")] {
        let (_, after) = code.split_once(attribute).unwrap_or_else(|| panic!("no {attribute} in {code}"));
        assert!(after.lines().nth(1).is_some_and(|line| line.trim().starts_with(item)), "{attribute}: {after}");
        assert!(!after.contains(attribute), "{attribute} twice");
    }
    assert!(code.contains("pub data: ::buffa::bytes::Bytes"), "{code}");
}

#[test]
fn what_is_wrong_with_an_attribute_is_an_error() {
    let root = place("bad-attribute", &[("a.proto", "syntax = \"proto3\";\nmessage A {}\n")]);
    let builder = configure().type_attribute(".", "#[(").out_dir(root.join("out"));
    let error = builder.compile(&[root.join("a.proto")], &[&root]).expect_err("an error");
    assert!(error.to_string().contains("#[("), "{error}");
}

#[test]
fn descriptors_are_written_and_options_skipped() {
    use buffa::Message;
    let proto = GREETER.replace("common/types", "checks/checks").replace("common.Name name = 2;", "");
    let proto = proto.replace("common.Name", "Reply");
    let root = place(
        "descriptors",
        &[
            ("hello.proto", proto.as_str()),
            ("checks/checks.proto", "syntax = \"proto3\";\npackage checks.v1;\nmessage M {}\n"),
        ],
    );
    let builder = configure().skip(".checks").file_descriptor_set_path("set.binpb").out_dir(root.join("out"));
    builder.compile(&[root.join("hello.proto")], &[&root]).expect("compiled");
    assert_eq!(names(&root.join("out")), ["hello.v1.rs", "mod.rs", "set.binpb"]);
    let bytes = fs::read(root.join("out/set.binpb")).expect("a set");
    let set = buffa_descriptor::generated::descriptor::FileDescriptorSet::decode_from_slice(&bytes).expect("a message");
    let names: Vec<_> = set.file.iter().filter_map(|file| file.name.as_deref()).collect();
    assert_eq!(names, ["checks/checks.proto", "hello.proto"]);
    assert!(set.file.iter().all(|file| file.source_code_info.is_set()));
}

#[test]
fn with_json_what_the_crates_have_without_is_generated() {
    let proto = "syntax = \"proto3\";\npackage a;\nimport \"google/protobuf/type.proto\";\n\
                 message A { google.protobuf.Type type = 1; google.protobuf.Type other = 2; }\n";
    let root = place("json", &[("a.proto", proto)]);
    let compile = |json| {
        let builder = configure().build_json(json).out_dir(root.join("out"));
        builder.compile(&[root.join("a.proto")], &[&root]).expect("compiled");
        names(&root.join("out"))
    };
    assert_eq!(compile(false), ["a.rs", "mod.rs"]);
    assert_eq!(compile(true), ["a.rs", "google.protobuf.rs", "mod.rs"]);
}
