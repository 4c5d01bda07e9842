//! What the compiler has to say about a file, as data; faces render it.

use std::fmt;

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be compiled.
    Error,
    /// The file compiles; `--fatal_warnings` turns this into a failure.
    Warning,
    /// The file compiles and `--fatal_warnings` does not count it. protoc writes these through its logging library.
    Note,
}

/// One finding, with protoc's sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Virtual path of the file that is at fault.
    pub file: String,
    /// Line, counted from 0; `None` where the whole file is meant.
    pub line: Option<u32>,
    /// Column, counted from 0 (tabs advance to the next multiple of eight, as protoc counts them).
    pub column: u32,
    /// Error, warning or note.
    pub severity: Severity,
    /// The sentence, without file and position.
    pub message: String,
}

impl Diagnostic {
    fn without_position(&self) -> String {
        let kind = if self.severity == Severity::Error { "" } else { "warning: " };
        format!("{}: {kind}{}", self.file, self.message)
    }
}

/// The line `--error_format=gcc` (the default) asks for: `file:line:column: message`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => {
                let kind = if self.severity == Severity::Error { "" } else { "warning: " };
                write!(f, "{}:{}:{}: {kind}{}", self.file, line + 1, self.column + 1, self.message)
            }
            None => f.write_str(&self.without_position()),
        }
    }
}
