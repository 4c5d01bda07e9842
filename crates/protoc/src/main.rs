//! `farcall-protoc`: see the library.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use farcall_protoc::{Bundled, Reader, run_for};

fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> = std::env::args_os().map(std::ffi::OsString::into_string).collect();
    match arguments {
        Ok(arguments) => {
            let (mut stdout, mut stderr) = (stdout().lock(), stderr().lock());
            ExitCode::from(run_for(reader(), &arguments, Bundled::Fallback, &mut stdout, &mut stderr))
        }
        Err(argument) => {
            let _ = writeln!(stderr(), "{}: argument is not valid UTF-8", argument.to_string_lossy());
            ExitCode::FAILURE
        }
    }
}

/// A terminal is read by someone; `NO_COLOR` in the environment takes the colour away.
fn reader() -> Reader {
    if stderr().is_terminal() {
        Reader::Person { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    } else {
        Reader::Program
    }
}
