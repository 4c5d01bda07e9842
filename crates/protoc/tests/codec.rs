//! Messages between text and wire: `--encode`, `--decode` and `--decode_raw` in protoc's words, and archives.
//!
//! What is expected here was printed by grpcio-tools 1.85.1.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROTO: &str = r#"syntax = "proto2";
package q;
import "google/protobuf/any.proto";
message M {
  required int32 a = 1;
  optional group G = 2 { optional int32 x = 1; }
  optional string old = 3 [deprecated = true];
  map<int32, string> m = 4;
  optional google.protobuf.Any any = 5;
  optional E e = 6;
  optional Set set = 7;
  repeated float f = 8 [packed = true];
  optional M sub = 9;
  oneof o { int32 o1 = 11; string o2 = 12; }
  extensions 100 to 200;
  reserved "gone";
}
message Set { option message_set_wire_format = true; extensions 4 to max; }
message X { extend Set { optional X x = 1000; } optional int32 v = 1; }
enum E { A = 1; B = 2; }
extend M { optional int32 ext = 100; repeated X xs = 101; }
"#;

fn place(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("codec-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a directory");
    fs::write(path.join("q.proto"), PROTO).expect("a file");
    path
}

fn run(place: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_farcall-protoc"))
        .args(arguments)
        .current_dir(place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command");
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("an end")
}

fn expect(output: &Output, code: i32, stdout: &[u8], stderr: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
    assert_eq!(output.stdout, stdout, "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn text_becomes_a_message() {
    let place = place("encode");
    let text = b"a: 1 m { key: 3 value: \"x\" } m { key: 1 } [q.ext]: 4 [q.xs] { v: 1 } set { [q.X] { v: 9 } }";
    let rest = b":\t\x0b\x10\xe8\x07\x1a\x02\x08\t\x0c\xa0\x06\x04\xaa\x06\x02\x08\x01";
    let as_given = [&b"\x08\x01\"\x05\x08\x03\x12\x01x\"\x04\x08\x01\x12\x00"[..], rest].concat();
    let sorted = [&b"\x08\x01\"\x04\x08\x01\x12\x00\"\x05\x08\x03\x12\x01x"[..], rest].concat();
    expect(&run(&place, &["--encode=q.M", "q.proto"], text), 0, &as_given, "");
    expect(&run(&place, &["--encode=q.M", "--deterministic_output", "q.proto"], text), 0, &sorted, "");
}

#[test]
fn wrong_and_doubtful_text_is_told() {
    let place = place("wrong");
    for (text, code, bytes, words) in [
        (
            "old: \"a\"\n gone: 3 sub { G { x: 1 } }",
            0,
            &b"\x1a\x01aJ\x04\x13\x08\x01\x14"[..],
            "input:1:4: warning: text format contains deprecated field \"old\"\nwarning:  Input message is missing \
             required fields:  a, sub.a\n",
        ),
        (
            "a: 1 e: C",
            1,
            b"",
            "input:1:10: Unknown enumeration value of \"C\" for field \"e\".\nFailed to parse input.\n",
        ),
        ("a: 1 any { [x.org/q.M] { a: 3 } }", 0, b"\x08\x01*\x0f\n\tx.org/q.M\x12\x02\x08\x03", ""),
        ("a: 1 q: 3", 1, b"", "input:1:7: Message type \"q.M\" has no field named \"q\".\nFailed to parse input.\n"),
    ] {
        expect(&run(&place, &["--encode=q.M", "q.proto"], text.as_bytes()), code, bytes, words);
    }
    expect(&run(&place, &["--encode=q.E", "q.proto"], b""), 1, b"", "Type not defined: q.E\n");
}

#[test]
fn a_message_becomes_text() {
    let place = place("decode");
    let message = b"\x13\x08\x01\x14\x30\x05\x30\x02\x3a\x09\x0b\x10\xe8\x07\x1a\x02\x08\x09\x0c\xa0\x06\x07\
        \x42\x04\x00\x00\xc0\x7f\x45\xcd\xcc\xcc\x3d\"\x02\x08\x03\"\x02\x08\x01\x0a\x03\x08\x01\x0f";
    let text = "G {\n  x: 1\n}\nm {\n  key: 1\n  value: \"\"\n}\nm {\n  key: 3\n  value: \"\"\n}\ne: B\nset {\n  [q.X] \
                {\n    v: 9\n  }\n}\nf: nan\nf: 0.1\n[q.ext]: 7\n6: 5\n1: \"\\010\\001\\017\"\n";
    expect(
        &run(&place, &["--decode=q.M", "q.proto"], &message[..]),
        0,
        text.as_bytes(),
        "warning:  Input message is missing required fields:  a\n",
    );
    expect(&run(&place, &["--decode=q.M", "q.proto"], b"\x0a\x05a"), 1, b"", "Failed to parse input.\n");
}

#[test]
fn a_message_of_unknown_type_becomes_text() {
    let place = place("raw");
    let message =
        b"\x08\x96\x01\x12\x02\x08\x01\x12\x01a\x1d\x01\x00\x00\x00!\x02\x00\x00\x00\x00\x00\x00\x00\x2b\x2c\x32\x00";
    let text = "1: 150\n2 {\n  1: 1\n}\n2: \"a\"\n3: 0x00000001\n4: 0x0000000000000002\n5 {\n}\n6: \"\"\n";
    expect(&run(&place, &["--decode_raw"], message), 0, text.as_bytes(), "");
    // Groups may nest as deep as protoc lets them, and no deeper.
    let nested = |depth| [vec![0x0b; depth], vec![0x0c; depth]].concat();
    assert_eq!(run(&place, &["--decode_raw"], &nested(100)).status.code(), Some(0));
    expect(&run(&place, &["--decode_raw"], &nested(101)), 1, b"", "Failed to parse input.\n");
}

#[test]
fn only_one_thing_is_done_at_a_time() {
    let place = place("modes");
    for (arguments, words) in [
        (
            &["--decode=", "q.proto"][..],
            "Type name for --decode cannot be blank.\nTo decode an unknown message, use --decode_raw.",
        ),
        (&["--decode_raw", "--encode=a"], "Only one of --encode and --decode can be specified."),
        (&["--decode_raw", "q.proto"], "When using --decode_raw, no input files should be given."),
        (&["--decode_raw=3"], "--decode_raw does not take a parameter."),
        (&["--deterministic_output", "--decode_raw"], "Can only use --deterministic_output with --encode."),
        (
            &["--python_out=.", "--decode_raw"],
            "Cannot use --decode_raw and generate code or descriptors at the same time.",
        ),
    ] {
        expect(&run(&place, arguments, b""), 1, b"", &format!("{words}\n"));
    }
}

#[test]
fn imports_are_held_to_a_list() {
    let place = place("imports");
    let undeclared = "q.proto: File is imported but not declared in --direct_dependencies: google/protobuf/any.proto\n";
    let run = |flags: &[&str]| run(&place, &[&["--python_out=.", "q.proto"], flags].concat(), b"");
    expect(&run(&["--direct_dependencies="]), 1, b"", undeclared);
    assert!(!place.join("q_pb2.py").exists());
    let message = ["--direct_dependencies=", "--direct_dependencies_violation_msg=no %s, %s"];
    let twice = "q.proto: no google/protobuf/any.proto, google/protobuf/any.proto\n";
    expect(&run(&message), 1, b"", twice);
    let option = "edition = \"2024\"; import option \"google/protobuf/any.proto\"; message M {}";
    fs::write(place.join("o.proto"), option).expect("a file");
    let forbidden =
        ["--python_out=.", "--option_dependencies=", "--option_dependencies_violation_msg=no %s", "o.proto"];
    let output = self::run(&place, &forbidden, b"");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.ends_with("o.proto: no google/protobuf/any.proto\n"), "{words}");
    expect(&run(&["--direct_dependencies=x:google/protobuf/any.proto", "--option_dependencies="]), 0, b"", "");
}

#[test]
fn outputs_go_into_archives() {
    let place = place("archive");
    let output = run(&place, &["--python_out=o.zip", "--pyi_out=o.zip", "--grpc_python_out=o.jar", "q.proto"], b"");
    expect(&output, 0, b"", "");
    let zip = fs::read(place.join("o.zip")).expect("an archive");
    assert!(zip.starts_with(b"PK\x03\x04\x0a\0\0\0\0\0\0\0\x21\0"), "stored, on the first day of 1980");
    let end = [&b"PK\x05\x06\0\0\0\0\x02\0\x02\0"[..]].concat();
    assert_eq!(zip[zip.len() - 22..][..12], end, "two files");
    let jar = fs::read(place.join("o.jar")).expect("an archive");
    assert_eq!(jar[30..50], *b"META-INF/MANIFEST.MF");
    expect(&run(&place, &["--python_out=o.srcjar", "--pyi_out=o.srcjar", "q.proto"], b""), 0, b"", "");
    assert_eq!(fs::read(place.join("o.srcjar")).expect("an archive"), zip);
    expect(
        &run(&place, &["--python_out=none/o.zip", "q.proto"], b""),
        1,
        b"",
        "none/o.zip: No such file or directory\n",
    );
}

const NUMBERS: &str = r#"syntax = "proto2";
message N {
  optional int32 i = 1;
  optional uint32 u = 2;
  optional sint32 s = 3;
  repeated int32 many = 4;
  repeated sint32 packed = 5 [packed = true];
  oneof o { int32 one = 6; }
  optional E e = 7;
  map<sint32, int32> m = 8;
  map<int32, E> enums = 9;
  optional bool b = 10;
  extensions 100;
}
enum E { ZERO = 0; ONE = 1; }
extend N { optional int32 ext = 100; }
"#;

#[test]
fn numbers_of_32_bits_lose_the_upper_ones() {
    let place = place("narrow");
    fs::write(place.join("n.proto"), NUMBERS).expect("a file");
    // 2^31, 2^32 + 5, 2^35 - 1.
    let (high, over, ones) = (b"\x80\x80\x80\x80\x08", b"\x85\x80\x80\x80\x10", b"\xff\xff\xff\xff\x7f");
    for (tag, number, expected) in [
        (&b"\x08"[..], high, "i: -2147483648"),
        (b"\x08", over, "i: 5"),
        (b"\x08", ones, "i: -1"),
        (b"\x10", high, "u: 2147483648"),
        (b"\x10", over, "u: 5"),
        (b"\x10", ones, "u: 4294967295"),
        (b"\x18", high, "s: 1073741824"),
        (b"\x18", over, "s: -3"),
        (b"\x18", ones, "s: -2147483648"),
        (b"\x20", over, "many: 5"),
        (b"\x22\x05", high, "many: -2147483648"),
        (b"\x2a\x05", over, "packed: -3"),
        (b"\x28", over, "packed: -3"),
        (b"\x30", high, "one: -2147483648"),
        (b"\x38", high, "7: 18446744071562067968"),
        (b"\x38", over, "7: 5"),
        (b"\x50", over, "b: true"),
        (b"\xa0\x06", high, "[ext]: -2147483648"),
    ] {
        let output = run(&place, &["--decode=N", "n.proto"], &[tag, &number[..]].concat());
        expect(&output, 0, format!("{expected}\n").as_bytes(), "");
    }
}

#[test]
fn an_entry_of_a_map_is_its_key_and_its_value() {
    let place = place("entries");
    fs::write(place.join("n.proto"), NUMBERS).expect("a file");
    for (bytes, expected) in [
        (&b"\x42\x06\x08\x03\x10\x05\x18\x09"[..], "m {\n  key: -2\n  value: 5\n}\n"),
        (b"\x42\x05\x0a\x01a\x10\x05", "m {\n  key: 0\n  value: 5\n}\n"),
        (b"\x42\x0c\x08\x81\x80\x80\x80\x10\x10\x81\x80\x80\x80\x10", "m {\n  key: -1\n  value: 1\n}\n"),
        // A value that its enum does not have.
        (b"\x4a\x06\x08\x01\x10\x4d\x18\x09", "9 {\n  1: 1\n  2: 77\n}\n"),
        (b"\x4a\x04\x08\x01\x10\x01", "enums {\n  key: 1\n  value: ONE\n}\n"),
    ] {
        expect(&run(&place, &["--decode=N", "n.proto"], bytes), 0, expected.as_bytes(), "");
    }
}

#[test]
fn text_that_is_not_utf8_is_encoded_with_a_warning() {
    let place = place("broken-text");
    fs::write(place.join("t.proto"), "syntax = \"proto3\"; message T { string s = 1; bytes b = 2; }").expect("a file");
    let warning = "String field 'T.s' contains invalid UTF-8 data when serializing a protocol buffer. Use the 'bytes' \
                   type if you intend to send raw bytes.\n";
    let text = br#"s: "\xff" b: "\xfe""#;
    expect(&run(&place, &["--encode=T", "t.proto"], text), 0, b"\x0a\x01\xff\x12\x01\xfe", warning);
}

#[test]
fn a_number_ends_before_a_letter() {
    let place = place("numbers");
    fs::write(place.join("n.proto"), NUMBERS).expect("a file");
    let words = "input:1:4: Need space between number and identifier.\nFailed to parse input.\n";
    expect(&run(&place, &["--encode=N", "n.proto"], b"i:1u:2"), 1, b"", words);
}

#[test]
fn what_is_wrong_with_a_name_in_brackets_is_said_behind_it() {
    let place = place("brackets");
    for (text, words) in [
        ("[x.org/q.M]    {}", "1:12: Extension name contains \"/\""),
        ("[x.org/q.M]\n\n {}", "1:12: Extension name contains \"/\""),
        ("[/q.M]    {}", "1:7: Type URL prefix is empty"),
        ("[/a/q.M]   {}", "1:9: Type URL starts with \"/\""),
        ("[a%zz/M]   {}", "1:9: Invalid percent encode, got: \"%zz\""),
        ("[a/1M]   {}", "1:7: Invalid identifier in type name, got: \"1M\""),
        ("any { [a.nope]    {} }", "1:15: Type URL prefix is missing"),
        // Of a name that is right, what follows is wrong.
        ("[a.b.nope]    : 1", "1:15: Extension \"a.b.nope\" is not defined or is not an extension of \"q.M\"."),
    ] {
        let words = format!("input:{words}\nFailed to parse input.\n");
        expect(&run(&place, &["--encode=q.M", "q.proto"], text.as_bytes()), 1, b"", &words);
    }
}
