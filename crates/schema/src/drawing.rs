//! Diagnostics drawn for people: the line of source, a caret, and where it is plain, the way out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::advice::advice;
use crate::{Diagnostic, Severity, SourceTree};

/// Longer lines are not drawn. Bounds the work for a file that is one line.
pub(crate) const DRAWN_LINE: usize = 1000;

/// Names of one file that a wrong name is held against, and braces that may be open.
const CANDIDATES: usize = 10_000;

/// Where a file is on disk, if it is.
type DiskPath<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

/// Draws the diagnostics of one run.
pub struct Drawing<'a, T> {
    tree: &'a T,
    /// Where a file is on disk, for whoever is shown it.
    disk_path: DiskPath<'a>,
    renderer: Renderer,
    sources: HashMap<String, Option<Source>>,
}

/// The text of a file, cut into lines.
pub(crate) struct Source {
    pub(crate) lines: Vec<String>,
    /// The names of its messages and enums.
    pub(crate) types: Vec<String>,
    pub(crate) has_syntax: bool,
}

impl<'a, T: SourceTree> Drawing<'a, T> {
    /// `tree` is where the text of files comes from. `disk_path` says where a file is on disk, if it is; others are shown by
    /// their virtual path. `colour` is for terminals.
    pub fn new(tree: &'a T, disk_path: impl Fn(&str) -> Option<String> + 'a, colour: bool) -> Self {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        Self { tree, disk_path: Box::new(disk_path), renderer, sources: HashMap::new() }
    }

    /// The drawing, without a line feed at its end.
    pub fn draw(&mut self, diagnostic: &Diagnostic) -> String {
        let Diagnostic { file, line, column, severity, message } = diagnostic;
        let tree = self.tree;
        let path = (self.disk_path)(file).unwrap_or_else(|| file.clone());
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
            (Some(Place { text, span, .. }), Some(line)) => {
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
pub(crate) struct Place {
    /// Counted from 0.
    pub(crate) line: usize,
    text: String,
    span: Range<usize>,
}

impl Place {
    pub(crate) fn token(&self) -> &str {
        self.text.get(self.span.clone()).unwrap_or_default()
    }

    /// What stands before the token in its line.
    pub(crate) fn before(&self) -> &str {
        self.text.get(..self.span.start).unwrap_or_default()
    }
}

impl Source {
    fn read(tree: &impl SourceTree, file: &str) -> Option<Self> {
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

    /// The last line before this one that is not empty.
    pub(crate) fn line_before(&self, line: usize) -> Option<usize> {
        self.lines.get(..line)?.iter().rposition(|line| !line.trim().is_empty())
    }

    /// The line of the last `{` that has no `}`. Braces in strings and block comments count, too.
    pub(crate) fn open_brace(&self) -> Option<usize> {
        let mut open = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for byte in code.bytes() {
                match byte {
                    b'{' if open.len() == CANDIDATES => return None,
                    b'{' => open.push(index),
                    b'}' => drop(open.pop()),
                    _ => {}
                }
            }
        }
        open.pop()
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
        let span = match rest.strip_prefix("import") {
            // What is imported says more than that it is.
            Some(import) if import.contains(['"', '\'']) => {
                let start = start + "import".len() + import.find(['"', '\'']).unwrap_or(0);
                start..start + token_length(text.get(start..)?)
            }
            _ => start..start + token_length(rest),
        };
        let line = line as usize;
        // A tab is as wide as the renderer likes, which is nowhere near the column: it is drawn as one space.
        Some(Place { line, text: text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>(), span })
            .filter(|place| place.text.len() == text.len())
    }
}

/// How long the word, number or string is that `text` begins with; one character if it is none of them.
fn token_length(text: &str) -> usize {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    match text.chars().next() {
        None => 0,
        Some(quote @ ('"' | '\'')) => text[1..].find(quote).map_or(text.len(), |end| end + 2),
        // The name of an extension.
        Some('(') => text.find(')').map_or(1, |end| end + 1),
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
