//! Writes the descriptor set of some files: `descriptor_set OUT [--source_info] [--retain] -I ROOT… FILE…`.
//!
//! For comparing with other compilers by hand; the real command is `farcall-protoc`.

use std::sync::Arc;

use buffa::Message;
use buffa_descriptor::generated::descriptor::FileDescriptorSet;
use farcall_schema::{Compiler, SourceError, SourceTree};

struct Roots(Vec<String>);

impl SourceTree for Roots {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        let mut candidates = self.0.iter().map(|root| format!("{root}/{virtual_path}"));
        match candidates.find_map(|path| std::fs::read(path).ok()) {
            Some(text) => Ok(text),
            None => match farcall_schema::wellknown::find(virtual_path) {
                Some(text) => Ok(text.as_bytes().to_vec()),
                None => Err(SourceError::NotFound),
            },
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().expect("where to write");
    let (mut roots, mut files, mut source_info, mut retain) = (Vec::new(), Vec::new(), false, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--source_info" => source_info = true,
            "--retain" => retain = true,
            "-I" => roots.extend(arguments.next()),
            _ => files.push(argument),
        }
    }
    let mut compiler = Compiler::new(Roots(roots));
    let paths: Vec<&str> = files.iter().map(String::as_str).collect();
    let result = compiler.compile(&paths);
    for diagnostic in &result.diagnostics {
        eprintln!("{diagnostic}");
    }
    if !result.ok {
        std::process::exit(1);
    }
    let mut set = FileDescriptorSet::default();
    for file in &result.files {
        let mut file = file.clone();
        if source_info {
            let info = file.name.as_deref().and_then(|name| compiler.source_info(name, |_| true));
            Arc::make_mut(&mut file).source_code_info = info.into();
        }
        let file = if retain { file } else { compiler.strip_source_retention(&file) };
        let mut file = Arc::unwrap_or_clone(file);
        farcall_schema::complete_json_names(&mut file);
        set.file.push(file);
    }
    std::fs::write(out, set.encode_to_vec()).expect("the output can be written");
}
