#![no_main]

#[path = "../../tests/generated/judge.rs"]
mod judge;
#[path = "../../tests/generated/shapes.rs"]
mod shapes;

use farcall_codegen::RustOptions;

// Files whose names and shapes the bytes choose: what is legal becomes Rust that parses and has no name twice.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Most of the time goes into parsing what is generated, so seldom is all of it.
    let (first, data) = data.split_first().unwrap_or((&0, &[]));
    let wants = |what: u8| [what, 7].contains(&(first & 7));
    let options = RustOptions { json: wants(1), text: wants(2), views: wants(3), ..RustOptions::default() };
    let files = shapes::files(&mut shapes::Choices::of(data));
    let Some(generated) = judge::generate(&files, &options) else { return };
    if let Err(error) = generated.and_then(|outputs| judge::judge(&outputs)) {
        panic!("{error}\n{files:#?}");
    }
});
