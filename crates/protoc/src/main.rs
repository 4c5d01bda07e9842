//! `farcall-protoc`: see the library.

use std::io::{stderr, stdout};
use std::process::ExitCode;

use farcall_protoc::{Bundled, run};

fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> = std::env::args_os().map(std::ffi::OsString::into_string).collect();
    match arguments {
        Ok(arguments) => ExitCode::from(run(&arguments, Bundled::Fallback, &mut stdout().lock(), &mut stderr().lock())),
        Err(argument) => {
            eprintln!("{}: argument is not valid UTF-8", argument.to_string_lossy());
            ExitCode::FAILURE
        }
    }
}
