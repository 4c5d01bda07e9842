//! The pages in `diagnostics/` hold inputs and what grpcio-tools 1.85.1 writes about them; this compiler must write
//! the same. `diagnostics/regenerate.py` writes the expected text anew.

use std::collections::HashMap;
use std::path::Path;

use crate::support::Files;
use farcall_schema::{Compiler, Severity};

#[derive(Default)]
struct Case {
    title: String,
    files: HashMap<String, Vec<u8>>,
    first: Option<String>,
    expected: String,
}

/// Reads the cases of a page: a heading, files as `` `name`: `` and a `proto` block each, the expected text.
fn cases(page: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut file = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            cases.push(Case { title: title.to_owned(), ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(name) = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:")) {
            case.first.get_or_insert_with(|| name.to_owned());
            file = Some(name.to_owned());
        } else if matches!(line, "```proto" | "```text") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let text: String = block.iter().map(|line| format!("{line}\n")).collect();
            match file.take() {
                Some(name) if line == "```proto" => drop(case.files.insert(name, text.into_bytes())),
                _ => case.expected = text,
            }
        }
    }
    cases
}

fn diagnose(case: &Case) -> (String, bool) {
    let mut compiler = Compiler::new(Files(case.files.clone()));
    let result = compiler.compile(&[case.first.as_deref().expect("a case has a file")]);
    let told = result.diagnostics.iter().filter(|diagnostic| diagnostic.severity != Severity::Note);
    (told.map(|diagnostic| format!("{diagnostic}\n")).collect(), result.ok)
}

fn check(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics").join(page);
    let text = std::fs::read_to_string(&path).expect("the page is there");
    let cases = cases(&text);
    assert!(!cases.is_empty(), "{page} has no cases");
    let mut failures = String::new();
    for case in &cases {
        let (told, ok) = diagnose(case);
        let has_error = case.expected.lines().any(|line| !line.contains(": warning: "));
        if told != case.expected || ok == has_error {
            failures += &format!("## {}\nexpected:\n{}\ngot (ok: {ok}):\n{told}\n", case.title, case.expected);
        }
    }
    assert!(failures.is_empty(), "{page}:\n{failures}");
}

macro_rules! pages {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(concat!(stringify!($name), ".md"));
        }
    )*};
}

pages! { tokens syntax names fields enums options imports editions }
