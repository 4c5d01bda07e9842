//! `--descriptor_set_in`: sets are taken as they are, and held to the rules that text is held to, in protoc's words.
//!
//! What is expected here was said by grpcio-tools 1.85.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use buffa::{Message, UnknownField, UnknownFieldData};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::source_code_info::Location;
use buffa_descriptor::generated::descriptor::uninterpreted_option::NamePart;
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, Edition, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto, SourceCodeInfo,
    UninterpretedOption,
};

/// A fresh directory with an empty `out`.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sets-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("out")).expect("a directory");
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).expect("a written file");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farcall-protoc"));
        command.args(arguments).current_dir(&self.0).output().expect("the command")
    }

    fn succeeds(&self, arguments: &[&str], expected: &str) {
        let output = self.run(arguments);
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }

    /// What comes of `x.proto` in these files: what is said, or the set that is written.
    fn takes(&self, files: Vec<FileDescriptorProto>) -> Result<FileDescriptorProto, String> {
        self.write("s.pb", FileDescriptorSet { file: files, ..Default::default() }.encode_to_vec());
        let _ = fs::remove_file(self.0.join("out/set.pb"));
        let arguments = ["--descriptor_set_in=s.pb", "--python_out=out", "--pyi_out=out", "--include_source_info"];
        let output = self.run(&[&arguments[..], &["-oout/set.pb", "x.proto"]].concat());
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(0) {
            assert!(!self.0.join("out/set.pb").exists());
            return Err(words);
        }
        assert_eq!(words, "");
        let set = FileDescriptorSet::decode_from_slice(&self.read("out/set.pb")).expect("a set");
        Ok(set.file.into_iter().next().expect("a file"))
    }
}

fn name(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// `x.proto` of package `p` with what `change` puts in.
fn file(change: impl FnOnce(&mut FileDescriptorProto)) -> FileDescriptorProto {
    let mut file = FileDescriptorProto { name: name("x.proto"), package: name("p"), ..Default::default() };
    change(&mut file);
    file
}

fn message(fields: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto { name: name("M"), field: fields, ..Default::default() }
}

fn field(change: impl FnOnce(&mut FieldDescriptorProto)) -> FieldDescriptorProto {
    let mut field = FieldDescriptorProto {
        name: name("a"),
        number: Some(1),
        label: Some(Label::LABEL_OPTIONAL),
        r#type: Some(Type::TYPE_INT32),
        ..Default::default()
    };
    change(&mut field);
    field
}

/// A file with a message with a field.
fn with_field(change: impl FnOnce(&mut FieldDescriptorProto)) -> FileDescriptorProto {
    file(|file| file.message_type = vec![message(vec![field(change)])])
}

fn with_default(r#type: Type, default: &str) -> FileDescriptorProto {
    with_field(|field| {
        field.r#type = Some(r#type);
        field.default_value = name(default);
    })
}

fn oneof(text: &str) -> OneofDescriptorProto {
    OneofDescriptorProto { name: name(text), ..Default::default() }
}

/// A proto3 file with oneofs and with fields in them, the first of them `optional`.
fn optional(oneofs: &[&str], members: &[i32]) -> FileDescriptorProto {
    let fields = members.iter().zip(1..).map(|(&index, number)| {
        field(|field| {
            field.name = Some(format!("f{number}"));
            field.number = Some(number);
            field.oneof_index = (index >= 0).then_some(index);
            field.proto3_optional = (number == 1).then_some(true);
        })
    });
    let mut message = message(fields.collect());
    message.oneof_decl = oneofs.iter().copied().map(oneof).collect();
    file(|file| {
        file.syntax = name("proto3");
        file.message_type = vec![message];
    })
}

fn uninterpreted(parts: &[&str]) -> FileDescriptorProto {
    let part = |text: &&str| NamePart { name_part: (*text).to_owned(), is_extension: false, ..Default::default() };
    let option = UninterpretedOption {
        name: parts.iter().map(part).collect(),
        string_value: Some(b"x".to_vec()),
        ..Default::default()
    };
    file(|file| file.options.get_or_insert_default().uninterpreted_option = vec![option])
}

#[test]
fn what_text_cannot_say_is_refused() {
    let place = Place::new("refused");
    let missing = "x.proto: Missing name.\n";
    let lonely = "x.proto: Fields with proto3_optional set must be a member of a one-field oneof\n";
    let unnamed = |change: fn(&mut FileDescriptorProto)| (file(change), missing.to_owned());
    let default = |r#type, text: &str| {
        (with_default(r#type, text), format!("x.proto: Couldn't parse default value \"{text}\".\n"))
    };
    let escape =
        |text| (with_default(Type::TYPE_BYTES, text), "x.proto: Invalid escaping in default value.\n".to_owned());
    let identifier = |text: &str| {
        let file = with_field(|field| field.name = name(text));
        (file, format!("x.proto: \"{text}\" is not a valid identifier.\n"))
    };
    let index = |kind: &str, index: i32| {
        let file = file(|file| {
            file.dependency = vec!["y.proto".into()];
            match kind {
                "public" => file.public_dependency = vec![index],
                _ => file.weak_dependency = vec![index],
            }
        });
        (file, format!("x.proto: Invalid {kind} dependency index.\n"))
    };
    let cases = [
        default(Type::TYPE_INT32, "abc"),
        default(Type::TYPE_INT32, ""),
        default(Type::TYPE_INT64, "12x"),
        default(Type::TYPE_UINT64, "x"),
        default(Type::TYPE_FLOAT, "1.5f"),
        default(Type::TYPE_DOUBLE, ""),
        escape("\\"),
        escape("\\q"),
        escape("\\x"),
        escape("\\400"),
        (
            with_field(|field| {
                field.r#type = Some(Type::TYPE_MESSAGE);
                field.type_name = name(".p.M");
                field.default_value = name("x");
            }),
            "x.proto: Messages can't have default values.\n".to_owned(),
        ),
        unnamed(|file| file.message_type.push(DescriptorProto::default())),
        unnamed(|file| file.message_type.push(message(vec![field(|field| field.name = None)]))),
        unnamed(|file| {
            let mut unnamed = message(vec![field(|field| field.oneof_index = Some(0))]);
            unnamed.oneof_decl = vec![OneofDescriptorProto::default()];
            file.message_type.push(unnamed);
        }),
        unnamed(|file| {
            let value = EnumValueDescriptorProto { name: name("A"), number: Some(0), ..Default::default() };
            file.enum_type.push(EnumDescriptorProto { value: vec![value], ..Default::default() });
        }),
        unnamed(|file| {
            let value = EnumValueDescriptorProto { number: Some(0), ..Default::default() };
            file.enum_type.push(EnumDescriptorProto { name: name("E"), value: vec![value], ..Default::default() });
        }),
        unnamed(|file| file.service.push(ServiceDescriptorProto::default())),
        unnamed(|file| {
            let method = MethodDescriptorProto {
                input_type: name(".p.M"),
                output_type: name(".p.M"),
                ..MethodDescriptorProto::default()
            };
            file.message_type.push(message(Vec::new()));
            file.service.push(ServiceDescriptorProto {
                name: name("S"),
                method: vec![method],
                ..ServiceDescriptorProto::default()
            });
        }),
        unnamed(|file| file.package = name("a..b")),
        unnamed(|file| file.package = name(".a")),
        unnamed(|file| file.package = name("a.")),
        identifier("a b"),
        identifier("a.b"),
        identifier("\u{e4}"),
        (
            with_field(|field| field.name = name("a\0b")),
            "x.proto: \"a\0b\" is not a valid identifier.\nx.proto: \"p.M.a\0b\" contains null character.\n".to_owned(),
        ),
        index("public", 1),
        index("public", -1),
        index("weak", 1),
        (uninterpreted(&[]), "x.proto: Option must have a name.\n".to_owned()),
        (optional(&[], &[-1]), lonely.to_owned()),
        (optional(&["_a"], &[0, 0]), lonely.to_owned()),
        (optional(&["_a", "b"], &[0, 1]), "x.proto: Synthetic oneofs must be after all other oneofs\n".to_owned()),
        (
            with_field(|field| field.proto3_optional = Some(true)),
            format!("x.proto: The [proto3_optional=true] option may only be set on proto3fields, not p.M.a\n{lonely}"),
        ),
        (
            with_field(|field| field.extendee = name(".p.M")),
            "x.proto: FieldDescriptorProto.extendee set for non-extension field.\n".to_owned(),
        ),
        (
            file(|file| file.extension = vec![field(|_| ())]),
            "x.proto: FieldDescriptorProto.extendee not set for extension field.\n".to_owned(),
        ),
        (
            file(|file| file.syntax = name("proto9")),
            "x.proto: Unrecognized syntax: proto9\nx.proto: Edition UNKNOWN is earlier than the minimum supported edition \
             PROTO2\n"
                .to_owned(),
        ),
    ];
    let imported = FileDescriptorProto { name: name("y.proto"), ..Default::default() };
    for (file, expected) in cases {
        let shown = format!("{file:?}");
        assert_eq!(place.takes(vec![file, imported.clone()]).err().as_deref(), Some(expected.as_str()), "{shown}");
    }
}

#[test]
fn what_is_left_open_is_filled_in() {
    let place = Place::new("filled");
    let taken = |file| place.takes(vec![file]).expect("a file").message_type[0].field[0].clone();
    for (r#type, text, expected) in [
        (Type::TYPE_INT32, "99999999999", "1215752191"),
        (Type::TYPE_INT32, "-0x80000000", "-2147483648"),
        (Type::TYPE_INT32, "010", "8"),
        (Type::TYPE_UINT32, "-1", "4294967295"),
        (Type::TYPE_UINT64, "18446744073709551616", "18446744073709551615"),
        (Type::TYPE_DOUBLE, "0x10", "16"),
        (Type::TYPE_FLOAT, "1e999", "inf"),
        (Type::TYPE_BYTES, "\\u00e4", "\\303\\244"),
        (Type::TYPE_STRING, "\\", "\\"),
    ] {
        assert_eq!(taken(with_default(r#type, text)).default_value.as_deref(), Some(expected), "{text}");
    }
    let open = taken(with_field(|field| (field.r#type, field.label) = (None, None)));
    assert_eq!((open.r#type, open.label), (Some(Type::TYPE_DOUBLE), Some(Label::LABEL_OPTIONAL)));
    assert!(String::from_utf8_lossy(&place.read("out/x_pb2.pyi")).contains("    a: float\n"));

    let edition = with_field(|_| ());
    let edition = FileDescriptorProto { edition: Some(Edition::EDITION_2023), ..edition };
    assert_eq!(place.takes(vec![edition]).expect("a file").syntax.as_deref(), Some("editions"));
    let empty = FileDescriptorProto { syntax: name(""), package: name(""), ..with_field(|_| ()) };
    let taken = place.takes(vec![empty]).expect("a file");
    assert_eq!((taken.syntax, taken.package), (None, None));
}

#[test]
fn source_information_is_passed_on_as_it_is() {
    let place = Place::new("info");
    let spans = [&[][..], &[1], &[1, 2], &[1, 2, 3], &[1, 2, 3, 4, 5]];
    let location = |span: &&[i32]| Location { path: vec![4, 0], span: span.to_vec(), ..Default::default() };
    let info = SourceCodeInfo { location: spans.iter().map(location).collect(), ..Default::default() };
    let file = FileDescriptorProto { source_code_info: Some(info.clone()).into(), ..with_field(|_| ()) };
    assert_eq!(place.takes(vec![file]).expect("a file").source_code_info.as_option(), Some(&info));
}

#[test]
fn fields_that_no_descriptor_has_are_dropped() {
    let place = Place::new("unknown");
    let unknown = UnknownField { number: 8042, data: UnknownFieldData::Varint(1) };
    let mut file = with_field(|field| field.__buffa_unknown_fields.push(unknown.clone()));
    place.takes(vec![with_field(|_| ())]).expect("a file");
    let plain = place.read("out/x_pb2.py");
    file.message_type[0].__buffa_unknown_fields.push(unknown.clone());
    file.__buffa_unknown_fields.push(unknown.clone());
    let taken = place.takes(vec![file.clone()]).expect("a file");
    assert!(taken.__buffa_unknown_fields.is_empty() && taken.message_type[0].__buffa_unknown_fields.is_empty());
    assert_eq!(place.read("out/x_pb2.py"), plain);
    // Those of options are extensions.
    file.options.get_or_insert_default().__buffa_unknown_fields.push(unknown);
    let taken = place.takes(vec![file]).expect("a file");
    assert_eq!(taken.options.as_option().map(|options| options.__buffa_unknown_fields.len()), Some(1));
}

const OPTION: &str = "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\"; \
                      extend google.protobuf.FieldOptions { string o = 50000; }";
const USES: &str = "syntax = \"proto3\"; import \"opt.proto\"; message M { int32 a_b = 1 [(o) = \"x\"]; }";
const IDLE: &str = "syntax = \"proto3\"; import \"opt.proto\"; message I {}";

#[test]
fn imports_for_options_are_used() {
    let place = Place::new("imports");
    for (name, text) in [("opt.proto", OPTION), ("uses.proto", USES), ("idle.proto", IDLE)] {
        place.write(name, text);
    }
    let warning = "idle.proto:1:20: warning: Import opt.proto is unused.\n";
    place.succeeds(&["-I.", "-os.pb", "--include_imports", "uses.proto", "idle.proto"], warning);
    place.succeeds(&["--descriptor_set_in=s.pb", "--fatal_warnings", "--python_out=out", "uses.proto"], "");
    place.succeeds(&["-Iout", "--descriptor_set_in=s.pb", "--fatal_warnings", "--python_out=out", "uses.proto"], "");
    // Where there is a search path, imports that no one needs matter.
    let warning = "idle.proto: warning: Import opt.proto is unused.\n";
    place.succeeds(&["-Iout", "--descriptor_set_in=s.pb", "--python_out=out", "idle.proto"], warning);
    place.succeeds(&["--descriptor_set_in=s.pb", "--fatal_warnings", "--python_out=out", "idle.proto"], "");
}

#[test]
fn json_names_are_as_the_set_has_them() {
    let place = Place::new("json");
    place.write("a.proto", "syntax = \"proto3\"; message M { int32 a_b = 1; int32 c = 2 [json_name = \"d\"]; }");
    place.succeeds(&["-I.", "--python_out=out", "-oplain.pb", "a.proto"], "");
    let holds = |text: &str| String::from_utf8_lossy(&place.read("out/a_pb2.py")).contains(text);
    assert!(!holds("R\\x02\\x61\\x42") && holds("R\\x01\\x64"));
    place.succeeds(&["-I.", "-oinfo.pb", "--include_source_info", "a.proto"], "");
    for set in ["plain.pb", "info.pb"] {
        place.succeeds(&[&format!("--descriptor_set_in={set}"), "--python_out=out", "-oagain.pb", "a.proto"], "");
        assert!(holds("R\\x02\\x61\\x42") && holds("R\\x01\\x64"), "{set}");
        assert_eq!(place.read("again.pb"), place.read("plain.pb"));
    }
    // A set from elsewhere may have none.
    let bare = with_field(|field| field.name = name("a_b"));
    let taken = place.takes(vec![bare]).expect("a file");
    assert_eq!(taken.message_type[0].field[0].json_name.as_deref(), Some("aB"));
    assert!(!String::from_utf8_lossy(&place.read("out/x_pb2.py")).contains("R\\x02"));
}

#[test]
fn a_file_that_is_not_in_the_set_is_named() {
    let place = Place::new("absent");
    let file = with_field(|_| ());
    place.write("s.pb", FileDescriptorSet { file: vec![file], ..Default::default() }.encode_to_vec());
    let output = place.run(&["--descriptor_set_in=s.pb", "--python_out=out", "nope.proto"]);
    let expected = "Could not find file in descriptor database: nope.proto: No such file or directory\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_file_of_the_set_comes_before_the_one_built_in() {
    let place = Place::new("bundled");
    let empty = FileDescriptorProto { name: name("google/protobuf/empty.proto"), ..Default::default() };
    let file = file(|file| file.dependency = vec!["google/protobuf/empty.proto".into()]);
    place.write("s.pb", FileDescriptorSet { file: vec![empty, file], ..Default::default() }.encode_to_vec());
    place.succeeds(&["--descriptor_set_in=s.pb", "-oout/set.pb", "--include_imports", "x.proto"], "");
    let set = FileDescriptorSet::decode_from_slice(&place.read("out/set.pb")).expect("a set");
    assert!(set.file[0].message_type.is_empty(), "{:?}", set.file[0]);
}

#[test]
fn an_import_that_is_not_in_the_set_is_missed_where_it_is_imported() {
    let place = Place::new("missing");
    let file = file(|file| file.dependency = vec!["y.proto".into()]);
    let missing = "x.proto: Import \"y.proto\" was not found or had errors.\n";
    assert_eq!(place.takes(vec![file]).err().as_deref(), Some(missing));
    // Where there is a search path, it was looked for.
    let output = place.run(&["-I.", "--descriptor_set_in=s.pb", "--python_out=out", "x.proto"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("y.proto: File not found.\n{missing}"));
}
