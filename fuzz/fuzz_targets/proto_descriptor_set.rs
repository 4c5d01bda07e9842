#![no_main]

use std::collections::HashMap;

use buffa::DecodeOptions;
use buffa_descriptor::generated::descriptor::FileDescriptorSet;
use farcall_codegen::{Generator, GrpcPython, Pyi, Python, Request, Schema};
use farcall_schema::Compiler;

// What `--descriptor_set_in` takes, which no parser has seen, linked and written as Python.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let options = DecodeOptions::new().with_element_memory_limit(64 << 20);
    let Ok(set) = options.decode_from_slice::<FileDescriptorSet>(data) else { return };
    let names: Vec<String> = set.file.iter().filter_map(|file| file.name.clone()).collect();
    let mut compiler = Compiler::new(HashMap::<String, Vec<u8>>::new());
    for file in set.file {
        compiler.add_descriptor(file);
    }
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    let result = compiler.compile(&paths);
    assert!(result.ok || !result.diagnostics.is_empty());
    if !result.ok {
        return;
    }
    let files: Vec<_> = result.files.iter().map(|file| compiler.strip_source_retention(file)).collect();
    let schema = Schema::new(files.iter().map(AsRef::as_ref));
    let request = Request { schema: &schema, files_to_generate: &names, parameter: "" };
    for generator in [&Python as &dyn Generator, &Pyi, &GrpcPython] {
        let _ = generator.generate(&request);
    }
});
