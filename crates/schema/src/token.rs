//! Tokens, and the values their text stands for.

/// What kind of thing a [`Token`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Before the first token.
    Start,
    /// After the last token.
    End,
    Identifier,
    Integer,
    Float,
    String,
    /// One byte that is none of the above.
    Symbol,
    /// What may stand in a URL.
    UrlChars,
}

/// A token: where it lies in the source and on the page (lines and columns counted from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_column: u32,
}

impl Token {
    pub(crate) const START: Token =
        Token { kind: TokenKind::Start, start: 0, end: 0, line: 0, column: 0, end_column: 0 };
}

/// Reads an integer literal (decimal, `0` octal, `0x` hexadecimal); `None` if it is malformed or above `max`.
pub(crate) fn parse_integer(text: &[u8], max: u64) -> Option<u64> {
    let (digits, base) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        [b'0', rest @ ..] => (rest, 8),
        _ => (text, 10),
    };
    let mut value = 0u64;
    for &byte in digits {
        let digit = (byte as char).to_digit(base)?;
        value = value.checked_mul(u64::from(base))?.checked_add(u64::from(digit))?;
    }
    (value <= max).then_some(value)
}

/// Reads as much of a float literal as is one; `None` if something is left over that no float ends with.
pub(crate) fn parse_float(text: &[u8]) -> Option<f64> {
    let number_end = float_prefix_len(text);
    let prefix = std::str::from_utf8(&text[..number_end]).ok()?;
    let value = if prefix.is_empty() { 0.0 } else { prefix.parse().ok()? };
    let mut rest = &text[number_end..];
    // A float that lacks its exponent was reported by the lexer; it still has a value.
    if let [b'e' | b'E', after @ ..] = rest {
        rest = match after {
            [b'-' | b'+', after @ ..] => after,
            _ => after,
        };
    }
    if let [b'f' | b'F', after @ ..] = rest {
        rest = after;
    }
    rest.is_empty().then_some(value)
}

/// Length of the longest prefix that is a decimal float.
fn float_prefix_len(text: &[u8]) -> usize {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    let mut end = whole;
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        if whole + fraction == 0 {
            return 0;
        }
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let from = end + 1 + sign;
        if from < text.len() && digits(from) > 0 {
            end = from + digits(from);
        }
    }
    end
}

/// Appends the bytes a string literal (quotes included) stands for.
pub(crate) fn unescape_into(literal: &[u8], out: &mut Vec<u8>) {
    let Some((&quote, body)) = literal.split_first() else { return };
    // An unterminated string was reported by the lexer and has no closing quote to drop.
    let body = match body.split_last() {
        Some((&last, inner)) if last == quote => inner,
        _ => body,
    };
    let mut at = 0;
    while at < body.len() {
        if body[at] == b'\\' && at + 1 < body.len() {
            at = unescape_one(body, at + 1, out);
        } else {
            out.push(body[at]);
            at += 1;
        }
    }
}

/// Handles the escape whose letter is at `at`; returns where the text goes on.
fn unescape_one(body: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let digits = |from: usize, base: u32, most: usize| {
        body[from..].iter().take(most).take_while(|&&byte| (byte as char).is_digit(base)).count()
    };
    let number = |from: usize, len: usize, base: u32| {
        body[from..from + len].iter().fold(0u32, |sum, &byte| sum * base + (byte as char).to_digit(base).unwrap_or(0))
    };
    match body[at] {
        b'0'..=b'7' => {
            let len = digits(at, 8, 3);
            out.push(number(at, len, 8) as u8);
            at + len
        }
        b'x' | b'X' => {
            let len = digits(at + 1, 16, 2);
            out.push(number(at + 1, len, 16) as u8);
            at + 1 + len
        }
        letter @ (b'u' | b'U') => {
            let len = if letter == b'u' { 4 } else { 8 };
            if digits(at + 1, 16, len) < len {
                out.push(letter);
                return at + 1;
            }
            let mut code = number(at + 1, len, 16);
            let mut next = at + 1 + len;
            if (0xd800..0xdc00).contains(&code) && body[next..].starts_with(b"\\u") && digits(next + 2, 16, 4) == 4 {
                let trail = number(next + 2, 4, 16);
                if (0xdc00..0xe000).contains(&trail) {
                    code = 0x10000 + ((code - 0xd800) << 10 | (trail - 0xdc00));
                    next += 6;
                }
            }
            push_code_point(code, out);
            next
        }
        letter => {
            out.push(match letter {
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                b'\\' | b'?' | b'\'' | b'"' => letter,
                _ => b'?',
            });
            at + 1
        }
    }
}

/// Appends a code point in UTF-8's bit pattern, lone surrogates included, as protoc does.
fn push_code_point(code: u32, out: &mut Vec<u8>) {
    let tail = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
    match code {
        0..=0x7f => out.push(code as u8),
        0x80..=0x7ff => out.extend([0xc0 | (code >> 6) as u8, tail(0)]),
        0x800..=0xffff => out.extend([0xe0 | (code >> 12) as u8, tail(6), tail(0)]),
        0x10000..=0x10ffff => out.extend([0xf0 | (code >> 18) as u8, tail(12), tail(6), tail(0)]),
        _ => out.extend(format!("\\U{code:08x}").into_bytes()),
    }
}

/// Whether `text` is a letter or underscore followed by letters, digits and underscores.
pub(crate) fn is_identifier(text: &[u8]) -> bool {
    text.first().is_some_and(|&byte| is_letter(byte))
        && text.iter().all(|&byte| is_letter(byte) || byte.is_ascii_digit())
}

/// A letter as identifiers count them.
pub(crate) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}
