//! Comments of `.proto` files as documentation that rustdoc takes as it is meant.
//!
//! Comments are Markdown now and then, and plain text mostly: brackets are no links, angle brackets no HTML, and
//! indented text is no Rust to test.

use std::fmt::Write;

/// `comment` as `///` lines behind `indent`, or `otherwise` if there is none.
pub(super) fn docs(indent: &str, comment: &[String], otherwise: &str) -> String {
    let mut page = Page { out: String::new(), indent };
    if comment.iter().all(|line| line.trim().is_empty()) {
        page.push(otherwise);
        return page.out;
    }
    let mut block = Block::Text;
    // Indented text is a block after an empty line; elsewhere it goes on with a paragraph or a list.
    let mut after_empty = true;
    for line in comment.iter().map(|line| line.trim_end()) {
        let indented = line.starts_with("    ") || line.starts_with('\t');
        if let Block::Fenced(fence) = block {
            let closes = line.trim() == fence;
            page.push(if closes { "```" } else { line });
            if closes {
                block = Block::Text;
            }
            continue;
        }
        if block == Block::Indented && !(indented || line.is_empty()) {
            page.push("```");
            block = Block::Text;
        }
        if let Some(fence) = ["```", "~~~"].into_iter().find(|fence| line.trim_start().starts_with(fence)) {
            page.push("```text");
            block = Block::Fenced(fence);
        } else if block == Block::Text && indented && after_empty {
            page.push("```text");
            page.push(line);
            block = Block::Indented;
        } else if block == Block::Indented {
            page.push(line);
        } else {
            page.push(&escaped(line.trim_start()));
        }
        after_empty = line.is_empty();
    }
    if block != Block::Text {
        page.push("```");
    }
    page.out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    /// Between lines that begin so.
    Fenced(&'static str),
    Indented,
}

struct Page<'a> {
    out: String,
    indent: &'a str,
}

impl Page<'_> {
    fn push(&mut self, line: &str) {
        let space = if line.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{}///{space}{line}", self.indent);
    }
}

/// A line of text with what Markdown would take for links and HTML escaped, but for code, `[links](to)` and `<urls>`.
fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut rest = line;
    while let Some(char) = rest.chars().next() {
        let (whole, escape) = match char {
            '`' => (code_span(rest), ""),
            '[' => (link(rest), "\\"),
            '<' => (auto_link(rest), "\\"),
            ']' | '>' => (None, "\\"),
            'h' => match url(rest) {
                Some(length) => {
                    let _ = write!(out, "<{}>", &rest[..length]);
                    rest = &rest[length..];
                    continue;
                }
                None => (None, ""),
            },
            '\\' => (rest.chars().nth(1).filter(char::is_ascii_punctuation).map(|_| 2), ""),
            _ => (None, ""),
        };
        if whole.is_none() {
            out.push_str(escape);
        }
        let length = whole.unwrap_or(char.len_utf8());
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// The length of the code that begins the text.
fn code_span(text: &str) -> Option<usize> {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let inner = text[ticks..].find(&text[..ticks])?;
    Some(ticks + inner + ticks)
}

/// The length of the link that begins the text, if it leads out of the crate.
fn link(text: &str) -> Option<usize> {
    let middle = text.find(']')?;
    let target = text[middle + 1..].strip_prefix('(')?;
    let is_address = url(target).is_some();
    is_address.then_some(middle + 2 + target.find(')')? + 1)
}

/// The length of the `<https://..>` that begins the text.
fn auto_link(text: &str) -> Option<usize> {
    let length = url(&text[1..])?;
    text[1 + length..].starts_with('>').then_some(length + 2)
}

/// The length of the address that begins the text, without punctuation that belongs to the sentence.
fn url(text: &str) -> Option<usize> {
    let host = ["https://", "http://"].into_iter().find_map(|scheme| text.strip_prefix(scheme))?;
    let end = host.find(|c: char| c.is_whitespace() || "<>()[]{}\"'`*\\|".contains(c)).unwrap_or(host.len());
    let host_and_path = host[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '_']);
    (!host_and_path.is_empty()).then_some(text.len() - host.len() + host_and_path.len())
}

#[cfg(test)]
mod tests {
    use super::{docs, escaped};

    fn page(text: &str) -> String {
        docs("", &text.lines().map(String::from).collect::<Vec<_>>(), "unused")
    }

    #[test]
    fn a_comment_is_documentation_and_never_a_test() {
        assert_eq!(
            page("Says hello.\n\n    indented()\n\nMore."),
            "/// Says hello.\n///\n/// ```text\n///     indented()\n///\n/// ```\n/// More.\n"
        );
        assert_eq!(page("```\n  code()\n[x]\n"), "/// ```text\n///   code()\n/// [x]\n/// ```\n");
        assert_eq!(page("~~~rust\n```\n~~~\nend"), "/// ```text\n/// ```\n/// ```\n/// end\n");
        assert_eq!(page("A list:\n  * one\n    goes on"), "/// A list:\n/// * one\n/// goes on\n");
        assert_eq!(docs("  ", &[], "Calls."), "  /// Calls.\n");
    }

    #[test]
    fn nothing_is_a_link_that_was_not_meant_to_be_one() {
        for (line, expected) in [
            ("see [Foo][a.Foo], <b>", "see \\[Foo\\]\\[a.Foo\\], \\<b\\>"),
            ("`[code] <b>` and ``a`b``", "`[code] <b>` and ``a`b``"),
            ("[text](https://a.b/c) [text](local)", "[text](https://a.b/c) \\[text\\](local)"),
            ("at https://a.b/c?d=[e].", "at <https://a.b/c?d=>\\[e\\]."),
            ("<https://a.b> http://x, http://", "<https://a.b> <http://x>, http://"),
            ("already \\[escaped\\] \\", "already \\[escaped\\] \\"),
            ("one ` tick, höher", "one ` tick, höher"),
        ] {
            assert_eq!(escaped(line), expected);
        }
    }
}
