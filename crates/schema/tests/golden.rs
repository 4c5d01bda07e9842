//! Descriptor sets, byte for byte those of grpcio-tools 1.85.1: `tests/golden/descriptors` at the root of the
//! repository, where `regenerate.py` writes them anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use buffa::Message;
use buffa_descriptor::generated::descriptor::{FileDescriptorProto, FileDescriptorSet, SourceCodeInfo};
use farcall_schema::{Compiler, SourceError, SourceTree, complete_json_names, wellknown};

struct Folder(PathBuf);

impl SourceTree for Folder {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        match wellknown::find(virtual_path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => std::fs::read(self.0.join(virtual_path)).map_err(|_| SourceError::NotFound),
        }
    }
}

/// The set that holds this file alone.
fn set_of(file: FileDescriptorProto) -> Vec<u8> {
    FileDescriptorSet { file: vec![file], ..Default::default() }.encode_to_vec()
}

fn check(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/descriptors");
    let mut compiler = Compiler::new(Folder(root.join("in")));
    let result = compiler.compile(&[&format!("{name}.proto")]);
    assert!(result.ok, "{:?}", result.diagnostics);
    let mut retained = (**result.files.last().expect("the file itself comes last")).clone();
    complete_json_names(&mut retained);
    retained.source_code_info = compiler.source_info(&format!("{name}.proto"), |_| true).into();
    let with_source_info = (*compiler.strip_source_retention(&Arc::new(retained.clone()))).clone();
    let mut plain = with_source_info.clone();
    plain.source_code_info = Option::<SourceCodeInfo>::None.into();
    for (suffix, file) in [("", plain), (".source_info", with_source_info), (".retained", retained)] {
        let expected = std::fs::read(root.join(format!("out/{name}{suffix}.ds"))).expect("the golden is there");
        assert!(set_of(file) == expected, "{name}{suffix}.ds differs from the golden");
    }
}

macro_rules! goldens {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name));
        }
    )*};
}

goldens! { comments custom editions latest legacy presence }

/// Every file that is carried along compiles, as everything starts from them.
#[test]
fn bundled_files_compile_without_a_word() {
    let mut compiler = Compiler::new(Folder(PathBuf::new()));
    let paths: Vec<&str> = wellknown::FILES.iter().map(|(path, _)| *path).collect();
    let result = compiler.compile(&paths);
    assert!(result.ok);
    assert_eq!(result.diagnostics, []);
    assert_eq!(result.files.len(), wellknown::FILES.len());
}
