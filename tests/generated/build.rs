//! Compiles the files that `corpus.txt` names, and makes the table of their messages; and one file with all that a user
//! may choose chosen.
//!
//! Its lines are `-I` and a directory, files below those directories.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=corpus.txt");
    let text = fs::read_to_string("corpus.txt")?;
    let (roots, names): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("-I"));
    let roots: Vec<&Path> = roots.iter().map(|root| Path::new(&root[2..])).collect();
    let on_disk = |name: &&str| roots.iter().map(|root| root.join(name)).find(|path| path.exists());
    let files: Option<Vec<PathBuf>> = names.iter().map(on_disk).collect();
    let files = files.ok_or("a file of corpus.txt is below none of its directories")?;
    farcall_build::configure().build_json(true).build_text(true).compile(&files, &roots)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    fs::write(out.join("table.rs"), table(&out)?)?;
    fs::write(out.join("registration.rs"), registration(&out)?)?;
    compile_chosen(&out.join("chosen"))
}

/// `lending.proto`, which uses the messages of `library.proto` as they were generated above.
fn compile_chosen(out: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    farcall_build::configure()
        .out_dir(out)
        .extern_path(".library.v1", "crate::proto::library::v1")
        .skip(".policy")
        .bytes(".lending.Loan")
        .btree_map(".")
        .message_attribute(".lending.Member", "#[derive(Hash)]")
        .enum_attribute(".lending", "#[derive(PartialOrd, Ord)]")
        .type_attribute(".lending.Loan.until", "#[derive(Eq)]")
        .field_attribute(".lending.Loan.self", "#[deprecated]")
        .field_attribute(".lending.Loan.until.forever", "#[deprecated]")
        .file_descriptor_set_path("lending.binpb")
        .compile(&["proto/guide/lending.proto"], &["proto/guide"])?;
    Ok(())
}

/// Rust that makes the messages and extensions of each package known to JSON and text.
fn registration(directory: &Path) -> Result<String, Box<dyn Error>> {
    let mut calls = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() && fs::read_to_string(&path)?.contains("\npub use self::__buffa::register_types;") {
            calls.push(format!("    {}::register_types(registry);\n", module(&path)));
        }
    }
    calls.sort();
    Ok(format!("{{\n{}}}\n", calls.concat()))
}

/// Where the generated code of a file has its place.
fn module(path: &Path) -> String {
    let package = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let package = package.split('.').filter(|segment| *segment != "_").map(escaped);
    ["crate".into(), "proto".into()].into_iter().chain(package).collect::<Vec<String>>().join("::")
}

/// Rust that names each message of the generated code beside the functions for it.
fn table(directory: &Path) -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        for (name, path) in messages(&fs::read_to_string(&path)?, &module(&path)) {
            rows.push(format!("    (\"{name}\", trips::of_json::<{path}>()),\n"));
        }
    }
    rows.sort();
    Ok(format!("&[\n{}]\n", rows.concat()))
}

/// The messages in generated code: full names and Rust paths, both as the code itself has them.
fn messages(code: &str, root: &str) -> Vec<(String, String)> {
    let (mut found, mut modules, mut name): (_, Vec<&str>, _) = (Vec::new(), Vec::new(), "");
    for line in code.lines() {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 4;
        if let Some(module) = text.strip_prefix("pub mod ") {
            modules.truncate(depth);
            modules.push(module.trim_end_matches(" {"));
        } else if let Some(rest) = text.strip_prefix("impl ::buffa::MessageName for ") {
            modules.truncate(depth);
            name = rest.trim_end_matches(" {");
        } else if let Some(rest) = text.strip_prefix("const FULL_NAME: &'static str = \"") {
            let path: Vec<&str> = [root].into_iter().chain(modules.iter().copied()).chain([name]).collect();
            found.push((rest.trim_end_matches("\";").to_owned(), path.join("::")));
        }
    }
    found
}

fn escaped(segment: &str) -> String {
    match segment {
        "self" | "super" | "crate" => format!("{segment}_"),
        "as" | "async" | "box" | "const" | "do" | "dyn" | "enum" | "extern" | "final" | "fn" | "for" | "gen" | "in"
        | "loop" | "macro" | "match" | "mod" | "move" | "override" | "priv" | "pub" | "ref" | "static" | "struct"
        | "trait" | "try" | "type" | "unsafe" | "use" | "virtual" | "where" | "yield" => format!("r#{segment}"),
        other => other.to_owned(),
    }
}
