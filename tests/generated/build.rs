//! Compiles the files that `corpus.txt` names, and makes the table of their messages; two files with all that a user
//! may choose chosen; and files that are made up to have names that are hard on Rust.
//!
//! Its lines are `-I` and a directory, files below those directories.

mod shapes;

use std::error::Error;
use std::fmt::Write;
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
    compile_chosen(&out.join("chosen"))?;
    compile_custom(&out.join("custom"))?;
    compile_hard(&out.join("hard"))?;
    compile_made_up(&out.join("made_up"))
}

/// The files below `proto/hard`: names that Rust cannot have, and packages that it would have twice.
fn compile_hard(out: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    let files: Vec<PathBuf> =
        fs::read_dir("proto/hard")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    let builder = farcall_build::configure().build_json(true).build_text(true).build_views(true);
    builder.out_dir(out).compile(&files, &["proto/hard"])?;
    Ok(())
}

/// How many of the made-up sets of files are compiled, and the first; more of them are judged by `crates/build`, which
/// is faster than a compiler.
const MADE_UP: std::ops::Range<u64> = 0..2;

/// Sets of files with hard names, a module for each.
fn compile_made_up(out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=shapes.rs");
    println!("cargo:rerun-if-env-changed=FARCALL_SEEDS");
    let seeds = std::env::var("FARCALL_SEEDS").ok().and_then(|seeds| {
        let (first, end) = seeds.split_once("..")?;
        Some(first.parse().ok()?..end.parse().ok()?)
    });
    let mut modules = String::new();
    for seed in seeds.unwrap_or(MADE_UP) {
        let directory = out.join(format!("seed{seed}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("rust"))?;
        let mut paths = Vec::new();
        for (name, text) in shapes::files(&mut shapes::Choices::seeded(seed)) {
            let path = directory.join(name);
            fs::write(&path, text)?;
            paths.push(path);
        }
        let builder = farcall_build::configure().build_json(true).build_text(true).build_views(true);
        // Not all that is made up is legal.
        match builder.out_dir(directory.join("rust")).compile(&paths, &[&directory]) {
            Ok(()) => writeln!(modules, "pub mod seed{seed} {{\n    include!(\"seed{seed}/rust/mod.rs\");\n}}")?,
            Err(error) if error.to_string().starts_with("error: ") => {}
            Err(error) => return Err(format!("seed {seed}: {error}").into()),
        }
    }
    fs::write(out.join("mod.rs"), modules)?;
    Ok(())
}

/// `kinds.proto` with attributes on services, methods that have bodies, and types that are given for fields.
fn compile_custom(out: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    farcall_build::configure()
        .out_dir(out)
        .generate_default_stubs(true)
        .client_attribute(".sample.kinds", "#[must_use]")
        .client_attribute(".sample.kinds.Kind", "#[no_such_attribute]")
        .client_mod_attribute(".", "#[cfg(not(any()))]")
        .server_mod_attribute(".sample.kinds.Kinds", "#[cfg(all())]")
        .server_attribute(".", "#[derive(PartialEq)]")
        .trait_attribute(".sample.kinds.Kinds", "#[diagnostic::on_unimplemented(message = \"no server of kinds\")]")
        .compile(&["proto/sample/kinds.proto"], &["proto"])?;
    farcall_build::configure()
        .out_dir(out)
        .boxed(".library.v1.Book")
        .box_type(".library.v1.Book.bought", "::std::boxed::Box<*>")
        .string_type(".", "::std::string::String")
        .bytes_type(".library.v1", "::buffa::bytes::Bytes")
        .map_type(".library.v1.Book.ratings", "::std::collections::BTreeMap")
        .repeated_type(".library.v1.Book.authors", "::std::vec::Vec<*>")
        .compile(&["proto/guide/library/v1/library.proto"], &["proto/guide"])?;
    fs::remove_file(out.join("mod.rs"))?;
    Ok(())
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
