//! Links in documentation, which `buffa-codegen` writes as if the packages' modules were at the root of a crate.

/// Makes them lead from where they stand. `package` is the proto package of the code.
pub(super) fn relative(code: &str, package: &str) -> String {
    let mut out = String::with_capacity(code.len());
    // The modules around a line, below that of the package: how far they are indented, and their names.
    let mut modules: Vec<(usize, &str)> = Vec::new();
    for line in code.split_inclusive('\n') {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.starts_with("///") && line.contains(ABSOLUTE) {
            let package = package.split('.').filter(|segment| !segment.is_empty());
            let here: Vec<&str> = package.chain(modules.iter().map(|(_, name)| *name)).collect();
            push_relative(&mut out, line, &here);
            continue;
        }
        if text.starts_with('}') {
            modules.retain(|(around, _)| *around < indent);
        } else if let Some(name) = text.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(" {\n")) {
            modules.push((indent, name));
        }
        out.push_str(line);
    }
    out
}

const ABSOLUTE: &str = "](crate::";

fn push_relative(out: &mut String, line: &str, here: &[&str]) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(ABSOLUTE) {
        let (target, behind) = after.split_at(after.find(')').unwrap_or(after.len()));
        let target: Vec<&str> = target.split("::").collect();
        let is_same = |(a, b): &(&&str, &&str)| plain(a) == plain(b);
        let shared = here.iter().zip(&target[..target.len() - 1]).take_while(is_same).count();
        let up = here.len() - shared;
        let start = if up == 0 { vec!["self"] } else { vec!["super"; up] };
        out.push_str(before);
        out.push_str("](");
        out.push_str(&[&start, &target[shared..]].concat().join("::"));
        rest = behind;
    }
    out.push_str(rest);
}

fn plain(segment: &str) -> &str {
    segment.strip_prefix("r#").unwrap_or(segment)
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn links_lead_from_where_they_stand() {
        let code = "/// [x](crate::a::r#type::X), [y](crate::a::c::Y).\npub struct Z {\n    /// [z](crate::a::r#type::z::Z)\n    \
                    pub a: i32,\n}\npub mod z {\n    /// [x](crate::a::r#type::X), [z](crate::a::r#type::z::Z)\n    \
                    pub struct Z {}\n}\n/// [y](https://a.b)\npub mod end {}\n";
        let expected = "/// [x](self::X), [y](super::c::Y).\npub struct Z {\n    /// [z](self::z::Z)\n    \
                    pub a: i32,\n}\npub mod z {\n    /// [x](super::X), [z](self::Z)\n    \
                    pub struct Z {}\n}\n/// [y](https://a.b)\npub mod end {}\n";
        assert_eq!(relative(code, "a.type"), expected);
        assert_eq!(relative("/// [x](crate::X) [y](crate::a::Y)\n", ""), "/// [x](self::X) [y](self::a::Y)\n");
    }
}
