//! Diagnostics drawn for people: the line of source, a caret, and where it is plain, the way out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use farcall_schema::{Diagnostic, Severity, SourceTree};

use crate::source_tree::DiskTree;

/// Longer lines are not drawn. Bounds the work for a file that is one line.
const DRAWN_LINE: usize = 1000;

/// Names of one file that a wrong name is held against.
const CANDIDATES: usize = 10_000;

const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "bool", "string", "bytes",
];

/// Draws the diagnostics of one run.
pub(crate) struct Drawing<'a> {
    tree: &'a DiskTree,
    renderer: Renderer,
    sources: HashMap<String, Option<Source>>,
}

/// The text of a file, cut into lines.
struct Source {
    lines: Vec<String>,
    /// The names of its messages and enums.
    types: Vec<String>,
    has_syntax: bool,
}

impl<'a> Drawing<'a> {
    /// `colour` is for terminals.
    pub(crate) fn new(tree: &'a DiskTree, colour: bool) -> Self {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        Self { tree, renderer, sources: HashMap::new() }
    }

    /// The drawing, without a line feed at its end.
    pub(crate) fn draw(&mut self, diagnostic: &Diagnostic) -> String {
        let Diagnostic { file, line, column, severity, message } = diagnostic;
        let tree = self.tree;
        let path = tree.disk_path(file).unwrap_or_else(|| file.clone());
        let source = self.sources.entry(file.clone()).or_insert_with(|| Source::read(tree, file)).as_ref();
        let level = match severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        // What others named (a path, an identifier) may hold control characters: they must not reach a terminal.
        let title: Cow<'_, str> = visible(message);
        let path = visible(&path).into_owned();
        let place = line.zip(source).and_then(|(line, source)| source.place(line, *column));
        let help = advice(message, source, place.as_ref());
        let title = level.primary_title(title);
        let mut group = match (&place, line) {
            (Some(Place { text, span }), Some(line)) => {
                let snippet = Snippet::source(text.as_str()).path(path).line_start(*line as usize + 1);
                title.element(snippet.annotation(AnnotationKind::Primary.span(span.clone())))
            }
            (None, Some(line)) => title.element(Level::NOTE.message(format!("at {path}:{}:{}", line + 1, column + 1))),
            (_, None) => title.element(Level::NOTE.message(format!("in {path}"))),
        };
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help));
        }
        self.renderer.render(&[group])
    }
}

/// A line and the token in it that is meant, in bytes.
struct Place {
    text: String,
    span: Range<usize>,
}

impl Place {
    fn token(&self) -> &str {
        self.text.get(self.span.clone()).unwrap_or_default()
    }
}

impl Source {
    fn read(tree: &DiskTree, file: &str) -> Option<Self> {
        let text = String::from_utf8(tree.read(file).ok()?).ok()?;
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let words = |line: &String| {
            let mut words = line.split_whitespace();
            let keyword = words.next().filter(|word| matches!(*word, "message" | "enum"));
            keyword.and_then(|_| words.next()).map(|name| name.trim_end_matches(['{', '}']).to_owned())
        };
        let types = lines.iter().filter_map(words).take(CANDIDATES).collect();
        let has_syntax = lines.iter().any(|line| {
            let line = line.trim_start();
            line.starts_with("syntax") || line.starts_with("edition")
        });
        Some(Self { lines, types, has_syntax })
    }

    /// Where the column is that the lexer counted: tabs go to the next multiple of eight.
    fn place(&self, line: u32, column: u32) -> Option<Place> {
        let text = self.lines.get(line as usize)?.trim_end_matches('\r');
        if text.len() > DRAWN_LINE {
            return None;
        }
        let mut at = 0;
        let mut start = text.len();
        for (index, byte) in text.bytes().enumerate() {
            if at >= column {
                start = index;
                break;
            }
            at += if byte == b'\t' { 8 - at % 8 } else { 1 };
        }
        let rest = text.get(start..)?;
        let span = start..start + token_length(rest);
        // A tab is as wide as the renderer likes, which is nowhere near the column: it is drawn as one space.
        Some(Place { text: text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>(), span })
            .filter(|place| place.text.len() == text.len())
    }
}

/// How long the word, number or string is that `text` begins with; one character if it is none of them.
fn token_length(text: &str) -> usize {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    match text.chars().next() {
        None => 0,
        Some(quote @ ('"' | '\'')) => text[1..].find(quote).map_or(text.len(), |end| end + 2),
        Some(first) if is_word(first) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
        Some(first) => first.len_utf8(),
    }
}

fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The way out, where there is a plain one.
fn advice(message: &str, source: Option<&Source>, place: Option<&Place>) -> Option<String> {
    if let Some(name) = message.strip_prefix('"').and_then(|rest| rest.strip_suffix("\" is not defined.")) {
        let similar = nearest(name, source?)?;
        return Some(format!("did you mean `{similar}`?"));
    }
    if message.starts_with("Import \"") && message.ends_with("was not found or had errors.") {
        return Some("imports are looked up below each directory given with -I".to_owned());
    }
    if message == "Missing field number." {
        return Some("give the field a number of its own: ` = 1`".to_owned());
    }
    if message.starts_with("Import ") && message.ends_with(" is unused.") {
        return Some("remove the import".to_owned());
    }
    if message.starts_with("Expected \"required\", \"optional\", or \"repeated\"") && !source?.has_syntax {
        return Some("without a syntax this file is proto2: add `syntax = \"proto3\";` as its first line".to_owned());
    }
    if message.starts_with("No edition or syntax specified") {
        return Some("add `syntax = \"proto3\";` as the first line".to_owned());
    }
    if message == "Expected \";\"." {
        return Some(format!("put a `;` before `{}`", place?.token()));
    }
    None
}

fn nearest<'a>(name: &str, source: &'a Source) -> Option<&'a str> {
    let candidates = SCALARS.iter().copied().chain(source.types.iter().map(String::as_str));
    let allowed = name.len() / 3;
    // Names that differ in length by more cannot be near.
    let near =
        candidates.filter(|candidate| candidate.len().abs_diff(name.len()) <= allowed && name.len() <= DRAWN_LINE);
    let lower = name.to_ascii_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_ascii_lowercase());
    let ranked = near.map(|candidate| (distance(candidate), candidate));
    ranked.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}
