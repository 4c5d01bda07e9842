#![no_main]

use std::collections::HashMap;

use farcall_schema::{Compiler, decode_raw};

const SCHEMA: &str = r#"
    syntax = "proto2";
    package p;
    message M {
      optional M m = 1;
      repeated M many = 2;
      optional string s = 3;
      optional bytes b = 4;
      repeated int32 packed = 5 [packed = true];
      repeated sint64 unpacked = 6;
      optional float f = 7;
      optional double d = 8;
      optional E e = 9;
      optional fixed32 x = 10;
      optional sfixed64 y = 11;
      optional bool t = 12;
      map<string, M> by_name = 13;
      map<sint32, E> by_number = 14;
      optional group G = 15 { required int32 a = 1; }
      oneof choice { uint64 u = 16; string v = 17; }
      extensions 100 to max;
    }
    message Set { option message_set_wire_format = true; extensions 4 to max; }
    message Item { extend Set { optional Item item = 4; } optional string s = 1; }
    enum E { ZERO = 0; ONE = 1; MINUS = -1; }
    extend M { repeated M ext = 100; optional Set set = 101; optional string string_ext = 102; }
    "#;

thread_local! {
    static COMPILER: Compiler<HashMap<String, Vec<u8>>> = {
        let files = HashMap::from([("a.proto".to_owned(), SCHEMA.as_bytes().to_vec())]);
        let mut compiler = Compiler::new(files);
        assert!(compiler.compile(&["a.proto"]).ok);
        compiler
    };
}

// Text to a message and back, and any bytes as a message: what was written can be read, and then says the same.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = decode_raw(data);
    COMPILER.with(|compiler| {
        for name in ["p.M", "p.Set", "p.Item"] {
            let encoded = compiler.encode_text(name, data, true).expect("the type is there");
            if let Some(bytes) = encoded.bytes {
                assert!(compiler.decode_to_text(name, &bytes).is_some());
            }
            let Some(text) = compiler.decode_to_text(name, data).expect("the type is there").text else { continue };
            let Some(bytes) = compiler.encode_text(name, text.as_bytes(), true).expect("the type is there").bytes
            else {
                continue;
            };
            if let Some(again) = compiler.decode_to_text(name, &bytes).expect("the type is there").text {
                assert_eq!(again, text);
            }
        }
    });
});
