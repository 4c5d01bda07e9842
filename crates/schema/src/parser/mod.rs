//! Tokens to a `FileDescriptorProto`, one file at a time, without looking at any other.
//!
//! What comes out is what the source says: names unresolved, options uninterpreted, every position recorded.
//! This room holds what all statements share; each kind of statement has a room of its own.

mod enumeration;
mod field;
mod file;
mod message;
mod option;
mod ranges;
mod service;

use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto};

pub(crate) use field::map_entry_name;

use crate::comments::Comments;
use crate::diagnostic::Severity;
use crate::lexer::{Finding, Lexer, Style};
use crate::positions::{self, Place, Positions};
use crate::token::{Token, TokenKind, parse_integer, unescape_into};

/// A file as its text describes it.
pub(crate) struct Parsed {
    pub(crate) file: FileDescriptorProto,
    pub(crate) positions: Positions,
    /// In the order they were made. With an error among them `file` is incomplete.
    pub(crate) findings: Vec<Finding>,
}

impl Parsed {
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Parses the text of the file at `name`.
pub(crate) fn parse(name: &str, source: &[u8]) -> Parsed {
    let mut parser = Parser::new(source);
    let mut file = FileDescriptorProto { name: Some(name.to_owned()), ..Default::default() };
    parser.file(&mut file);
    parser.positions.shrink();
    Parsed { file, positions: parser.positions, findings: parser.lexer.findings }
}

/// Adds to a list that often has one member: descriptors are large, and room for four takes a lot of memory.
fn add<T>(list: &mut Vec<T>, item: T) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
    list.push(item);
}

/// A statement cannot be made sense of; why is among the findings.
#[derive(Debug)]
struct Failed;

type Parse<T = ()> = Result<T, Failed>;

/// Which dialect the file is written in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Proto2,
    Proto3,
    Editions,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    positions: Positions,
    /// Comments met before the current token, for the declaration it begins.
    upcoming_leading: String,
    upcoming_detached: Vec<String>,
    syntax: Syntax,
    edition: Edition,
    /// Edition 2026, which the typed descriptors do not know, is taken for the last of all.
    is_2026: bool,
    /// How many messages the current statement lies in.
    depth: u32,
    /// How many groups.
    group_depth: u32,
}

/// Tokens.
impl<'a> Parser<'a> {
    fn new(source: &'a [u8]) -> Self {
        Parser {
            lexer: Lexer::new(source, Style::Proto),
            positions: Positions::default(),
            upcoming_leading: String::new(),
            upcoming_detached: Vec::new(),
            syntax: Syntax::Proto2,
            edition: Edition::EDITION_UNKNOWN,
            is_2026: false,
            depth: 0,
            group_depth: 0,
        }
    }

    fn current(&self) -> Token {
        self.lexer.current
    }

    fn text(&self) -> &'a [u8] {
        self.lexer.current_text()
    }

    /// The current token's text as words are stored.
    fn text_string(&self) -> String {
        match str::from_utf8(self.text()) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(self.text()).into_owned(),
        }
    }

    fn at(&self, text: &str) -> bool {
        self.text() == text.as_bytes()
    }

    fn at_kind(&self, kind: TokenKind) -> bool {
        self.current().kind == kind
    }

    fn at_end(&self) -> bool {
        self.at_kind(TokenKind::End)
    }

    fn error(&mut self, message: impl Into<String>) {
        let Token { line, column, .. } = self.current();
        self.lexer.error(line, column, message);
    }

    fn fail<T>(&mut self, message: impl Into<String>) -> Parse<T> {
        self.error(message);
        Err(Failed)
    }

    fn error_at(&mut self, token: Token, message: impl Into<String>) {
        self.lexer.error(token.line, token.column, message);
    }

    fn warn_at(&mut self, token: Token, message: String) {
        let finding = Finding { line: Some(token.line), column: token.column, severity: Severity::Warning, message };
        self.lexer.findings.push(finding);
    }

    fn try_consume(&mut self, text: &str) -> bool {
        let found = self.at(text);
        if found {
            self.lexer.next();
        }
        found
    }

    fn consume(&mut self, text: &str) -> Parse {
        if self.try_consume(text) { Ok(()) } else { self.fail(format!("Expected \"{text}\".")) }
    }

    fn consume_or(&mut self, text: &str, complaint: &str) -> Parse {
        if self.try_consume(text) { Ok(()) } else { self.fail(complaint) }
    }

    fn identifier(&mut self, complaint: &str) -> Parse<String> {
        if !self.at_kind(TokenKind::Identifier) {
            return self.fail(complaint);
        }
        let text = self.text_string();
        self.lexer.next();
        Ok(text)
    }

    /// A number that fits 31 bits. One that does not is reported and read as 0, for it is a number after all.
    fn integer(&mut self, complaint: &str) -> Parse<i32> {
        Ok(self.integer64(i32::MAX as u64, complaint)? as i32)
    }

    fn signed_integer(&mut self, complaint: &str) -> Parse<i32> {
        if self.try_consume("-") {
            let value = self.integer64(i32::MAX as u64 + 1, complaint)?;
            Ok((value as i32).wrapping_neg())
        } else {
            self.integer(complaint)
        }
    }

    fn integer64(&mut self, max: u64, complaint: &str) -> Parse<u64> {
        if !self.at_kind(TokenKind::Integer) {
            return self.fail(complaint);
        }
        let value = parse_integer(self.text(), max);
        if value.is_none() {
            self.error("Integer out of range.");
        }
        self.lexer.next();
        Ok(value.unwrap_or(0))
    }

    fn string(&mut self, complaint: &str) -> Parse<Vec<u8>> {
        if !self.at_kind(TokenKind::String) {
            return self.fail(complaint);
        }
        let mut value = Vec::new();
        // Adjacent strings are one, as in C.
        while self.at_kind(TokenKind::String) {
            unescape_into(self.text(), &mut value);
            self.lexer.next();
        }
        Ok(value)
    }

    fn utf8_string(&mut self, complaint: &str) -> Parse<String> {
        Ok(String::from_utf8_lossy(&self.string(complaint)?).into_owned())
    }
}

/// Locations and comments.
impl Parser<'_> {
    /// Begins a location at the current token, below `parent`.
    fn open(&mut self, parent: Option<Place>, steps: &[i32]) -> Place {
        let Token { line, column, .. } = self.current();
        self.positions.open(parent, steps, (line as i32, column as i32))
    }

    /// Ends a location at the previous token, unless it has an end.
    fn close(&mut self, place: Place) {
        if self.positions.is_open(place) {
            self.end_at(place, self.lexer.previous);
        }
    }

    /// Runs `body` within a location.
    fn located<T>(&mut self, parent: Place, steps: &[i32], body: impl FnOnce(&mut Self, Place) -> T) -> T {
        let place = self.open(Some(parent), steps);
        let result = body(self, place);
        self.close(place);
        result
    }

    /// Records a location that covers the tokens from `first` to `last`.
    fn locate_tokens(&mut self, parent: Place, steps: &[i32], first: Token, last: Token) {
        let place = self.open(Some(parent), steps);
        self.start_at(place, first);
        self.end_at(place, last);
    }

    fn start_at(&mut self, place: Place, token: Token) {
        self.positions.set_start(place, (token.line as i32, token.column as i32));
    }

    fn start_at_place(&mut self, place: Place, other: Place) {
        let start = self.positions.start(other);
        self.positions.set_start(place, start);
    }

    fn end_at(&mut self, place: Place, token: Token) {
        self.positions.set_end(place, (token.line as i32, token.end_column as i32));
    }

    fn add_step(&mut self, place: Place, step: i32) {
        self.positions.add_step(place, step);
    }

    /// Passes `;`, `{` or `}` and gives the comments around it to `place`.
    fn try_end(&mut self, text: &str, place: Option<Place>) -> bool {
        if !self.at(text) {
            return false;
        }
        let Comments { trailing, detached, leading } = self.lexer.next_with_comments();
        let leading = std::mem::replace(&mut self.upcoming_leading, leading);
        match place {
            Some(place) => {
                let detached = std::mem::replace(&mut self.upcoming_detached, detached);
                if !(leading.is_empty() && trailing.is_empty() && detached.is_empty()) {
                    let text = |text: String| Some(text).filter(|text| !text.is_empty());
                    let comments = positions::Comments { leading: text(leading), trailing: text(trailing), detached };
                    self.positions.set_comments(place, comments);
                }
            }
            // The scope that ends takes its pending comments along.
            None if text == "}" => self.upcoming_detached = detached,
            None => self.upcoming_detached.extend(detached),
        }
        true
    }

    fn end(&mut self, text: &str, place: Place) -> Parse {
        if self.try_end(text, Some(place)) { Ok(()) } else { self.fail(format!("Expected \"{text}\".")) }
    }
}

/// Recovery: one file shows all its errors.
impl Parser<'_> {
    /// Skips past the next `;` or `{…}`, or to a `}` that closes the scope.
    fn skip_statement(&mut self) {
        while !self.at_end() {
            if self.at_kind(TokenKind::Symbol) {
                if self.try_end(";", None) {
                    return;
                } else if self.try_consume("{") {
                    return self.skip_rest_of_block();
                } else if self.at("}") {
                    return;
                }
            }
            self.lexer.next();
        }
    }

    fn skip_rest_of_block(&mut self) {
        let mut depth = 1;
        while !self.at_end() {
            if self.at_kind(TokenKind::Symbol) {
                if self.try_end("}", None) {
                    depth -= 1;
                    if depth == 0 {
                        return;
                    }
                } else if self.try_consume("{") {
                    depth += 1;
                }
            }
            self.lexer.next();
        }
    }
}
