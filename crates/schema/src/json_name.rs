//! The names fields have in JSON.

/// `foo_bar` gives `fooBar`.
pub(crate) fn json_name(field_name: &str) -> String {
    let mut name = String::with_capacity(field_name.len());
    name.extend(letters(field_name));
    name
}

/// Whether [`json_name`] gives `name`.
pub(crate) fn is_json_name_of(field_name: &str, name: &str) -> bool {
    letters(field_name).eq(name.chars())
}

fn letters(field_name: &str) -> impl Iterator<Item = char> {
    let mut capitalise = false;
    field_name.chars().filter_map(move |letter| {
        let is_first = std::mem::replace(&mut capitalise, letter == '_');
        (letter != '_').then_some(if is_first { letter.to_ascii_uppercase() } else { letter })
    })
}

#[cfg(test)]
mod tests {
    use super::{is_json_name_of, json_name};

    #[test]
    fn underscores_go_and_the_next_letter_grows() {
        for (field, json) in
            [("foo_bar", "fooBar"), ("_a", "A"), ("FooBar", "FooBar"), ("a__b_", "aB"), ("x1_2y", "x12y")]
        {
            assert_eq!(json_name(field), json);
            assert!(is_json_name_of(field, json) && !is_json_name_of(field, "fooBa"));
        }
    }
}
