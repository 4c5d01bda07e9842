//! Edition 2026, behind `--experimental_editions`, gives what protoc 36.2 gives: the bytes of `tests/golden/edition_2026/out`
//! and the words of `refused.txt`.

use std::fs;
use std::path::{Path, PathBuf};

use farcall_protoc::{Bundled, run};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/edition_2026")
}

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("edition-2026-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a directory");
    path
}

/// Exit code and standard error.
fn protoc(arguments: &[String]) -> (u8, String) {
    let mut stderr = Vec::new();
    let arguments = [&["protoc".to_owned()], arguments].concat();
    let code = run(&arguments, Bundled::Fallback, &mut Vec::new(), &mut stderr);
    (code, String::from_utf8(stderr).expect("text"))
}

fn python(out: &Path) -> String {
    format!("--python_out=protobuf_runtime=7.36.2:{}", out.display())
}

#[test]
fn outputs_equal_those_of_protoc_36() {
    let out = scratch("out");
    let include = format!("-I{}", golden().join("in").display());
    let arguments = [
        "--experimental_editions".to_owned(),
        include.clone(),
        python(&out),
        format!("--pyi_out={}", out.display()),
        format!("--descriptor_set_out={}", out.join("set.binpb").display()),
        "part.proto".to_owned(),
        "whole.proto".to_owned(),
    ];
    assert_eq!(protoc(&arguments), (0, String::new()));
    for name in ["part_pb2.py", "part_pb2.pyi", "whole_pb2.py", "whole_pb2.pyi", "set.binpb"] {
        let read = |directory: &Path| fs::read(directory.join(name)).expect("a file");
        assert!(read(&out) == read(&golden().join("out")), "{name}: ours in {}", out.display());
    }
    // From a descriptor set: it has more names for JSON.
    let set = scratch("set");
    let input = golden().join("out/set.binpb");
    let arguments = [
        "--experimental_editions".to_owned(),
        format!("--descriptor_set_in={}", input.display()),
        python(&set),
        "part.proto".to_owned(),
    ];
    assert_eq!(protoc(&arguments), (0, String::new()));
    let read = |path: PathBuf| fs::read(path).expect("a file");
    assert!(
        read(set.join("part_pb2.py")) == read(golden().join("out_of_set/part_pb2.py")),
        "ours in {}",
        set.display()
    );
}

#[test]
fn defaults_of_features_equal_those_of_protoc_36() {
    let features = ["descriptor", "cpp_features", "java_features", "go_features"]
        .map(|name| format!("google/protobuf/{name}.proto"));
    let out = scratch("defaults");
    for (first, last) in [("PROTO2", "2026"), ("2024", "UNSTABLE")] {
        let name = format!("edition_defaults.{first}.{last}.pb");
        let arguments = [
            "--experimental_editions".to_owned(),
            format!("--edition_defaults_out={}", out.join(&name).display()),
            format!("--edition_defaults_minimum={first}"),
            format!("--edition_defaults_maximum={last}"),
        ];
        assert_eq!(protoc(&[&arguments[..], &features].concat()), (0, String::new()));
        let read = |directory: &Path| fs::read(directory.join(&name)).expect("a file");
        assert!(read(&out) == read(&golden().join("out")), "{name}: ours in {}", out.display());
    }
}

#[test]
fn without_the_flag_or_a_runtime_that_has_it_the_edition_is_refused() {
    let out = scratch("refused");
    let include = format!("-I{}", golden().join("in").display());
    let (code, text) = protoc(&[include.clone(), format!("--python_out={}", out.display()), "part.proto".to_owned()]);
    assert_eq!(code, 1);
    assert!(
        text.ends_with("/part.proto:1:1: Edition 2026 is later than the maximum supported edition 2024\n"),
        "{text}"
    );
    let (code, text) = protoc(&[
        "--experimental_editions".to_owned(),
        include,
        format!("--python_out={}", out.display()),
        "part.proto".to_owned(),
    ]);
    assert_eq!(code, 1);
    assert!(text.contains("part.proto: ") && text.contains("protobuf_runtime=7.36"), "{text}");
}

#[test]
fn what_protoc_36_refuses_is_refused_in_its_words() {
    let table = fs::read_to_string(golden().join("refused.txt")).expect("the table");
    let folder = scratch("words");
    fs::write(folder.join("p.proto"), "edition = \"2026\"; package p; message Hidden {} export message Seen {}")
        .expect("a file");
    let mut count = 0;
    for case in table.split("\n> ").skip(1) {
        let (body, expected) = case.split_once('\n').expect("a body and what is said of it");
        fs::write(folder.join("b.proto"), format!("edition = \"2026\";\npackage a.b;\n{body}\n")).expect("a file");
        let path = folder.join("b.proto").display().to_string();
        let (code, text) = protoc(&[
            "--experimental_editions".to_owned(),
            format!("-I{}", folder.display()),
            python(&folder),
            path.clone(),
        ]);
        let text = text.replace(&path, "b.proto");
        assert_eq!(text.trim(), expected.trim(), "{body}");
        assert_eq!(code, u8::from(!expected.trim().is_empty()), "{body}");
        count += 1;
    }
    assert!(count > 15);
}

/// A limit, what is said past it, and a declaration that holds as many.
type Limit<'a> = (usize, &'a str, &'a dyn Fn(usize) -> String);

/// Each limit, at it and one past it.
#[test]
fn one_declaration_holds_so_much_and_no_more() {
    let folder = scratch("limits");
    let fields = |count: usize, first: usize| -> String {
        (first..first + count).map(|number| format!("int32 f{number}x = {number};\n")).collect()
    };
    let shapes: [Limit<'_>; 4] = [
        (1500, "Message name M should not contain more than 1500 fields", &|count| {
            format!("message M {{ {} }}", fields(count, 1))
        }),
        (1000, "Message name M should not contain more than 1000 oneofs", &|count| {
            let oneofs: String = (1..=count).map(|n| format!("oneof o{n} {{ int32 f{n} = {n}; }}\n")).collect();
            format!("message M {{ {oneofs} }}")
        }),
        (1200, "Oneof name o should not contain more than 1200 fields", &|count| {
            format!("message M {{ oneof o {{ {} }} }}", fields(count, 1))
        }),
        (1700, "Enum name E should not contain more than 1700 values", &|count| {
            let values: String = (0..count).map(|n| format!("V{n} = {n};\n")).collect();
            format!("enum E {{ {values} }}")
        }),
    ];
    for (limit, complaint, make) in shapes {
        for (count, is_fine) in [(limit, true), (limit + 1, false)] {
            fs::write(folder.join("b.proto"), format!("edition = \"2026\"; {}", make(count))).expect("a file");
            let (code, text) = protoc(&[
                "--experimental_editions".to_owned(),
                format!("-I{}", folder.display()),
                python(&folder),
                "b.proto".to_owned(),
            ]);
            assert_eq!(code == 0, is_fine, "{complaint}, {count}: {text}");
            assert_eq!(text.contains(complaint), !is_fine, "{text}");
        }
    }
}
