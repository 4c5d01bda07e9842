//! `--encode`, `--decode` and `--decode_raw`: messages from standard input to standard output.

use std::io::{self, Read, Write};

use farcall_schema::{Compiler, Severity};

use crate::read::{MAX_FILE_SIZE, error_text};
use crate::source_tree::DiskTree;

const WRONG_INPUT: &str = "Failed to parse input.";

/// # Errors
/// The last line for standard error, as for all here.
pub(crate) fn encode(
    compiler: &Compiler<DiskTree>,
    type_name: &str,
    deterministic: bool,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<(), String> {
    if !compiler.has_message(type_name) {
        return Err(not_defined(type_name));
    }
    let text = input()?;
    let encoded = compiler.encode_text(type_name, &text, deterministic).ok_or_else(|| not_defined(type_name))?;
    for diagnostic in &encoded.diagnostics {
        let prefix = if diagnostic.severity == Severity::Error { "" } else { "warning: " };
        let position = diagnostic.line.map(|line| format!("{}:{}:", line + 1, diagnostic.column + 1));
        let _ = writeln!(stderr, "input:{} {prefix}{}", position.unwrap_or_default(), diagnostic.message);
    }
    let bytes = encoded.bytes.ok_or(WRONG_INPUT)?;
    warn_of_missing(&encoded.missing_required, stderr);
    warn_of_broken_text(&encoded.not_utf8, "serializing", stderr);
    write_all(stdout, &bytes)
}

pub(crate) fn decode(
    compiler: &Compiler<DiskTree>,
    type_name: &str,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<(), String> {
    if !compiler.has_message(type_name) {
        return Err(not_defined(type_name));
    }
    let bytes = input()?;
    let decoded = compiler.decode_to_text(type_name, &bytes).ok_or_else(|| not_defined(type_name))?;
    warn_of_broken_text(&decoded.not_utf8, "parsing", stderr);
    let text = decoded.text.ok_or(WRONG_INPUT)?;
    warn_of_missing(&decoded.missing_required, stderr);
    write_all(stdout, text.as_bytes())
}

pub(crate) fn decode_raw(stdout: &mut dyn Write) -> Result<(), String> {
    let text = farcall_schema::decode_raw(&input()?).ok_or(WRONG_INPUT)?;
    write_all(stdout, text.as_bytes())
}

fn not_defined(type_name: &str) -> String {
    format!("Type not defined: {type_name}")
}

/// All of standard input, if it is no larger than a file may be.
fn input() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("Standard input: {}", error_text(&error)))?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(format!("Standard input is larger than {} MiB.", MAX_FILE_SIZE >> 20));
    }
    Ok(bytes)
}

fn warn_of_missing(missing: &[String], stderr: &mut dyn Write) {
    if !missing.is_empty() {
        let _ = writeln!(stderr, "warning:  Input message is missing required fields:  {}", missing.join(", "));
    }
}

fn warn_of_broken_text(fields: &[String], doing: &str, stderr: &mut dyn Write) {
    for field in fields {
        let _ = writeln!(
            stderr,
            "String field '{field}' contains invalid UTF-8 data when {doing} a protocol buffer. Use the 'bytes' type if \
             you intend to send raw bytes."
        );
    }
}

/// All of `bytes`, to their end.
pub(crate) fn write_all(stdout: &mut dyn Write, bytes: &[u8]) -> Result<(), String> {
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| format!("Standard output: {}", error_text(&error)))
}
