//! Names that stand for others while `buffa-codegen` writes.
//!
//! What protobuf calls `_` or `self`, Rust must call otherwise; but JSON, text and descriptors go on calling it so. Such a
//! name bears a mark and a number in the descriptors that `buffa-codegen` sees. Afterwards the name in a string literal is
//! the author's, and everywhere else Rust's.

/// Part of no name in a `.proto`, for those are ASCII; and a letter to Rust, neither small nor capital.
pub(super) const MARK: char = 'ꟷ';

/// The names that were given, and what they stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Rust's name and the author's.
    names: Vec<(String, String)>,
}

impl Marks {
    /// `rust`, marked as standing for `original`.
    pub(super) fn mark(&mut self, rust: &str, original: &str) -> String {
        self.names.push((rust.to_owned(), original.to_owned()));
        format!("{rust}{MARK}{}{MARK}", self.names.len() - 1)
    }

    /// `code` without marks.
    pub(super) fn unmarked(&self, code: &str) -> String {
        let mut out = String::with_capacity(code.len());
        for line in code.split_inclusive('\n') {
            if line.contains(MARK) {
                let start = out.len();
                self.push_line(&mut out, line);
                drop_second_pattern(&mut out, start);
            } else {
                out.push_str(line);
            }
        }
        out
    }

    fn push_line(&self, out: &mut String, line: &str) {
        let is_comment = line.trim_start().starts_with("//");
        let mut in_literal = false;
        let mut rest = line;
        while let Some(at) = rest.find(MARK) {
            let (before, marked) = rest.split_at(at);
            in_literal = is_in_literal(in_literal, before);
            out.push_str(before);
            let Some((number, after)) = numbered(marked) else {
                out.push(MARK);
                rest = &marked[MARK.len_utf8()..];
                continue;
            };
            if let Some((rust, original)) = self.names.get(number).filter(|_| in_literal && !is_comment)
                && out.ends_with(rust.as_str())
            {
                out.truncate(out.len() - rust.len());
                out.push_str(original);
            }
            rest = after;
        }
        out.push_str(rest);
    }
}

/// Makes `"a" | "a" =>` of the line from `start` on `"a" =>`: the JSON name and the name without its mark may be one.
fn drop_second_pattern(out: &mut String, start: usize) {
    let line = &out[start..];
    let Some((first, second)) = line.split_once(" | ") else { return };
    let literal = first.trim_start();
    if literal.starts_with('"') && second.starts_with(literal) && second[literal.len()..].starts_with(" =>") {
        let at = start + first.len();
        out.replace_range(at..at + " | ".len() + literal.len(), "");
    }
}

/// A name as Rust will have it.
pub(super) fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once(MARK) {
        out.push_str(before);
        rest = numbered(&rest[before.len()..]).map_or(after, |(_, after)| after);
    }
    out + rest
}

/// The number between two marks that `text` begins with, and what follows.
fn numbered(text: &str) -> Option<(usize, &str)> {
    let (digits, after) = text.strip_prefix(MARK)?.split_once(MARK)?;
    Some((digits.parse().ok()?, after))
}

/// Whether what follows `text` is in a string literal, given whether `text` begins in one.
fn is_in_literal(mut inside: bool, text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => inside = !inside,
            '\\' if inside => drop(chars.next()),
            _ => {}
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_have_the_names_of_the_author_and_code_has_rusts() {
        let mut marks = Marks::default();
        let value = marks.mark("X_", "_");
        let field = marks.mark("self_", "self");
        assert_eq!((plain(&value).as_str(), plain("E"), plain("Eꟷ").as_str()), ("X_", "E".to_owned(), "E"));
        for (code, expected) in [
            (format!("Self::{value} => \"{value}\",\n"), "Self::X_ => \"_\",\n"),
            (format!("a(\"\\\"\", {field}, \"a.{field}.b\")"), "a(\"\\\"\", self_, \"a.self.b\")"),
            (format!("/// [`{field}`] \"{field}\"\n"), "/// [`self_`] \"self_\"\n"),
            (format!("with_{field}, Eꟷ, \"Self{}\"", &field[5..]), "with_self_, Eꟷ, \"Self\""),
            ("ꟷ ꟷ9ꟷ".to_owned(), "ꟷ "),
            (format!("  \"{field}\" | \"self\" => {{\n"), "  \"self\" => {\n"),
            (format!("  \"selfs\" | \"{field}\" => {{\n"), "  \"selfs\" | \"self\" => {\n"),
        ] {
            assert_eq!(marks.unmarked(&code), expected);
        }
    }
}
