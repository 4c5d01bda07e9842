//! A doorway for fuzz targets. Not part of the API.

use crate::lexer::{Lexer, Style};
use crate::parser::parse;

/// Reads all tokens and comments.
pub fn lexer(source: &[u8]) {
    for style in [Style::Proto, Style::TextFormat] {
        let mut lexer = Lexer::new(source, style);
        while lexer.next() {
            assert!(lexer.current_text().len() <= source.len());
        }
        let mut lexer = Lexer::new(source, style);
        let mut last = None;
        loop {
            let _comments = lexer.next_with_comments();
            let token = lexer.current;
            // The one token that does not move on is a byte order mark that is none.
            if token.kind == crate::token::TokenKind::End || last == Some(token) {
                break;
            }
            last = Some(token);
        }
    }
}

/// Parses a file.
pub fn parser(source: &[u8]) {
    let _parsed = parse("fuzz.proto", source);
}
