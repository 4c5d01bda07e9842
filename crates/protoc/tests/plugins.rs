//! Generators that are programs of their own: what they are told, and what becomes of their answers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use buffa::Message;
use buffa_descriptor::generated::compiler::code_generator_response::File;
use buffa_descriptor::generated::compiler::{CodeGeneratorRequest, CodeGeneratorResponse};

const PROTO: &str = "syntax = \"proto3\";\npackage a;\nimport \"b.proto\";\nmessage M { b.N n = 1; }\n";
const DEPENDENCY: &str = "syntax = \"proto3\";\npackage b;\nmessage N {}\n";

/// A directory with two protos and the plugin `protoc-gen-test`, a script.
struct Place(PathBuf);

impl Place {
    fn new(name: &str, script: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plugin-{name}"));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("out")).expect("a directory");
        let plugin = root.join("protoc-gen-test");
        for (path, text) in [("a.proto", PROTO), ("b.proto", DEPENDENCY)] {
            fs::write(root.join(path), text).expect("a written file");
        }
        // Copied by another process: what this one has open for writing, a child that another test starts just then has
        // open too, and nobody can execute it.
        let text = root.join("script");
        fs::write(&text, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).expect("an executable script");
        assert!(Command::new("cp").arg(&text).arg(&plugin).status().expect("cp").success());
        Self(root)
    }

    /// With a plugin that keeps the request and answers with `response`.
    fn answering(name: &str, response: &CodeGeneratorResponse) -> Self {
        let place = Self::new(name, "cat > request.bin; cat response.bin");
        fs::write(place.0.join("response.bin"), response.encode_to_vec()).expect("a response");
        place
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_farcall-protoc"))
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .expect("the command")
    }

    fn generate(&self) -> Output {
        self.run(&["-I.", "--plugin=protoc-gen-test=./protoc-gen-test", "--test_out=x=y:out", "a.proto"])
    }

    fn fails(&self, expected: &str) {
        let output = self.generate();
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), expected);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(fs::read_dir(self.0.join("out")).expect("out").count(), 0, "nothing may be written");
    }
}

fn file(name: &str, content: &str) -> File {
    let name = (!name.is_empty()).then(|| name.to_owned());
    File { name, content: Some(content.to_owned()), ..File::default() }
}

fn response(files: Vec<File>) -> CodeGeneratorResponse {
    CodeGeneratorResponse { file: files, ..CodeGeneratorResponse::default() }
}

#[test]
fn a_plugin_is_told_everything_and_its_files_are_written() {
    let place = Place::answering("files", &response(vec![file("a/b.txt", "one\n"), file("", "two\n")]));
    let arguments =
        ["-I.", "--plugin=./protoc-gen-test", "--test_out=x=y:out", "--test_opt=p", "--test_opt=q", "a.proto"];
    let output = place.run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(place.0.join("out/a/b.txt")).expect("the file"), "one\ntwo\n");

    let request = fs::read(place.0.join("request.bin")).expect("the request");
    let request = CodeGeneratorRequest::decode_from_slice(&request).expect("a request");
    assert_eq!(request.file_to_generate, ["a.proto"]);
    assert_eq!(request.parameter.as_deref(), Some("x=y,p,q"));
    let names: Vec<_> = request.proto_file.iter().filter_map(|file| file.name.as_deref()).collect();
    assert_eq!(names, ["b.proto", "a.proto"], "imports come first");
    assert!(request.proto_file[1].source_code_info.is_set());
    assert_eq!(request.source_file_descriptors.len(), 1);
    assert_eq!(request.compiler_version.major, Some(7));
}

#[test]
fn a_plugin_is_found_on_path() {
    let place = Place::answering("path", &response(vec![file("ok.txt", "")]));
    let output = Command::new(env!("CARGO_BIN_EXE_farcall-protoc"))
        .args(["-I.", "--test_out=out", "a.proto"])
        .current_dir(&place.0)
        .env("PATH", format!("{}:/usr/bin:/bin", place.0.display()))
        .output()
        .expect("the command");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.0.join("out/ok.txt").exists());
}

#[test]
fn plugins_that_fail_are_reported_in_protocs_words() {
    Place::new("status", "exit 3").fails("--test_out: protoc-gen-test: Plugin failed with status code 3.");
    Place::new("signal", "kill -9 $$").fails("--test_out: protoc-gen-test: Plugin killed by signal 9.");
    Place::new("garbage", "cat > request.bin; printf '\\377\\000\"'")
        .fails("--test_out: protoc-gen-test: Plugin output is unparseable: \\377\\000\\\"");
    let mut failed = response(vec![file("a.txt", "")]);
    failed.error = Some("line 1\nline 2".into());
    Place::answering("error", &failed).fails("--test_out: line 1\nline 2");
    Place::answering("nameless", &response(vec![file("", "x")]))
        .fails("--test_out: protoc-gen-test: First file chunk returned by plugin did not specify a file name.");
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let place = Place::new("missing", "");
    fs::remove_file(place.0.join("protoc-gen-test")).expect("removed");
    place.fails(
        "./protoc-gen-test: program not found or is not executable\nPlease specify a program using absolute path or \
         make sure the program is available in your PATH system variable\n--test_out: protoc-gen-test: Plugin failed \
         with status code 1.",
    );
}

#[test]
fn a_plugin_may_answer_without_reading() {
    // The request is larger than a pipe holds, and nobody reads it.
    let place = Place::new("deaf", "cat response.bin");
    fs::write(place.0.join("response.bin"), response(vec![file("ok.txt", "")]).encode_to_vec()).expect("a response");
    let fields: String = (1..9000).map(|number| format!("  int32 field_{number} = {number};\n")).collect();
    fs::write(place.0.join("a.proto"), format!("syntax = \"proto3\";\nmessage M {{\n{fields}}}\n")).expect("written");
    let output = place.generate();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn files_do_not_leave_the_output_directory() {
    for name in ["../up.txt", "a/../../up.txt"] {
        Place::answering("escape", &response(vec![file(name, "x")])).fails(&format!(
            "Output file names must never have a relative path. ({name}). Use --unsafe_allow_out_dir_escape to \
             disable this error if intentional."
        ));
    }
    let place = Place::answering("escape-allowed", &response(vec![file("../up.txt", "x")]));
    let plugin = "--plugin=./protoc-gen-test";
    let output = place.run(&["-I.", plugin, "--unsafe_allow_out_dir_escape", "--test_out=out", "a.proto"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.0.join("up.txt").exists());
}

#[test]
fn plugins_get_only_files_they_say_they_know() {
    let place = Place::answering("optional", &response(vec![]));
    fs::write(place.0.join("a.proto"), "syntax = \"proto3\";\nmessage M { optional int32 x = 1; }\n").expect("written");
    place.fails(
        "a.proto: is a proto3 file that contains optional fields, but code generator protoc-gen-test hasn't been \
         updated to support optional fields in proto3. Please ask the owner of this code generator to support proto3 \
         optional.\n--test_out:",
    );
    let mut old = response(vec![]);
    old.supported_features = Some(3);
    (old.minimum_edition, old.maximum_edition) = (Some(1000), Some(1000));
    let place = Place::answering("edition", &old);
    fs::write(place.0.join("a.proto"), "edition = \"2024\";\nmessage M {}\n").expect("written");
    place.fails(
        "a.proto: is a file using edition 2024, which isn't supported by code generator protoc-gen-test.  Please ask \
         the owner of this code generator to add support or switch back to a maximum of edition 2023.--test_out:",
    );
}

#[test]
fn files_that_may_be_of_an_unfinished_edition_go_to_plugins_that_do_not_know_it() {
    let mut answer = response(vec![]);
    answer.supported_features = Some(3);
    (answer.minimum_edition, answer.maximum_edition) = (Some(999), Some(1001));
    let place = Place::answering("unstable", &answer);
    fs::create_dir_all(place.0.join("google/protobuf")).expect("a directory");
    for name in ["test_messages_edition_unstable.proto", "google/protobuf/x.proto"] {
        fs::write(place.0.join(name), "edition = \"UNSTABLE\";\nmessage M {}\n").expect("written");
        let output = place.run(&["-I.", "--plugin=./protoc-gen-test", "--test_out=out", name]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
