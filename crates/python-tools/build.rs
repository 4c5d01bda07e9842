//! Copies the bundled `.proto` files to `OUT_DIR/_proto`, from where maturin puts them into the wheel as
//! `farcall/_packages/grpc_tools/_proto` (see `python/farcall-tools/pyproject.toml`).

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let source = Path::new("../../proto/google");
    println!("cargo:rerun-if-changed={}", source.display());
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    copy_directory(source, &out.join("_proto/google"))
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
