//! Files that would make the text grow without bound.

use buffa_descriptor::generated::descriptor::FileDescriptorProto;
use farcall_codegen::{Generator, Python, Request, Schema};

fn file(name: String, public: &[String]) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name),
        dependency: public.to_vec(),
        public_dependency: (0..).take(public.len()).collect(),
        ..FileDescriptorProto::default()
    }
}

/// `levels` pairs of files, each file importing both of the next pair publicly; what `top` imports leads to
/// 2 + 4 + .. + 2^levels aliases.
fn branching(levels: usize) -> Vec<FileDescriptorProto> {
    let pair = |level: usize| [format!("l{level}.proto"), format!("r{level}.proto")];
    let mut files = Vec::new();
    for level in (0..=levels).rev() {
        let next = if level == levels { Vec::new() } else { pair(level + 1).to_vec() };
        files.extend(pair(level).map(|name| file(name, &next)));
    }
    files.push(FileDescriptorProto {
        name: Some("top.proto".into()),
        dependency: vec!["l0.proto".into()],
        ..FileDescriptorProto::default()
    });
    files
}

fn generate(files: &[FileDescriptorProto]) -> Result<usize, String> {
    let schema = Schema::new(files);
    let request = Request { schema: &schema, files_to_generate: &["top.proto".into()], parameter: "" };
    Python.generate(&request).map(|outputs| outputs[0].content.matches("except AttributeError").count())
}

#[test]
fn public_imports_that_keep_branching_are_cut_off() {
    // 2 + 4 + .. + 2^15 = 65,534 stays under the limit of 100,000; one level more does not.
    assert_eq!(generate(&branching(15)), Ok(65_534));
    assert_eq!(generate(&branching(16)), Err("top.proto: Public imports lead to more than 100000 modules.".to_owned()));
    assert!(generate(&branching(60)).is_err());
}
