//! Outputs go where the user points, as protoc writes them: into pipes, and into files that are there.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

const SAMPLE: &str = "syntax = \"proto3\";\npackage a;\nmessage M { int32 x = 1; }\n";
const COMMAND: &str = env!("CARGO_BIN_EXE_farcall-protoc");

/// What `-o` writes for [`SAMPLE`].
const SET: &[u8] = b"\n'\n\x07a.proto\x12\x01a\"\x11\n\x01M\x12\x0c\n\x01x\x18\x01 \x01(\x05R\x01xb\x06proto3";

/// A fresh directory with `a.proto` and `sub/b.proto`.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("outputs-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("sub")).expect("a directory");
        fs::write(path.join("a.proto"), SAMPLE).expect("a file");
        fs::write(path.join("sub/b.proto"), SAMPLE).expect("a file");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        path
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(COMMAND);
        command.args(arguments).current_dir(&self.0);
        command
    }

    fn succeeds(&self, arguments: &[&str]) -> Vec<u8> {
        succeeded(self.command(arguments).output().expect("the command"))
    }

    fn fails(&self, arguments: &[&str], expected: &str) {
        failed(&self.command(arguments).output().expect("the command"), expected);
    }
}

fn succeeded(output: Output) -> Vec<u8> {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    output.stdout
}

fn failed(output: &Output, expected: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn standard_output_may_be_a_pipe() {
    let place = Place::new("pipe");
    assert_eq!(place.succeeds(&["-I.", "-o/dev/stdout", "a.proto"]), SET);
    assert_eq!(place.succeeds(&["-I.", "--descriptor_set_out=/dev/fd/1", "a.proto"]), SET);
    let rule = b"set.pb: a.proto";
    assert_eq!(place.succeeds(&["-I.", "-oset.pb", "--dependency_out=/dev/stdout", "a.proto"]), rule);
    // Both: first the rule.
    let both = place.succeeds(&["-I.", "-o/dev/stdout", "--dependency_out=/dev/stdout", "a.proto"]);
    assert_eq!(both, [b"/dev/stdout: a.proto", SET].concat());
}

#[test]
fn standard_output_may_be_a_file() {
    let place = Place::new("file");
    let longer = place.write("longer", &[b'x'; 1000]);
    let stdout = fs::OpenOptions::new().append(true).open(longer).expect("a file");
    let status = place.command(&["-I.", "-o/dev/stdout", "a.proto"]).stdout(stdout).status().expect("the command");
    assert_eq!(status.code(), Some(0));
    assert_eq!(place.read("longer"), SET);
}

#[test]
fn a_socket_has_no_name_to_open() {
    let place = Place::new("socket");
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    let mut command = place.command(&["-I.", "-o/dev/stdout", "a.proto"]);
    let child = command.stdout(OwnedFd::from(theirs)).stderr(Stdio::piped()).spawn().expect("the command");
    failed(&child.wait_with_output().expect("an end"), "/dev/stdout: No such device or address");
    drop(ours);
}

#[test]
fn any_open_pipe_will_do() {
    let place = Place::new("descriptors");
    // As `>(...)` of a shell gives it.
    let script = "\"$0\" -I. -o/dev/fd/5 a.proto 5>&1 >/dev/null";
    let output = Command::new("sh").args(["-c", script, COMMAND]).current_dir(&place.0).output().expect("a shell");
    assert_eq!(succeeded(output), SET);
}

#[test]
fn a_named_pipe_is_written_to_once() {
    let place = Place::new("fifo");
    assert!(Command::new("mkfifo").arg(place.path("fifo")).status().expect("mkfifo").success());
    let fifo = place.path("fifo");
    let reader = thread::spawn(move || {
        let mut content = Vec::new();
        File::open(fifo).and_then(|mut fifo| fifo.read_to_end(&mut content)).expect("content");
        content
    });
    place.succeeds(&["-I.", "-ofifo", "a.proto"]);
    assert_eq!(reader.join().expect("a reader"), SET);
    assert!(!place.path("fifo").metadata().expect("metadata").is_file());
}

#[test]
fn devices_take_it() {
    let place = Place::new("devices");
    assert_eq!(place.succeeds(&["-I.", "-o/dev/null", "a.proto"]), b"");
    assert_eq!(place.succeeds(&["-I.", "-oset.pb", "--dependency_out=/dev/null", "a.proto"]), b"");
}

#[test]
fn what_is_there_is_written_into() {
    let place = Place::new("existing");
    // Longer and shorter than what is written.
    for earlier in [&[b'x'; 1000][..], b"x"] {
        let _ = fs::remove_file(place.path("other"));
        let path = place.write("set.pb", earlier);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
        fs::hard_link(&path, place.path("other")).expect("a hard link");
        let inode = fs::metadata(&path).expect("metadata").ino();
        place.succeeds(&["-I.", "-oset.pb", "a.proto"]);
        let metadata = fs::metadata(&path).expect("metadata");
        assert_eq!((metadata.ino(), metadata.mode() & 0o777, metadata.nlink()), (inode, 0o600, 2));
        assert_eq!((place.read("set.pb"), place.read("other")), (SET.to_vec(), SET.to_vec()));
    }
}

#[test]
fn links_are_followed() {
    let place = Place::new("links");
    place.write("target", b"x");
    symlink("target", place.path("link")).expect("a link");
    symlink("made", place.path("dangling")).expect("a link");
    symlink("nowhere/made", place.path("lost")).expect("a link");
    place.succeeds(&["-I.", "-olink", "a.proto"]);
    place.succeeds(&["-I.", "-odangling", "a.proto"]);
    place.fails(&["-I.", "-olost", "a.proto"], "lost: No such file or directory");
    assert_eq!((place.read("target"), place.read("made")), (SET.to_vec(), SET.to_vec()));
    for link in ["link", "dangling", "lost"] {
        assert!(fs::symlink_metadata(place.path(link)).expect("metadata").is_symlink(), "{link}");
    }
}

/// Runs the command as someone whom permissions bind.
fn bound(mut command: Command) -> Output {
    const NOBODY: u32 = 65_534;
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().expect("the command")
}

#[test]
fn a_file_one_may_write_may_lie_where_one_may_not() {
    let place = Place::new("permissions");
    fs::create_dir(place.path("out")).expect("a directory");
    for (name, mode) in [("both", 0o666), ("write-only", 0o222), ("read-only", 0o444)] {
        let path = place.write(&format!("out/{name}"), b"x");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }
    fs::set_permissions(place.path("out"), Permissions::from_mode(0o555)).expect("a mode");
    for name in ["both", "write-only"] {
        succeeded(bound(place.command(&["-I.", &format!("-oout/{name}"), "a.proto"])));
    }
    failed(&bound(place.command(&["-I.", "-oout/read-only", "a.proto"])), "out/read-only: Permission denied");
    failed(&bound(place.command(&["-I.", "-oout/new", "a.proto"])), "out/new: Permission denied");
    fs::set_permissions(place.path("out"), Permissions::from_mode(0o755)).expect("a mode");
    fs::set_permissions(place.path("out/write-only"), Permissions::from_mode(0o644)).expect("a mode");
    assert_eq!(place.read("out/both"), SET);
    assert_eq!(place.read("out/write-only"), SET);
    assert_eq!(place.read("out/read-only"), b"x");
}

#[test]
fn what_was_written_before_a_failure_is_undone() {
    let place = Place::new("undone");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::create_dir_all(place.path("out/sub")).expect("a directory");
    let existing = place.write("out/sub/b_pb2.py", b"earlier");
    File::options().write(true).open(&existing).and_then(|file| file.set_modified(long_ago)).expect("a time");
    symlink("made", place.path("out/a_pb2.py")).expect("a dangling link");
    let directive = "--python_out=out";
    for last in ["-o/dev/full", "-onowhere/set.pb"] {
        let output = place.command(&["-I.", directive, "--pyi_out=.", last, "sub/b.proto", "a.proto"]).output();
        assert_eq!(output.expect("the command").status.code(), Some(1));
        let metadata = fs::metadata(&existing).expect("metadata");
        assert_eq!(place.read("out/sub/b_pb2.py"), b"earlier");
        assert_eq!(metadata.modified().expect("a time"), long_ago);
        for made in ["out/made", "a_pb2.pyi", "sub/b_pb2.pyi"] {
            assert!(!place.path(made).exists(), "{made} after {last}");
        }
        assert!(fs::symlink_metadata(place.path("out/a_pb2.py")).is_ok());
    }
    // Directories that were made go, too.
    fs::create_dir(place.path("new")).expect("a directory");
    place.fails(&["-I.", "--python_out=new", "-onowhere/x", "sub/b.proto"], "nowhere/x: No such file or directory");
    assert!(fs::read_dir(place.path("new")).expect("a directory").next().is_none());
}

#[test]
fn an_archive_goes_down_a_pipe() {
    let place = Place::new("archive");
    symlink("/dev/stdout", place.path("pipe.zip")).expect("a link");
    place.succeeds(&["-I.", "--python_out=plain.zip", "a.proto"]);
    assert_eq!(place.succeeds(&["-I.", "--python_out=pipe.zip", "a.proto"]), place.read("plain.zip"));
}
