//! What the command says and does for right and wrong arguments: protoc's words and exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A fresh directory with the given files, and the command run inside it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("command-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("out")).expect("a directory");
        let place = Self(path);
        for (name, text) in files {
            place.write(name, text);
        }
        place
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a written file");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_farcall-protoc"))
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .expect("the command")
    }

    /// Runs and expects exit code 1, nothing written and this on standard error.
    fn fails(&self, arguments: &[&str], expected: &str) {
        let output = self.run(arguments);
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), expected, "{arguments:?}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let written: Vec<_> = fs::read_dir(self.0.join("out")).expect("out").collect();
        assert!(written.is_empty(), "{arguments:?} wrote {written:?}");
    }

    /// Runs and expects exit code 0 and this on standard error.
    fn succeeds(&self, arguments: &[&str], expected: &str) {
        let output = self.run(arguments);
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), expected, "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }

    fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }
}

const SAMPLE: &str = "syntax = \"proto3\";\npackage a;\nmessage M { int32 x = 1; }\n";
const PYTHON: &str = "--python_out=out";

fn sample(name: &str) -> Place {
    Place::new(name, &[("a.proto", SAMPLE), ("sub/b.proto", SAMPLE)])
}

#[test]
fn version_and_help_go_to_standard_output() {
    let place = sample("version");
    assert_eq!(place.run(&["--version"]).stdout, b"libprotoc 35.1\n");
    for arguments in [vec!["-h"], vec!["--help"], vec![]] {
        let output = place.run(&arguments);
        assert!(output.stdout.starts_with(b"Usage: "), "{arguments:?}");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn wrong_arguments_are_named() {
    let place = sample("arguments");
    for (arguments, expected) in [
        (vec!["-I."], "Missing input file."),
        (vec!["-I.", "a.proto"], "Missing output directives."),
        (vec!["-I.", "--bogus", "a.proto"], "Unknown flag: --bogus"),
        (vec!["-I.", "--bogus", "-I."], "Missing value for flag: --bogus"),
        (vec!["-I.", "--bogus=1", "a.proto"], "Unknown flag: --bogus"),
        (vec!["-x", "a.proto"], "Unknown flag: -x"),
        (vec!["-I"], "Missing value for flag: -I"),
        (vec!["-I="], "--proto_path passed empty directory name.  (Use \".\" for current directory.)"),
        (vec!["@nope.txt"], "Failed to open argument file: nope.txt"),
        (vec!["--error_format=xx", "a.proto"], "Unknown error format: xx"),
        (vec!["-o", "x", "-o", "y", "a.proto"], "-o may only be passed once."),
        (vec!["--descriptor_set_out=", "a.proto"], "--descriptor_set_out requires a non-empty value."),
        (vec!["--include_imports", "--include_imports"], "--include_imports may only be passed once."),
        (
            vec!["--descriptor_set_in=a", "--descriptor_set_in=b"],
            "--descriptor_set_in may only be passed once. To specify multiple descriptor sets, pass them all as a \
             single parameter separated by ':'.",
        ),
        (vec!["--decode"], "Missing value for flag: --decode\nTo decode an unknown message, use --decode_raw."),
        (vec!["-I.", "--python_opt=pyi_out", PYTHON, "a.proto"], "Unknown flag: --python_opt"),
    ] {
        place.fails(&arguments, expected);
    }
}

#[test]
fn inputs_that_are_no_files_of_the_tree_are_named() {
    let place = sample("inputs");
    let absolute = fs::canonicalize(place.0.join("a.proto")).expect("a path");
    let absolute = absolute.to_str().expect("a UTF-8 path");
    place.fails(
        &["-I.", PYTHON, "missing.proto"],
        "Could not make proto path relative: missing.proto: No such file or directory",
    );
    place.fails(&["-I.", PYTHON, "sub"], "Could not map to virtual file: sub: Input file is a directory.");
    place.fails(
        &["-I.", PYTHON, absolute],
        &format!(
            "{absolute}: File does not reside within any path specified using --proto_path (or -I).  You must \
             specify a --proto_path which encompasses this file.  Note that the proto_path must be an exact prefix \
             of the .proto file names -- protoc is too dumb to figure out when two paths (e.g. absolute and \
             relative) are equivalent (it's harder than you think)."
        ),
    );
    place.write("sub/a.proto", SAMPLE);
    place.fails(
        &["-Isub", "-I.", PYTHON, "a.proto"],
        "a.proto: Input is shadowed in the --proto_path by \"sub/a.proto\".  Either use the latter file as your \
         input or reorder the --proto_path so that the former file's location comes first.",
    );
}

#[test]
fn outputs_that_cannot_be_written_leave_nothing_behind() {
    let place = sample("outputs");
    place.fails(&["-I.", "--python_out=nodir", "a.proto"], "nodir/: No such file or directory");
    place.fails(&["-I.", PYTHON, PYTHON, "a.proto"], "a_pb2.py: Tried to write the same file twice.");
    place.fails(
        &["-I.", "--grpc_python_out=grpc_1_0:out", "sub/b.proto"],
        "sub/b_pb2.py: Tried to insert into file that doesn't exist.",
    );
    place.fails(&["-I.", PYTHON, "--pyi_out=nodir", "a.proto"], "nodir/: No such file or directory");
    place.fails(&["-I.", PYTHON, "-onodir/x", "a.proto"], "nodir/x: No such file or directory");
}

#[test]
fn generator_options_are_checked() {
    let place = sample("options");
    for (directive, expected) in [
        ("--python_out=bogus:out", "--python_out: a.proto: Unknown generator option: bogus"),
        ("--pyi_out=bogus:out", "--pyi_out: a.proto: Unknown generator option: bogus"),
        ("--grpc_python_out=bogus:out", "--grpc_python_out: a.proto: Invalid grpc version 'bogus'."),
        (
            "--grpc_python_out=grpc_2_0,a,b:out",
            "--grpc_python_out: a.proto: --grpc_python_out received too many comma-delimited parameters.",
        ),
    ] {
        place.fails(&["-I.", directive, "a.proto"], expected);
    }
}

#[test]
fn search_paths_take_all_of_protocs_forms() {
    for (name, arguments, expected) in [
        ("default", vec![PYTHON, "a.proto"], "a_pb2.py"),
        ("joined", vec!["-Isub", PYTHON, "sub/b.proto"], "b_pb2.py"),
        ("apart", vec!["-I", "sub", PYTHON, "b.proto"], "b_pb2.py"),
        ("long", vec!["--proto_path=sub", PYTHON, "b.proto"], "b_pb2.py"),
        ("long-apart", vec!["--proto_path", "sub", PYTHON, "b.proto"], "b_pb2.py"),
        ("list", vec!["-Isub:.", PYTHON, "a.proto"], "a_pb2.py"),
        ("mapped", vec!["-Ipb=./sub", PYTHON, "pb/b.proto"], "pb/b_pb2.py"),
        ("mapped-disk", vec!["-Ipb=sub", PYTHON, "sub/b.proto"], "pb/b_pb2.py"),
        ("empty-beside", vec!["--proto_path=", "-I.", PYTHON, "a.proto"], "a_pb2.py"),
        ("empty-alone", vec!["--proto_path=", PYTHON, "a.proto"], "a_pb2.py"),
        ("options-after", vec!["a.proto", "-I.", PYTHON], "a_pb2.py"),
    ] {
        let place = sample(&format!("search-{name}"));
        place.succeeds(&arguments, "");
        assert!(place.has(&format!("out/{expected}")), "{arguments:?}");
    }
    let place = sample("search-missing");
    place.succeeds(&["-Inowhere", "-I.", PYTHON, "a.proto"], "nowhere: warning: directory does not exist.");
}

#[test]
fn services_can_be_forbidden() {
    let place = sample("services");
    place.write("s.proto", "syntax = \"proto3\"; message M {} service S {}");
    let expected = "s.proto: This file contains services, but --disallow_services was used.";
    place.fails(&["-I.", "--disallow_services", PYTHON, "a.proto", "s.proto"], expected);
    place.succeeds(&["-I.", "-os.pb", "s.proto"], "");
    place.fails(&["--descriptor_set_in=s.pb", "--disallow_services", PYTHON, "s.proto"], expected);
    place.succeeds(&["-I.", "--disallow_services", PYTHON, "a.proto"], "");
}

#[test]
fn defaults_of_features_need_features_and_a_range() {
    let place = sample("defaults");
    let descriptor = "google/protobuf/descriptor.proto";
    let out = "--edition_defaults_out=out/x";
    let missing =
        "Could not find FeatureSet in descriptor pool.  Please make sure descriptor.proto is in your import path";
    place.fails(&["-I.", out, "a.proto"], &format!("out/x: {missing}"));
    place.fails(
        &[out, "--edition_defaults_minimum=2024", "--edition_defaults_maximum=2023", descriptor],
        "out/x: Invalid edition range, edition 2024 is newer than edition 2023",
    );
    place
        .fails(&[out, "--edition_defaults_minimum=x", descriptor], "--edition_defaults_minimum unknown edition \"x\".");
    place.fails(&[out, out, descriptor], "--edition_defaults_out may only be passed once.");
    place.fails(&["--edition_defaults_maximum=2023", descriptor], "Missing output directives.");
    place.fails(&["--edition_defaults_out=nodir/x", descriptor], "nodir/x: No such file or directory");
}

/// protoc's own files and its tests may be ahead of it.
#[test]
fn an_edition_that_is_not_finished_goes_by_the_name_of_the_file() {
    let text = "edition = \"UNSTABLE\";\nmessage M { zigzag64 a = 1; }\n";
    let taken = ["test_messages_edition_unstable.proto", "test_messages_edition_unstable_x.proto", "upb/x.proto"];
    let files: Vec<_> = taken.iter().chain(&["google/protobuf/x.proto", "other.proto"]).map(|&it| (it, text)).collect();
    let place = Place::new("unstable", &files);
    for (name, _) in &files[..4] {
        place.succeeds(&["-I.", "-oset.pb", name], "");
        place.succeeds(&["-I.", "--python_out=.", name], "");
    }
    let refused = "other.proto: is a file using edition UNSTABLE, which is later than the protoc maximum supported \
                   edition 2024.";
    place.fails(&["-I.", "-oout/set.pb", "other.proto"], refused);
}

#[test]
fn argument_files_hold_one_argument_a_line() {
    let place = sample("argument-file");
    place.write("arguments.txt", "-I.\n--python_out=out\na.proto\n");
    place.succeeds(&["@arguments.txt"], "");
    assert!(place.has("out/a_pb2.py"));
}

#[test]
fn diagnostics_have_the_path_on_disk_and_the_chosen_format() {
    let place = Place::new("diagnostics", &[("sub/bad.proto", "syntax = \"proto3\";\nmessage A { B b = 1; }\n")]);
    place.fails(&["-I.", PYTHON, "sub/bad.proto"], "sub/bad.proto:2:13: \"B\" is not defined.");
    place.fails(&["-Isub", PYTHON, "bad.proto"], "sub/bad.proto:2:13: \"B\" is not defined.");
    place.fails(
        &["-I.", "--error_format=msvs", PYTHON, "sub/bad.proto"],
        "sub/bad.proto(2) : error in column=13: \"B\" is not defined.",
    );
}

#[test]
fn warnings_are_fatal_only_on_request() {
    let text = "syntax = \"proto3\";\nimport \"google/protobuf/empty.proto\";\n";
    let place = Place::new("warnings", &[("unused.proto", text)]);
    let warning = "unused.proto:2:1: warning: Import google/protobuf/empty.proto is unused.";
    place.fails(&["-I.", "--fatal_warnings", PYTHON, "unused.proto"], warning);
    place.succeeds(&["-I.", PYTHON, "unused.proto"], warning);
}

#[test]
fn descriptor_sets_can_take_the_place_of_text() {
    let place = sample("sets");
    place.succeeds(&["-I.", "-oset.pb", "--include_imports", "--include_source_info", "a.proto"], "");
    fs::remove_file(place.0.join("a.proto")).expect("removed");
    place.succeeds(&["--descriptor_set_in=set.pb", PYTHON, "a.proto"], "");
    assert!(place.has("out/a_pb2.py"));
    let place = sample("sets-garbage");
    place.write("garbage.pb", "\u{1}\u{2}\u{3}");
    place.fails(&["--descriptor_set_in=garbage.pb", PYTHON, "a.proto"], "garbage.pb: Unable to parse.");
}

#[test]
fn a_dependency_file_is_a_rule_for_make() {
    let place = sample("dependencies");
    place.write("c.proto", "syntax = \"proto3\";\nimport \"sub/b.proto\";\nmessage C { a.M m = 1; }\n");
    place.succeeds(&["-I.", PYTHON, "--pyi_out=out", "-oset.pb", "--dependency_out=c.d", "c.proto"], "");
    let rule = fs::read_to_string(place.0.join("c.d")).expect("a rule");
    assert_eq!(rule, "out/c_pb2.py \\\nout/c_pb2.pyi \\\nset.pb: sub/b.proto\\\n c.proto");
    let place = sample("dependencies-wrong");
    for (arguments, expected) in [
        (vec!["--dependency_out=x.d", "a.proto"], "Missing output directives."),
        (vec!["--dependency_out=", PYTHON, "a.proto"], "--dependency_out requires a non-empty value."),
        (
            vec!["--dependency_out=x.d", PYTHON, "a.proto", "sub/b.proto"],
            "Can only process one input file when using --dependency_out=FILE.",
        ),
        (
            vec!["--dependency_out=x.d", "--descriptor_set_in=set.pb", PYTHON, "a.proto"],
            "--descriptor_set_in cannot be used with --dependency_out.",
        ),
        (vec!["--dependency_out=nodir/x.d", PYTHON, "a.proto"], "nodir/x.d: No such file or directory"),
    ] {
        place.fails(&arguments, expected);
    }
}

#[test]
fn free_field_numbers_are_printed_by_message() {
    let text = "syntax = \"proto3\";\npackage p;\nmessage A {\n  reserved 1 to 5, 7, 8;\n  int32 x = 9;\n  \
                message B { int32 y = 1; reserved 536870911; }\n}\n";
    let place = Place::new("free", &[("f.proto", text)]);
    let output = place.run(&["-I.", "--print_free_field_numbers", "f.proto"]);
    let expected = format!("{:<35} free: 2-536870910\n{:<35} free: 6 10-INF\n", "p.A.B", "p.A");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    place.fails(
        &["-I.", "--print_free_field_numbers", PYTHON, "f.proto"],
        "Cannot use --encode, --decode or print .proto info and generate code at the same time.",
    );
    place.fails(
        &["-I.", PYTHON, "--print_free_field_numbers", "f.proto"],
        "Cannot use --print_free_field_numbers and generate code or descriptors at the same time.",
    );
}

#[test]
fn an_endless_input_is_an_error() {
    let place = sample("endless");
    let output = place.run(&["@/dev/zero"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stderr, b"Failed to open argument file: /dev/zero\n");
}

const DRAWN: &str = "\
error: \"Strin\" is not defined.
 --> a.proto:3:13
  |
3 | message M { Strin s = 1; Inner i = 2; }
  |             ^^^^^
  |
  = help: did you mean `string`?
";

#[test]
fn diagnostics_are_drawn_for_who_asks() {
    let text = "syntax = \"proto3\";\npackage a;\nmessage M {\tStrin s = 1; Inner i = 2; }\nmessage Inner {}\n";
    let place = Place::new("drawn", &[("a.proto", text), ("plain.proto", "message M { int32 x = 1; }\n")]);
    let output = place.run(&["-I.", "--error_format=pretty", PYTHON, "a.proto"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("{DRAWN}\n"));
    place.fails(&["-I.", PYTHON, "a.proto"], "a.proto:3:17: \"Strin\" is not defined.");
    let output = place.run(&["-I.", "--error_format=pretty", PYTHON, "plain.proto"]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("help: without a syntax this file is proto2: add `syntax = \"proto3\";`"), "{words}");
}

#[test]
fn lines_too_long_to_draw_are_named() {
    let line = |length: usize| {
        let head = "syntax = \"proto3\"; message M { Nope x = 1; } //";
        format!("{head}{}\n", "x".repeat(length - head.len()))
    };
    let place = Place::new("long", &[("a.proto", &line(1000)), ("b.proto", &line(1001))]);
    let drawn = |file: &str| {
        let output = place.run(&["-I.", "--error_format=pretty", PYTHON, file]);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(drawn("a.proto").contains("^^^^"));
    let named = drawn("b.proto");
    assert!(named.contains("b.proto:1:32") && !named.contains('^'), "{named}");
}

#[test]
fn relative_imports_make_packages() {
    let import = "syntax = \"proto3\";\nimport public \"b/if/t.proto\";\nimport \"b/t.proto\";\nimport \"google/protobuf/any.proto\";\n";
    let messages =
        "message M { i.T t = 1; T u = 2; google.protobuf.Any any = 3; }\nservice S { rpc C(T) returns (i.T); }\n";
    let files = [
        ("a/m.proto", &*format!("{import}{messages}")),
        ("b/t.proto", "syntax = \"proto3\"; message T {}"),
        ("b/if/t.proto", "syntax = \"proto3\"; package i; message T {}"),
    ];
    let place = Place::new("relative", &files);
    place.write("out/b/__init__.py", "kept = True\n");
    let outputs = ["python", "pyi", "grpc_python"].map(|name| format!("--{name}_out=relative_imports:out"));
    let mut arguments: Vec<&str> = outputs.iter().map(String::as_str).collect();
    arguments.extend(["-I.", "a/m.proto", "b/t.proto", "b/if/t.proto"]);
    place.succeeds(&arguments, "");
    let read = |name: &str| fs::read_to_string(place.0.join("out").join(name)).expect("a file");
    for line in [
        "from ..b import t_pb2 as ",
        "importlib.import_module('..b.if.t_pb2', __package__)\n",
        "from google.protobuf import any_pb2 as ",
    ] {
        assert!(read("a/m_pb2.py").contains(line), "{line}");
        assert!(read("a/m_pb2.pyi").contains(line), "{line}");
    }
    assert!(read("a/m_pb2_grpc.py").contains("from ..b import t_pb2 as b_dot_t__pb2\n"));
    assert_eq!(
        ["__init__.py", "a/__init__.py", "b/__init__.py", "b/if/__init__.py"].map(read),
        ["", "", "kept = True\n", ""]
    );
    place.succeeds(&["--python_out=relative_imports:out/o.zip", "-I.", "b/t.proto"], "");
    let archive = fs::read(place.0.join("out/o.zip")).expect("an archive");
    assert!(archive.windows(13).any(|window| window == b"b/__init__.py"));
}

#[test]
fn typed_stubs_are_written_beside_the_module() {
    let message = "syntax = \"proto3\"; message T {}";
    // `None` cannot be said in Python; the module cannot be loaded, and the types leave it out.
    let service = "syntax = \"proto3\"; import \"b/t.proto\";\n// Serves.\nservice S { rpc C(stream T) returns (T); rpc None(T) returns (T); }";
    let place = Place::new("typed", &[("a/s.proto", service), ("b/t.proto", message)]);
    place.succeeds(&["--grpc_python_out=out", "-I.", "a/s.proto"], "");
    let plain = fs::read(place.0.join("out/a/s_pb2_grpc.py")).expect("the module");
    assert!(!place.0.join("out/a/s_pb2_grpc.pyi").exists());
    let both = "--grpc_python_out=typed_stubs,grpc_2_0,relative_imports:out";
    place.succeeds(&["--grpc_python_out=grpc_2_0,typed_stubs:out", "-I.", "a/s.proto"], "");
    assert_eq!(fs::read(place.0.join("out/a/s_pb2_grpc.py")).expect("the module"), plain);
    place.succeeds(&[both, "-I.", "a/s.proto", "b/t.proto"], "");
    let types = fs::read_to_string(place.0.join("out/a/s_pb2_grpc.pyi")).expect("the types");
    for line in [
        "from ..b import t_pb2 as b_dot_t__pb2\n",
        "class SStub(_Stub[_Channel]):\n    \"\"\"Serves.\n    \"\"\"\n    C: _StreamUnary[b_dot_t__pb2.T, b_dot_t__pb2.T]\n",
        "class _BlockingStreamUnary(",
        "def add_SServicer_to_server(servicer: SServicer, server: grpc.Server | grpc.aio.Server) -> None: ...\n",
    ] {
        assert!(types.contains(line), "{line} in {types}");
    }
    for absent in ["_UnaryUnary", "    None: ", "def None("] {
        assert!(!types.contains(absent), "{absent} in {types}");
    }
    let empty = fs::read_to_string(place.0.join("out/b/t_pb2_grpc.pyi")).expect("the types");
    assert!(empty.ends_with("\nGRPC_GENERATED_VERSION: str\nGRPC_VERSION: str\n"), "{empty}");
}
