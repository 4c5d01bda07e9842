//! The names fields have in JSON.

use buffa_descriptor::generated::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// Gives every field and extension of a file that has no `json_name` the one that follows from its name, as files in
/// descriptor sets and in plugins' requests have it.
pub fn complete_json_names(file: &mut FileDescriptorProto) {
    file.extension.iter_mut().for_each(complete_field);
    file.message_type.iter_mut().for_each(complete_message);
}

fn complete_message(message: &mut DescriptorProto) {
    message.field.iter_mut().chain(&mut message.extension).for_each(complete_field);
    message.nested_type.iter_mut().for_each(complete_message);
}

fn complete_field(field: &mut FieldDescriptorProto) {
    if field.json_name.is_none() {
        field.json_name = Some(json_name(field.name.as_deref().unwrap_or_default()));
    }
}

/// `foo_bar` gives `fooBar`.
pub(crate) fn json_name(field_name: &str) -> String {
    let mut name = String::with_capacity(field_name.len());
    name.extend(letters(field_name));
    name
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
    use super::{complete_json_names, json_name};
    use buffa_descriptor::generated::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

    #[test]
    fn underscores_go_and_the_next_letter_grows() {
        for (field, json) in
            [("foo_bar", "fooBar"), ("_a", "A"), ("FooBar", "FooBar"), ("a__b_", "aB"), ("x1_2y", "x12y")]
        {
            assert_eq!(json_name(field), json);
        }
    }

    #[test]
    fn names_that_are_there_stay() {
        let field = |json: Option<&str>| FieldDescriptorProto {
            name: Some("a_b".into()),
            json_name: json.map(str::to_owned),
            ..Default::default()
        };
        let inner = DescriptorProto { field: vec![field(None), field(Some(""))], ..Default::default() };
        let outer = DescriptorProto { nested_type: vec![inner], extension: vec![field(None)], ..Default::default() };
        let mut file =
            FileDescriptorProto { message_type: vec![outer], extension: vec![field(Some("c"))], ..Default::default() };
        complete_json_names(&mut file);
        let outer = &file.message_type[0];
        let fields = outer.nested_type[0].field.iter().chain(&outer.extension).chain(&file.extension);
        let names: Vec<&str> = fields.filter_map(|field| field.json_name.as_deref()).collect();
        assert_eq!(names, ["aB", "", "aB", "c"]);
    }
}
