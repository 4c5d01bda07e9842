//! No legal name of a `.proto` makes the Rust generator panic, fail, or write what Rust would not take.
//!
//! Here made-up files are generated, parsed, and looked through for two things of one name (`FARCALL_NAME_SEEDS` says how
//! many); in `tests/generated` the compiler itself judges some of them, and the fuzz target `rust_names` goes on.

#[path = "../../../tests/generated/judge.rs"]
mod judge;
#[path = "../../../tests/generated/shapes.rs"]
mod shapes;

use farcall_codegen::RustOptions;
use judge::{Files, generate, judge};
use shapes::Choices;

fn everything() -> RustOptions {
    RustOptions { json: true, text: true, views: true, ..RustOptions::default() }
}

/// The legal ones among the files of these seeds, generated and judged.
fn judge_seeds(seeds: std::ops::Range<u64>, options: &RustOptions) -> usize {
    let mut legal = 0;
    for seed in seeds {
        let files = shapes::files(&mut Choices::seeded(seed));
        let Some(generated) = generate(&files, options) else { continue };
        legal += 1;
        let verdict = generated.and_then(|outputs| judge(&outputs));
        if let Err(error) = verdict {
            let text: String = files.iter().map(|(name, text)| format!("// {name}\n{text}\n")).collect();
            panic!("seed {seed}: {error}\n{text}");
        }
    }
    legal
}

#[test]
fn made_up_names_become_names_that_rust_takes() {
    let seeds = std::env::var("FARCALL_NAME_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40);
    let legal = judge_seeds(0..seeds, &everything());
    assert!(legal as u64 * 2 > seeds, "{legal} of {seeds} files were legal");
    judge_seeds(seeds..seeds + seeds / 4, &RustOptions::default());
}

/// What once made the generator panic, fail or write nonsense.
#[test]
fn names_of_every_kind_are_taken() {
    let message = "message M {} ";
    for text in [
        "message M { oneof o { int32 _1 = 1; } }",
        "message M { oneof _2fa { int32 a = 1; } }",
        "message M { oneof _ { int32 a = 1; } }",
        "message M { oneof o { int32 __ = 1; int32 _ = 2; int32 self = 3; } }",
        "message M { oneof a_b { int32 a = 1; } oneof a__b { int32 b = 2; } oneof self { int32 c = 3; } }",
        "message M { optional int32 SELF = 1; optional int32 self = 2; optional int32 self_ = 3; optional int32 Self = 4; }",
        "message M { optional int32 fooBar = 1; optional int32 foo_bar_f1 = 2; } message N { optional int32 fooBar = 1; optional int32 foo_bar = 2; }",
        "enum E { _ = 0; } message M { optional E e = 1 [default = _]; }",
        "enum E { self = 0; self_value = 1; crate = 3; super = 4; UNDERSCORE = 5; _ = 6; }",
        "enum E { Self = 0; } enum F { SELF_X = 0; super_value = 1; super = 2; }",
        "enum E { from_i32 = 0; values = 1; to_i32 = 2; proto_name = 3; default = 4; }",
        &format!("{message} service _1 {{ rpc A(M) returns (M); }} service _ {{ rpc B(M) returns (M); }}"),
        &format!(
            "{message} service S {{ rpc _1(stream M) returns (stream M); rpc _(M) returns (M); rpc __(M) returns (M); }}"
        ),
        &format!("{message} service T {{ rpc U(M) returns (M); }} service U {{ rpc T(M) returns (stream M); }}"),
        &format!(
            "{message} service S {{ rpc self(M) returns (M); rpc self_(M) returns (M); rpc Self(M) returns (M); }}"
        ),
        &format!(
            "{message} service S {{ rpc new(M) returns (M); rpc New(M) returns (M); rpc connect(M) returns (M); }}"
        ),
        &format!(
            "{message} service Foo {{ }} service foo {{ }} service FOO {{ }} service Foo2 {{ }} service foo_ {{ }}"
        ),
        &format!("package _; {message} service S {{ rpc A(M) returns (M); }}"),
        &format!("package crate.x; {message} service S {{ rpc A(M) returns (M); }}"),
        &format!("package super.self.Self; {message} service S {{ rpc A(M) returns (M); }}"),
        &format!("package a.__buffa.b; {message} service S {{ rpc A(M) returns (M); }}"),
        &format!("package mod; {message}"),
        "message oneof { message A { optional oneof a = 1; oneof oneof { int32 b = 2; } } oneof c { A d = 1; } }",
        "message A { optional int32 __buffa_unknown_fields = 1; oneof __buffa_x { int32 __buffa_y = 2; } }",
    ] {
        let files = vec![("a.proto".to_owned(), format!("syntax = \"proto2\";\n{text}\n"))];
        for options in [everything(), RustOptions::default()] {
            let generated = generate(&files, &options).unwrap_or_else(|| panic!("not legal: {text}"));
            if let Err(error) = generated.and_then(|outputs| judge(&outputs)) {
                panic!("{error}: {text}");
            }
        }
    }
}

#[test]
fn a_message_gives_way_to_a_package() {
    let files = vec![
        ("a.proto".to_owned(), "syntax = \"proto3\"; package a; message C { message N {} N n = 1; }".to_owned()),
        ("b.proto".to_owned(), "syntax = \"proto3\"; package a.c; message D {}".to_owned()),
        ("c.proto".to_owned(), "syntax = \"proto3\"; package a.Foo; message D {}".to_owned()),
        (
            "d.proto".to_owned(),
            "syntax = \"proto3\"; package a; message foo {} service S { rpc A(C) returns (foo); }".to_owned(),
        ),
        ("e.proto".to_owned(), "syntax = \"proto3\"; package a.s_client; message D {}".to_owned()),
        ("f.proto".to_owned(), "syntax = \"proto3\"; message D {}".to_owned()),
        ("g.proto".to_owned(), "syntax = \"proto3\"; package _; message D {}".to_owned()),
    ];
    let files: Files = files.into_iter().map(|(name, text)| (name.clone(), text)).collect();
    let mut files = files;
    files[3].1 = files[3].1.replace("package a;", "package a; import \"a.proto\";");
    let outputs = generate(&files, &everything()).expect("legal files").expect("generated code");
    judge(&outputs).expect("code that Rust takes");
}

#[test]
fn an_extension_beyond_what_a_tag_holds_is_left_out_and_said_so() {
    let text = "syntax = \"proto2\"; message Set { option message_set_wire_format = true; extensions 4 to max; }
        message M { extend Set { optional M far = 2147483646; optional M near = 5; } }";
    let files = vec![("a.proto".to_owned(), text.to_owned())];
    let outputs = generate(&files, &everything()).expect("a legal file").expect("generated code");
    judge(&outputs).expect("code that Rust takes");
    let code = &outputs.iter().find(|output| output.name == "_.rs").expect("a file").content;
    assert!(code.contains("// Left out: extension `M.far`"), "{code}");
    assert!(code.contains("pub const NEAR") && !code.contains("pub const FAR"));
}
