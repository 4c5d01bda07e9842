//! Whatever is wrong around it, the command says so in a line, ends with exit code 1 and leaves no half-written file.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A fresh directory with `a.proto`, an empty `out`, and the command run inside it.
struct Place(PathBuf);

const SAMPLE: &str = "syntax = \"proto3\";\npackage a;\nmessage M { int32 x = 1; }\n";

impl Place {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bad-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("out")).expect("a directory");
        fs::write(path.join("a.proto"), SAMPLE).expect("a written file");
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).expect("a written file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farcall-protoc"));
        command.args(arguments).current_dir(&self.0);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the command")
    }

    /// Runs and expects exit code 1, this on standard error and nothing in `out` but what was there before.
    fn fails(&self, arguments: &[&str], expected: &str) {
        let before = self.names();
        assert_failed(&self.run(arguments), expected);
        assert_eq!(self.names(), before, "{arguments:?}");
    }

    /// Every file and directory.
    fn names(&self) -> Vec<PathBuf> {
        let mut names = Vec::new();
        let mut directories = vec![self.0.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    directories.push(path.clone());
                }
                names.push(path);
            }
        }
        names.sort();
        names
    }
}

fn assert_failed(output: &Output, expected: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), expected);
    assert_eq!(output.status.code(), Some(1));
}

const PYTHON: &str = "--python_out=out";

#[test]
fn an_output_directory_that_is_none() {
    let place = Place::new("directory");
    for (directive, expected) in [
        ("--python_out=nowhere", "nowhere/: No such file or directory"),
        ("--python_out=", ": No such file or directory"),
        ("--python_out=a.proto", "a.proto/: Not a directory"),
        ("--python_out=/dev/null", "/dev/null/: Not a directory"),
        ("--python_out=nowhere/x.zip", "nowhere/x.zip: No such file or directory"),
        ("--python_out=a.proto/x.jar", "a.proto/x.jar: Not a directory"),
        ("-onowhere/x", "nowhere/x: No such file or directory"),
        ("-oout", "out: Is a directory"),
    ] {
        // What could have been written is not, whether it comes before or after.
        place.fails(&["-I.", "--pyi_out=out", directive, "a.proto"], expected);
        place.fails(&["-I.", directive, "--pyi_out=out", "a.proto"], expected);
    }
}

#[test]
fn a_directory_where_a_file_goes_and_a_file_where_a_directory_goes() {
    let place = Place::new("occupied");
    fs::create_dir_all(place.0.join("out/a_pb2.py")).expect("a directory");
    fs::create_dir_all(place.0.join("sub")).expect("a directory");
    place.write("sub/b.proto", SAMPLE);
    place.write("out/sub", "");
    place.fails(&["-I.", "--pyi_out=out", PYTHON, "a.proto"], "out/a_pb2.py: Is a directory");
    fs::create_dir_all(place.0.join("out/x.zip")).expect("a directory");
    place.fails(&["-I.", "--python_out=out/x.zip", "a.proto"], "out/x.zip: Is a directory");
    let output = place.run(&["-I.", PYTHON, "sub/b.proto"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.starts_with(b"out/sub: "), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_output_directory_that_cannot_be_written_to() {
    let place = Place::new("read-only");
    let out = place.0.join("out");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o555)).expect("a read-only directory");
    let is_held_back = File::create(out.join("probe")).is_err();
    if is_held_back {
        place.fails(&["-I.", PYTHON, "a.proto"], "out/a_pb2.py: Permission denied");
        place.fails(&["-I.", "--python_out=out/x.zip", "a.proto"], "out/x.zip: Permission denied");
    }
    fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).expect("a directory");
    // Not even root makes files there.
    if Path::new("/proc/self").exists() {
        let output = place.run(&["-I.", "--python_out=/proc/self", "a.proto"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.starts_with(b"/proc/self/a_pb2.py: "), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_disk_that_is_full() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let place = Place::new("full");
    let full = || File::create("/dev/full").expect("a device");
    let expected = "/dev/full: No space left on device";
    place.fails(&["-I.", "-o/dev/full", PYTHON, "a.proto"], expected);
    place.fails(&["-I.", "--dependency_out=/dev/full", PYTHON, "a.proto"], expected);
    let expected = "Standard output: No space left on device";
    for arguments in [&["--version"][..], &["--help"], &["-I.", "--print_free_field_numbers", "a.proto"]] {
        assert_failed(&place.command(arguments).stdout(full()).output().expect("the command"), expected);
    }
    let mut decode = place.command(&["--decode_raw"]);
    let mut child = decode.stdin(Stdio::piped()).stdout(full()).stderr(Stdio::piped()).spawn().expect("the command");
    child.stdin.take().expect("a pipe").write_all(&[8, 1]).expect("written");
    assert_failed(&child.wait_with_output().expect("an end"), expected);
    // There is nowhere left to say it; the exit code does.
    for arguments in [&["-I.", "--bogus", "a.proto"][..], &["-I.", PYTHON, "missing.proto"]] {
        let status = place.command(arguments).stderr(full()).status().expect("the command");
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
    let argument = std::ffi::OsStr::from_bytes(b"\xff");
    let status = place.command(&[]).arg(argument).stderr(full()).status().expect("the command");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn pipes_that_are_broken() {
    let place = Place::new("pipes");
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    let output = place.command(&["--version"]).stdout(closed()).output().expect("the command");
    assert_failed(&output, "Standard output: Broken pipe");
    let status = place.command(&["-I.", "--bogus", "a.proto"]).stderr(closed()).status().expect("the command");
    assert_eq!(status.code(), Some(1));
    let directory = File::open(&place.0).expect("a directory");
    let output = place.command(&["--decode_raw"]).stdin(directory).output().expect("the command");
    assert_failed(&output, "Standard input: Is a directory");
}

#[test]
fn argument_files_that_name_each_other() {
    let place = Place::new("arguments");
    place.write("arguments.txt", "-I.\n@arguments.txt\n");
    place.fails(
        &["@arguments.txt", PYTHON],
        "Could not make proto path relative: @arguments.txt: No such file or directory",
    );
    place.write("broken.txt", b"-I.\n\xff\n");
    place.fails(&["@broken.txt", PYTHON], "broken.txt: argument file is not UTF-8");
    place.fails(&["@out", PYTHON], "Failed to open argument file: out");
    let output = place.command(&["-I.", PYTHON]).arg(std::ffi::OsStr::from_bytes(b"\xff.proto")).output();
    assert_failed(&output.expect("the command"), "\u{fffd}.proto: argument is not valid UTF-8");
}

#[test]
fn imports_that_climb_out_and_come_back() {
    let place = Place::new("imports");
    let import = |name: &str| format!("syntax = \"proto3\";\nimport \"{name}\";\n");
    for name in ["../a.proto", "./a.proto", "out//a.proto", "out/../a.proto", "/etc/passwd"] {
        place.write("b.proto", import(name));
        let output = place.run(&["-I.", PYTHON, "b.proto"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.ends_with(&format!("b.proto:2:1: Import \"{name}\" was not found or had errors.\n")), "{words}");
    }
    place.write("b.proto", import("c.proto"));
    place.write("c.proto", import("b.proto"));
    place.fails(
        &["-I.", PYTHON, "b.proto"],
        "b.proto:2:1: File recursively imports itself: b.proto -> c.proto -> b.proto\n\
         c.proto:2:1: Import \"b.proto\" was not found or had errors.\n\
         b.proto:2:1: Import \"c.proto\" was not found or had errors.",
    );
}

#[test]
fn files_that_are_not_text() {
    let place = Place::new("text");
    place.write("a.proto", b"syntax = \"proto3\";\0");
    place.fails(&["-I.", PYTHON, "a.proto"], "a.proto:1:19: Invalid control characters encountered in text.");
    place.write("a.proto", b"\xef\xbbsyntax");
    let output = place.run(&["-I.", PYTHON, "a.proto"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.starts_with(b"a.proto:1:3: Proto file starts with 0xEF but not UTF-8 BOM."));
    File::create(place.0.join("a.proto")).expect("a file").set_len((256 << 20) + 1).expect("a hole");
    place.fails(&["-I.", PYTHON, "a.proto"], "a.proto: File is larger than 256 MiB.");
    fs::remove_file(place.0.join("a.proto")).expect("removed");
}
