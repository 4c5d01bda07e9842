//! The names fields have in JSON.

/// `foo_bar` gives `fooBar`.
pub(crate) fn json_name(field_name: &str) -> String {
    let mut name = String::with_capacity(field_name.len());
    let mut capitalise = false;
    for letter in field_name.chars() {
        if letter == '_' {
            capitalise = true;
        } else {
            name.push(if capitalise { letter.to_ascii_uppercase() } else { letter });
            capitalise = false;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::json_name;

    #[test]
    fn underscores_go_and_the_next_letter_grows() {
        for (field, json) in
            [("foo_bar", "fooBar"), ("_a", "A"), ("FooBar", "FooBar"), ("a__b_", "aB"), ("x1_2y", "x12y")]
        {
            assert_eq!(json_name(field), json);
        }
    }
}
