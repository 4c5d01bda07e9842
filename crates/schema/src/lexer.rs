//! Source text to tokens, one at a time, with the comments between them.
//!
//! The lexer is lazy because protoc's messages come in the order in which its parser pulls tokens.

use crate::comments::{CommentCollector, Comments};
use crate::diagnostic::Severity;
use crate::token::{Token, TokenKind, is_letter};

const TAB_WIDTH: u32 = 8;

/// A finding in one file, before the file's name is put to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) line: Option<u32>,
    pub(crate) column: u32,
    pub(crate) severity: Severity,
    pub(crate) message: String,
}

/// Which comment, if any, began at the current character.
enum CommentStart {
    None,
    Line,
    Block,
    /// A `/` that starts no comment; it has become the current token.
    Slash,
}

/// Reads tokens from the text of one file.
pub(crate) struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    line: u32,
    column: u32,
    style: Style,
    /// Reads what may stand in a URL as one token: between brackets in text format.
    pub(crate) url_chars: bool,
    pub(crate) current: Token,
    pub(crate) previous: Token,
    /// What lexer and parser have found so far.
    pub(crate) findings: Vec<Finding>,
}

/// Whose comments and numbers are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `.proto` files: `//` and `/* */` comments.
    Proto,
    /// Text format: `#` comments, `1.5f` is a float, a number may touch a word.
    TextFormat,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn is_space_in_line(byte: u8) -> bool {
    byte != b'\n' && is_space(byte)
}

fn is_url_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.~!$&()*+,;=%/".contains(&byte)
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(source: &'a [u8], style: Style) -> Self {
        Lexer {
            source,
            at: 0,
            line: 0,
            column: 0,
            style,
            url_chars: false,
            current: Token::START,
            previous: Token::START,
            findings: Vec::new(),
        }
    }

    /// The text of a token, quotes and all.
    pub(crate) fn text(&self, token: Token) -> &'a [u8] {
        &self.source[token.start..token.end]
    }

    /// The text of the current token.
    pub(crate) fn current_text(&self) -> &'a [u8] {
        self.text(self.current)
    }

    pub(crate) fn error(&mut self, line: u32, column: u32, message: impl Into<String>) {
        let message = message.into();
        self.findings.push(Finding { line: Some(line), column, severity: Severity::Error, message });
    }

    fn error_here(&mut self, message: &str) {
        self.error(self.line, self.column, message);
    }

    fn at_end(&self) -> bool {
        self.at >= self.source.len()
    }

    /// The current byte; NUL at the end of the text.
    fn byte(&self) -> u8 {
        self.source.get(self.at).copied().unwrap_or(0)
    }

    fn advance(&mut self) {
        if self.at_end() {
            return;
        }
        match self.byte() {
            b'\n' => {
                self.line += 1;
                self.column = 0;
            }
            b'\t' => self.column += TAB_WIDTH - self.column % TAB_WIDTH,
            _ => self.column += 1,
        }
        self.at += 1;
    }

    fn eat_if(&mut self, class: impl Fn(u8) -> bool) -> bool {
        let matched = !self.at_end() && class(self.byte());
        if matched {
            self.advance();
        }
        matched
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.eat_if(|b| b == byte)
    }

    fn eat_while(&mut self, class: impl Fn(u8) -> bool) {
        while self.eat_if(&class) {}
    }

    fn eat_some(&mut self, class: impl Fn(u8) -> bool, complaint: &str) {
        if self.eat_if(&class) {
            self.eat_while(class);
        } else {
            self.error_here(complaint);
        }
    }

    fn start_token(&mut self) {
        self.current.start = self.at;
        self.current.line = self.line;
        self.current.column = self.column;
    }

    fn end_token(&mut self, kind: TokenKind) {
        self.current.kind = kind;
        self.current.end = self.at;
        self.current.end_column = self.column;
    }

    /// Moves to the next token, past any comments. False at the end of the text.
    pub(crate) fn next(&mut self) -> bool {
        self.previous = self.current;
        while !self.at_end() {
            self.eat_while(is_space);
            match self.comment_start() {
                CommentStart::Line => {
                    self.line_comment();
                    continue;
                }
                CommentStart::Block => {
                    self.block_comment(&mut Vec::new());
                    continue;
                }
                CommentStart::Slash => return true,
                CommentStart::None => {}
            }
            if self.at_end() {
                break;
            }
            if self.byte() < b' ' {
                self.error_here("Invalid control characters encountered in text.");
                self.eat_while(|byte| byte < b' ');
                continue;
            }
            self.start_token();
            let kind = self.token_body();
            self.end_token(kind);
            return true;
        }
        self.start_token();
        self.end_token(TokenKind::End);
        false
    }

    fn token_body(&mut self) -> TokenKind {
        if self.url_chars && is_url_char(self.byte()) {
            self.eat_while(is_url_char);
            return TokenKind::UrlChars;
        }
        match self.byte() {
            byte if is_letter(byte) => {
                self.eat_while(|byte| is_letter(byte) || byte.is_ascii_digit());
                TokenKind::Identifier
            }
            b'0' => {
                self.advance();
                self.number(true, false)
            }
            b'.' => {
                self.advance();
                if !self.eat_if(|byte| byte.is_ascii_digit()) {
                    return TokenKind::Symbol;
                }
                let touches = self.previous.kind == TokenKind::Identifier
                    && self.current.line == self.previous.line
                    && self.current.column == self.previous.end_column;
                if touches {
                    let message = "Need space between identifier and decimal point.";
                    self.error(self.line, self.column - 2, message);
                }
                self.number(false, true)
            }
            b'1'..=b'9' => {
                self.advance();
                self.number(false, false)
            }
            quote @ (b'"' | b'\'') => {
                self.advance();
                self.string(quote);
                TokenKind::String
            }
            byte => {
                if byte >= 0x80 {
                    self.error_here(&format!("Interpreting non ascii codepoint {byte}."));
                }
                self.advance();
                TokenKind::Symbol
            }
        }
    }

    fn string(&mut self, quote: u8) {
        loop {
            match self.byte() {
                0 => return self.error_here("Unexpected end of string."),
                b'\n' => return self.error_here("Multiline strings are not allowed. Did you miss a \"?."),
                b'\\' => {
                    self.advance();
                    self.escape();
                }
                byte => {
                    self.advance();
                    if byte == quote {
                        return;
                    }
                }
            }
        }
    }

    fn escape(&mut self) {
        let hex = |byte: u8| byte.is_ascii_hexdigit();
        if self.eat_if(|byte| b"abfnrtv\\?'\"".contains(&byte) || (b'0'..=b'7').contains(&byte)) {
            return;
        }
        if self.eat(b'x') || self.eat(b'X') {
            if !self.eat_if(hex) {
                self.error_here("Expected hex digits for escape sequence.");
            }
        } else if self.eat(b'u') {
            if !(0..4).all(|_| self.eat_if(hex)) {
                self.error_here("Expected four hex digits for \\u escape sequence.");
            }
        } else if self.eat(b'U') {
            let head = self.eat(b'0') && self.eat(b'0') && (self.eat(b'0') || self.eat(b'1'));
            if !(head && (0..5).all(|_| self.eat_if(hex))) {
                self.error_here("Expected eight hex digits up to 10ffff for \\U escape sequence");
            }
        } else {
            self.error_here("Invalid escape sequence in string literal.");
        }
    }

    fn number(&mut self, after_zero: bool, after_dot: bool) -> TokenKind {
        let digit = |byte: u8| byte.is_ascii_digit();
        let mut is_float = after_dot;
        if after_zero && (self.eat(b'x') || self.eat(b'X')) {
            self.eat_some(|byte| byte.is_ascii_hexdigit(), "\"0x\" must be followed by hex digits.");
        } else if after_zero && digit(self.byte()) {
            self.eat_while(|byte| (b'0'..=b'7').contains(&byte));
            if digit(self.byte()) {
                self.error_here("Numbers starting with leading zero must be in octal.");
                self.eat_while(digit);
            }
        } else {
            self.eat_while(digit);
            if !after_dot && self.eat(b'.') {
                is_float = true;
                self.eat_while(digit);
            }
            if self.eat(b'e') || self.eat(b'E') {
                is_float = true;
                let _sign = self.eat(b'-') || self.eat(b'+');
                self.eat_some(digit, "\"e\" must be followed by exponent.");
            }
            if self.style == Style::TextFormat && (self.eat(b'f') || self.eat(b'F')) {
                is_float = true;
            }
        }
        if is_letter(self.byte()) {
            self.error_here("Need space between number and identifier.");
        } else if self.byte() == b'.' {
            self.error_here(if is_float {
                "Already saw decimal point or exponent; can't have another one."
            } else {
                "Hex and octal numbers must be integers."
            });
        }
        if is_float { TokenKind::Float } else { TokenKind::Integer }
    }

    fn comment_start(&mut self) -> CommentStart {
        if self.style == Style::TextFormat {
            return if self.eat(b'#') { CommentStart::Line } else { CommentStart::None };
        }
        if !self.eat(b'/') {
            return CommentStart::None;
        }
        if self.eat(b'/') {
            return CommentStart::Line;
        }
        if self.eat(b'*') {
            return CommentStart::Block;
        }
        self.current = Token {
            kind: TokenKind::Symbol,
            start: self.at - 1,
            end: self.at,
            line: self.line,
            column: self.column - 1,
            end_column: self.column,
        };
        CommentStart::Slash
    }

    /// Reads to the end of the line, newline included.
    fn line_comment(&mut self) -> &'a [u8] {
        let start = self.at;
        let length = self.source[start..].iter().position(|&byte| byte == 0 || byte == b'\n');
        match length.filter(|length| self.source[start + length] == b'\n') {
            // Columns need not be counted in a line that ends here.
            Some(length) => {
                self.at += length;
                self.advance();
            }
            None => self.eat_while(|byte| byte != 0),
        }
        &self.source[start..self.at]
    }

    /// Reads a block comment whose opening is past, appending its text without the leading `*` of each line.
    fn block_comment(&mut self, content: &mut Vec<u8>) {
        let opening = (self.line, self.column.saturating_sub(2));
        let mut start = self.at;
        loop {
            self.eat_while(|byte| !matches!(byte, 0 | b'*' | b'/' | b'\n'));
            if self.eat(b'\n') {
                content.extend_from_slice(&self.source[start..self.at]);
                self.eat_while(is_space_in_line);
                if self.eat(b'*') && self.eat(b'/') {
                    return;
                }
                start = self.at;
            } else if self.eat(b'*') {
                if self.eat(b'/') {
                    return content.extend_from_slice(&self.source[start..self.at - 2]);
                }
            } else if self.eat(b'/') {
                if self.byte() == b'*' {
                    self.error_here("\"/*\" inside block comment.  Block comments cannot be nested.");
                }
            } else {
                self.error_here("End-of-file inside block comment.");
                self.error(opening.0, opening.1, "  Comment started here.");
                return content.extend_from_slice(&self.source[start..self.at]);
            }
        }
    }

    /// Moves to the next token and gathers the comments on the way: those that trail the current token, those
    /// that stand alone, those that lead the next one.
    pub(crate) fn next_with_comments(&mut self) -> Comments {
        let mut collector = CommentCollector::default();
        self.collect_comments(&mut collector);
        collector.finish()
    }

    fn collect_comments(&mut self, collector: &mut CommentCollector) {
        let mut token_line = Some(self.line);
        let mut trailing_end_line = None;
        if self.current.kind == TokenKind::Start {
            if !self.byte_order_mark() {
                return;
            }
            collector.detach_from_previous();
            token_line = None;
        } else {
            // A comment on the same line trails the token before it.
            self.eat_while(is_space_in_line);
            match self.comment_start() {
                CommentStart::Line => {
                    trailing_end_line = Some(self.line);
                    let text = self.line_comment();
                    collector.line(text);
                    collector.flush();
                }
                CommentStart::Block => {
                    self.block_comment(collector.block());
                    trailing_end_line = Some(self.line);
                    self.eat_while(is_space_in_line);
                    collector.flush();
                }
                CommentStart::Slash => return,
                CommentStart::None => {
                    if !self.eat(b'\n') {
                        self.next();
                        return;
                    }
                }
            }
        }
        loop {
            self.eat_while(is_space_in_line);
            match self.comment_start() {
                CommentStart::Line => {
                    let text = self.line_comment();
                    collector.line(text);
                }
                CommentStart::Block => {
                    self.block_comment(collector.block());
                    self.eat_while(is_space_in_line);
                    self.eat(b'\n');
                }
                CommentStart::Slash => return,
                CommentStart::None if self.eat(b'\n') => {
                    // A blank line.
                    collector.flush();
                    collector.detach_from_previous();
                }
                CommentStart::None => {
                    let more = self.next();
                    if !more || matches!(self.current_text(), b"}" | b"]" | b")") {
                        // It is the end of a scope that follows: nothing for these comments to lead.
                        collector.flush();
                    }
                    if more && (token_line == Some(self.line) || trailing_end_line == Some(self.line)) {
                        collector.maybe_detach();
                    }
                    return;
                }
            }
        }
    }

    /// Skips a UTF-8 byte order mark. False if the text starts like one and is none.
    fn byte_order_mark(&mut self) -> bool {
        if self.eat(0xef) && !(self.eat(0xbb) && self.eat(0xbf)) {
            self.error_here("Proto file starts with 0xEF but not UTF-8 BOM. Only UTF-8 is accepted for proto file.");
            return false;
        }
        true
    }
}
