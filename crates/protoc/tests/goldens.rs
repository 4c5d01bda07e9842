//! Every sample under `tests/golden/in`, with every variant of options, gives the bytes that grpcio-tools gave.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use farcall_protoc::{Bundled, run};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// Path below `root` -> content.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).expect("a path below the root").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("a readable file"));
            }
        }
    }
    found
}

/// The files that come out different for one line of `variants.txt`: name, option of gRPC, option of Python, files.
fn differing(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace();
    let (name, grpc, python) = (words.next().expect("a name"), words.next(), words.next());
    let named: Vec<String> = words.map(str::to_owned).collect();
    let inputs = if named.is_empty() {
        files(&golden().join("in")).into_keys().filter(|name| name.ends_with(".proto")).collect()
    } else {
        named
    };
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("golden-{name}"));
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).expect("an output directory");
    let directive = |flag: &str, option: Option<&str>| {
        let option = option.filter(|option| *option != "-").map(|option| format!("{option}:")).unwrap_or_default();
        format!("--{flag}={option}{}", out.display())
    };
    let mut arguments = vec!["protoc".to_owned(), format!("-I{}", golden().join("in").display())];
    arguments.extend([directive("python_out", python), directive("grpc_python_out", grpc)]);
    if python.is_none_or(|option| option == "-") {
        arguments.push(directive("pyi_out", None));
    }
    arguments.extend(inputs);
    let mut stderr = Vec::new();
    let code = run(&arguments, Bundled::Fallback, &mut Vec::new(), &mut stderr);
    assert_eq!(code, 0, "{name}: {}", String::from_utf8_lossy(&stderr));

    let (ours, expected) = (files(&out), files(&golden().join("out").join(name)));
    assert_eq!(ours.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}: names of files");
    ours.keys().filter(|file| ours[*file] != expected[*file]).map(|file| format!("{name}/{file}")).collect()
}

#[test]
fn outputs_equal_those_of_grpcio_tools() {
    let variants = fs::read_to_string(golden().join("variants.txt")).expect("variants.txt");
    let lines: Vec<&str> = variants.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(!lines.is_empty());
    let different: Vec<String> = lines.into_iter().flat_map(differing).collect();
    assert!(different.is_empty(), "differ from grpcio-tools (ours in {}): {different:#?}", env!("CARGO_TARGET_TMPDIR"));
}

/// `runtimes/VERSION` is what the compiler of that release of protobuf wrote.
#[test]
fn code_for_older_runtimes_is_that_of_their_compilers() {
    let runtimes = fs::read_dir(golden().join("runtimes")).expect("a directory");
    let mut versions = Vec::new();
    for entry in runtimes {
        let entry = entry.expect("an entry");
        let (version, expected) = (entry.file_name().to_string_lossy().into_owned(), files(&entry.path()));
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("golden-runtime-{version}"));
        let _ = fs::remove_dir_all(&out);
        fs::create_dir_all(&out).expect("an output directory");
        let mut arguments = vec!["protoc".to_owned(), format!("-I{}", golden().join("in").display())];
        arguments.push(format!("--python_out=protobuf_runtime={version}:{}", out.display()));
        arguments.extend(expected.keys().map(|name| name.replace("_pb2.py", ".proto")));
        let mut stderr = Vec::new();
        let code = run(&arguments, Bundled::Fallback, &mut Vec::new(), &mut stderr);
        assert_eq!(code, 0, "{version}: {}", String::from_utf8_lossy(&stderr));
        assert!(files(&out) == expected, "{version}: ours in {}", out.display());
        versions.push(version);
    }
    assert!(versions.len() > 4, "{versions:?}");
}

#[test]
fn defaults_of_features_equal_those_of_grpcio_tools() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("edition-defaults");
    fs::create_dir_all(&place).expect("a directory");
    let features = ["descriptor", "cpp_features", "go_features", "java_features"]
        .map(|name| format!("google/protobuf/{name}.proto"));
    for (first, last, inputs) in
        [("PROTO2", "2024", &features[..1]), ("PROTO3", "2023", &features), ("2023", "UNSTABLE", &features)]
    {
        let name = format!("edition_defaults.{first}.{last}.pb");
        let status = Command::new(env!("CARGO_BIN_EXE_farcall-protoc"))
            .arg(format!("--edition_defaults_out={name}"))
            .arg(format!("--edition_defaults_minimum={first}"))
            .arg(format!("--edition_defaults_maximum={last}"))
            .args(inputs)
            .current_dir(&place)
            .status()
            .expect("the command");
        assert_eq!(status.code(), Some(0), "{name}");
        let expected = fs::read(golden().join("descriptors/out").join(&name)).expect("the golden is there");
        assert!(fs::read(place.join(&name)).expect("an output") == expected, "{name} differs from the golden");
    }
}
