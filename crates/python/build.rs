//! Tells the source which interpreter it is built for, with a global lock or without, and which grpcio it stands for.

use std::{env, fs, io};

/// The one place that says which grpcio's API this is: in the repository, and in the wheel's source distribution.
const VERSION: [&str; 2] = [
    "../../python/farcall/farcall/_packages/grpc/_grpcio_metadata.py",
    "../../farcall/_packages/grpc/_grpcio_metadata.py",
];

fn main() -> io::Result<()> {
    pyo3_build_config::use_pyo3_cfgs();
    let path = VERSION.into_iter().find(|path| fs::exists(path).unwrap_or(false)).unwrap_or(VERSION[0]);
    println!("cargo:rerun-if-changed={path}");
    let text = fs::read_to_string(path).map_err(|error| io::Error::other(format!("{path}: {error}")))?;
    let version = text
        .split("__version__ = \"\"\"")
        .nth(1)
        .and_then(|rest| rest.split("\"\"\"").next())
        .ok_or_else(|| io::Error::other(format!("{path} has no __version__")))?;
    let own = env::var("CARGO_PKG_VERSION").map_err(io::Error::other)?;
    println!("cargo:rustc-env=FARCALL_USER_AGENT=grpc-python/{version} farcall/{own}");
    Ok(())
}
