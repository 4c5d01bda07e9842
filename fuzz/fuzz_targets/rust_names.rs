#![no_main]

#[path = "../../tests/generated/judge.rs"]
mod judge;
#[path = "../../tests/generated/shapes.rs"]
mod shapes;

use farcall_codegen::RustOptions;

// Files whose names and shapes the bytes choose: what is legal becomes Rust that parses and has no name twice.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let files = shapes::files(&mut shapes::Choices::of(data));
    let options = RustOptions { json: true, text: true, views: true, ..RustOptions::default() };
    let Some(generated) = judge::generate(&files, &options) else { return };
    if let Err(error) = generated.and_then(|outputs| judge::judge(&outputs)) {
        panic!("{error}\n{files:#?}");
    }
});
