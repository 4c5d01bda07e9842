//! Types that are called by one letter.
//!
//! `buffa-codegen` calls generic parameters `A`, `D`, `E` and `S`, which hide types of these names. While it writes,
//! such types bear a mark; afterwards they are `self::E` wherever a parameter could be meant.

use super::marks::{MARK, plain};
use super::names::{converted, is_good};

/// The name to give to `buffa-codegen`.
pub(super) fn marked(name: &str) -> String {
    if name.len() == 1 { format!("{name}{MARK}") } else { name.to_owned() }
}

/// The letter that a type is called by, if that is all of its Rust name.
pub(super) fn only(name: &str) -> Option<String> {
    let name = plain(&if is_good(name) { name.to_owned() } else { converted(name) });
    (name.len() == 1).then_some(name)
}

/// What the views of such a type are called.
pub(super) fn views_of(letter: String) -> [String; 3] {
    ["View", "OwnedView", "LazyView"].map(|view| format!("{letter}{view}"))
}

/// What precedes Rust names in literals.
const NAMES_IN_LITERALS: [&str; 2] = ["f.debug_struct(\"", "f.write_str(\"struct "];

/// What it wrote, without marks. Other literals are left alone: their names are put right by `Names::restore`.
pub(super) fn unmarked(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    for line in code.split_inclusive('\n') {
        let is_comment = line.trim_start().starts_with("//");
        let mut written = 0;
        for (mark, _) in line.match_indices(MARK) {
            let (before, after) = (&line[..mark], &line[mark + MARK.len_utf8()..]);
            let Some(text) = before.strip_suffix(|letter: char| letter.is_ascii_alphabetic()) else { continue };
            let is_in_literal = text.matches('"').count() % 2 == 1;
            let is_text = is_comment || is_in_literal;
            if is_in_literal && !is_comment && !NAMES_IN_LITERALS.iter().any(|start| text.ends_with(start)) {
                continue;
            }
            let is_whole_name = !text.ends_with(is_name) && !after.starts_with(is_name);
            out.push_str(&line[written..text.len()]);
            if is_whole_name && !is_text && is_reference(text) {
                out.push_str("self::");
            }
            out.push_str(&before[text.len()..]);
            written = mark + MARK.len_utf8();
        }
        out.push_str(&line[written..]);
    }
    out
}

fn is_name(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

/// Whether a name after `text` stands for a type, and not for its declaration or the end of a path.
fn is_reference(text: &str) -> bool {
    let otherwise = ["::", "struct ", "enum ", "mod ", "impl ", " for ", "stringify!(", "."];
    !otherwise.iter().any(|end| text.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::{marked, unmarked};

    #[test]
    fn one_letter_is_a_type_wherever_a_parameter_could_be_meant() {
        assert_eq!((marked("E").as_str(), marked("Ex").as_str()), ("Eꟷ", "Ex"));
        for (code, expected) in [
            ("fn f<E>() -> Result<Eꟷ, E> {\n", "fn f<E>() -> Result<self::E, E> {\n"),
            ("pub enum Eꟷ {\n", "pub enum E {\n"),
            ("impl X for Eꟷ {\n", "impl X for E {\n"),
            ("impl From<Eꟷ> for Eꟷ {\n", "impl From<self::E> for E {\n"),
            ("super::Eꟷ::default()", "super::E::default()"),
            ("/// A [`Eꟷ`].\n", "/// A [`E`].\n"),
            ("const __Eꟷ_ANY: A = a::<Eꟷ>;\n", "const __E_ANY: A = a::<self::E>;\n"),
            ("\"of Eꟷ\", stringify!(Eꟷ)", "\"of Eꟷ\", stringify!(E)"),
            ("f.debug_struct(\"Eꟷ\")", "f.debug_struct(\"E\")"),
            ("/// 日ꟷ Eꟷ ꟷ", "/// 日ꟷ E ꟷ"),
            ("ꟷ", "ꟷ"),
            ("pub mod eꟷ { __buffa::oneof::eꟷ::K }", "pub mod e { __buffa::oneof::e::K }"),
            ("EꟷView", "EView"),
        ] {
            assert_eq!(unmarked(code), expected);
        }
    }
}
