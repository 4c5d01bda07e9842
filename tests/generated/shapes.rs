//! Made-up `.proto` files whose names are hard on Rust: keywords, names of its prelude, names that generated code uses,
//! names that differ in case or underscores only, in packages of any shape.
//!
//! What is made is legal but now and then: `farcall-schema` says when.
// Of those who include this, each uses a part.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::fmt::Write;

/// Where choices come from, and how many things may be made of them.
pub(crate) struct Choices<'a> {
    source: Source<'a>,
    /// Enums, messages, fields, extensions, services and methods.
    things: usize,
}

enum Source<'a> {
    /// Numbers that follow from a seed.
    State(u64),
    /// Bytes of a fuzzer; the smallest choice when there are no more.
    Bytes(&'a [u8]),
}

impl<'a> Choices<'a> {
    /// From a seed: up to forty things.
    pub(crate) fn seeded(seed: u64) -> Self {
        let state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
        Self { source: Source::State(state), things: 40 }
    }

    /// From bytes: up to eight things, for a fuzzer finds more in many small files than in a few large ones.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { source: Source::Bytes(bytes), things: 8 }
    }

    /// A number below `end`, which is at least 1.
    fn below(&mut self, end: usize) -> usize {
        let choice = match &mut self.source {
            Source::Bytes(bytes) => match bytes.split_first() {
                Some((&first, rest)) => {
                    *bytes = rest;
                    usize::from(first)
                }
                None => 0,
            },
            Source::State(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                usize::try_from(*state >> 33).unwrap_or_default()
            }
        };
        choice % end
    }

    /// As [`below`](Self::below), of things to make: 0 when there are enough.
    fn things(&mut self, end: usize) -> usize {
        let count = self.below(end).min(self.things);
        self.things -= count;
        count
    }

    /// As [`one_in`](Self::one_in), of one more thing.
    fn one_more_in(&mut self, end: usize) -> bool {
        let more = self.below(end) == end - 1 && self.things > 0;
        self.things -= usize::from(more);
        more
    }

    fn one_in(&mut self, end: usize) -> bool {
        self.below(end) == 0
    }

    fn of_list(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }
}

/// Names of all kinds. No two differ in their kind of trouble by much; what matters is that they meet.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    // Keywords, and those that Rust lets nobody escape.
    "self", "Self", "super", "crate", "SELF", "type", "as", "async", "await", "dyn", "gen", "box", "macro", "fn", "mod", "pub",
    "static", "extern", "union", "default", "auto", "raw", "in", "where", "impl", "try", "yield", "priv", "unsafe", "match",
    "self_", "Self_", "super_", "crate_", "type_",
    // Hardly names.
    "_", "__", "___", "_1", "__1", "_2fa", "_a", "a_", "a__b", "a_b", "aB", "A_B", "AB", "ab", "Ab", "a1", "a_1", "A1", "x", "X",
    "x_", "x_1", "X1", "x1", "underscore", "UNDERSCORE", "ABc", "a_f1", "aB_f1",
    // Letters, which generic parameters are called.
    "A", "B", "C", "D", "E", "S", "T", "U", "V", "a", "b", "c", "d", "e", "k", "t", "v",
    // Rust's own.
    "Option", "Some", "None", "Vec", "String", "Box", "Result", "Ok", "Err", "Into", "From", "Default", "Clone", "Copy", "Send",
    "Sync", "Iterator", "ToString", "Drop", "Fn", "PartialEq", "Debug", "Hash", "Sized", "ToOwned", "AsRef", "TryFrom", "u8",
    "i32", "str", "bool", "f64", "usize", "char", "u128", "std", "core", "alloc", "test", "main", "derive", "allow",
    // The libraries'.
    "buffa", "buffa_types", "farcall", "serde", "bytes", "tokio", "google", "Message", "MessageField", "EnumValue",
    "UnknownFields", "Enumeration", "ViewEncode", "MessageView", "Status", "Request", "Response", "Streaming", "Channel",
    // Those of generated code.
    "__buffa", "__buffa_unknown_fields", "__buffa_cached_size", "Buffa", "view", "oneof", "ext", "register_types", "lazy_view",
    "cached_size", "merge", "encode", "compute_size", "write_to", "clear", "default_instance", "new", "connect", "from_arc",
    "name", "call", "inner", "channel", "request", "NAME", "SERVICE_NAME", "FULL_NAME", "TYPE_URL", "PACKAGE", "values",
    "from_i32", "to_i32", "proto_name", "with_x", "with_a", "buf", "tag", "ctx", "value", "key", "size", "len", "map", "Kind",
    "kind", "Value", "state", "depth", "registry", "mod_", "_includes", "cache", "_cache", "__cache", "Foo", "foo", "FOO", "FooView",
    "FooOwned", "FooOwnedView", "FooLazy", "FooClient", "FooServer", "foo_client", "foo_server", "Foo_", "fOO", "Foo2", "foo2",
    "HTTPServer", "HttpServer", "http_server", "httpServer", "HTTPServerEntry", "FooEntry", "FooStream", "SelfStream", "__FOO_JSON_ANY",
];

/// What is made.
pub(crate) struct Shapes<'a, 'b> {
    choices: &'a mut Choices<'b>,
    /// Full names of everything, without a dot in front.
    taken: BTreeSet<String>,
    /// What may be referred to, with a dot in front.
    messages: Vec<String>,
    /// The same with a value of each.
    enums: Vec<(String, String)>,
    /// What has extension ranges.
    extendable: Vec<String>,
    proto3: bool,
}

/// A few files, by name. Later ones import all before them.
pub(crate) fn files(choices: &mut Choices<'_>) -> Vec<(String, String)> {
    let mut shapes = Shapes {
        choices,
        taken: BTreeSet::new(),
        messages: Vec::new(),
        enums: Vec::new(),
        extendable: Vec::new(),
        proto3: false,
    };
    let count = 1 + shapes.choices.things(4);
    let mut files: Vec<(String, String)> = Vec::new();
    let mut packages: Vec<String> = Vec::new();
    for index in 0..count {
        let package = shapes.package(&packages);
        let imports: String = files.iter().map(|(name, _)| format!("import \"{name}\";\n")).collect();
        let text = shapes.file(&package, &imports);
        packages.push(package);
        files.push((format!("f{index}.proto"), text));
    }
    files
}

impl Shapes<'_, '_> {
    fn word(&mut self) -> String {
        let word = self.choices.of_list(WORDS);
        match self.choices.below(12) {
            0 => format!("{word}{}", self.choices.below(3)),
            1 => format!("_{word}"),
            2 => format!("{word}_"),
            3 => format!("{word}_{}", self.choices.of_list(WORDS)),
            _ => word.to_owned(),
        }
    }

    /// A name that is free in `scope`, and takes it.
    fn name_in(&mut self, scope: &str) -> String {
        let word = self.word();
        let mut name = word.clone();
        let mut number = 0;
        while !self.taken.insert(if scope.is_empty() { name.clone() } else { format!("{scope}.{name}") }) {
            name = format!("{word}{number}");
            number += 1;
        }
        name
    }

    /// A package of its own, another's, or one below another's; perhaps none.
    fn package(&mut self, others: &[String]) -> String {
        let mut package = match self.choices.below(4) {
            0 => String::new(),
            1 if !others.is_empty() => return others[self.choices.below(others.len())].clone(),
            2 if !others.is_empty() => others[self.choices.below(others.len())].clone(),
            _ => String::new(),
        };
        for _ in 0..self.choices.below(4) {
            // Beside a message, or what would be the module of one, more often than chance would have it.
            let mut word = match self.messages.is_empty() || self.choices.one_in(2) {
                true => self.word(),
                false => {
                    let message = &self.messages[self.choices.below(self.messages.len())];
                    message.rsplit('.').next().unwrap_or_default().to_lowercase()
                }
            };
            while self.is_type(&package, &word) {
                word.push('x');
            }
            package = if package.is_empty() { word } else { format!("{package}.{word}") };
            self.taken.insert(package.clone());
        }
        package
    }

    fn is_type(&self, scope: &str, word: &str) -> bool {
        let full = if scope.is_empty() { word.to_owned() } else { format!("{scope}.{word}") };
        let dotted = format!(".{full}");
        self.messages.contains(&dotted) || self.taken.contains(&full)
    }

    fn file(&mut self, package: &str, imports: &str) -> String {
        self.proto3 = self.choices.one_in(2);
        let mut out = format!("syntax = \"proto{}\";\n", if self.proto3 { 3 } else { 2 });
        if !package.is_empty() {
            push(&mut out, format_args!("package {package};\n"));
        }
        out.push_str(imports);
        for _ in 0..self.choices.things(3) {
            self.enumeration(package, &mut out);
        }
        for _ in 0..1 + self.choices.things(4) {
            self.message(package, 0, &mut out);
        }
        if !self.proto3 {
            self.extensions(package, &mut out);
        }
        for _ in 0..self.choices.things(3) {
            self.service(package, &mut out);
        }
        out
    }

    fn enumeration(&mut self, scope: &str, out: &mut String) {
        let name = self.name_in(scope);
        push(out, format_args!("enum {name} {{\n"));
        let mut any = String::new();
        for number in 0..1 + self.choices.things(4) {
            any = self.name_in(scope);
            push(out, format_args!("  {any} = {number};\n"));
        }
        out.push_str("}\n");
        let full = if scope.is_empty() { format!(".{name}") } else { format!(".{scope}.{name}") };
        // A closed enum is none for proto3.
        if !self.proto3 {
            self.enums.push((full, any));
        }
    }

    fn message(&mut self, scope: &str, depth: usize, out: &mut String) {
        let name = self.name_in(scope);
        let inside = if scope.is_empty() { name.clone() } else { format!("{scope}.{name}") };
        push(out, format_args!("message {name} {{\n"));
        self.messages.push(format!(".{inside}"));
        if self.choices.one_more_in(3) {
            self.enumeration(&inside, out);
        }
        while depth < 2 && self.choices.one_more_in(3) {
            self.message(&inside, depth + 1, out);
        }
        let mut json = BTreeSet::new();
        let mut number = 0;
        for _ in 0..self.choices.things(7) {
            if self.choices.one_in(4) {
                let oneof = self.name_in(&inside);
                push(out, format_args!("  oneof {oneof} {{\n"));
                for _ in 0..1 + self.choices.things(3) {
                    number += 1;
                    let field = self.field_name(&inside, &mut json);
                    let kind = self.kind();
                    push(out, format_args!("    {kind} {field} = {number};\n"));
                }
                out.push_str("  }\n");
            } else {
                number += 1;
                let field = self.field_name(&inside, &mut json);
                self.field(&field, number, out);
            }
        }
        if !self.proto3 && self.choices.one_in(3) {
            out.push_str("  extensions 100 to 1000;\n");
            self.extendable.push(format!(".{inside}"));
            if self.choices.one_in(2) {
                self.extensions(&inside, out);
            }
        }
        out.push_str("}\n");
    }

    /// Fields of a message must have JSON names of their own, but for case, in proto3.
    fn field_name(&mut self, scope: &str, json: &mut BTreeSet<String>) -> String {
        loop {
            let name = self.name_in(scope);
            let json_name: String = name.chars().filter(|&c| c != '_').collect::<String>().to_lowercase();
            if json.insert(json_name) || !self.proto3 && self.choices.one_in(2) {
                return name;
            }
        }
    }

    fn field(&mut self, name: &str, number: usize, out: &mut String) {
        let kind = self.kind();
        let line = match self.choices.below(6) {
            0 => format!("repeated {kind} {name} = {number};"),
            1 => format!("map<string, {kind}> {name} = {number};"),
            2 if !self.proto3 && !self.enums.is_empty() => {
                let (full, value) = &self.enums[self.choices.below(self.enums.len())];
                format!("optional {full} {name} = {number} [default = {value}];")
            }
            3 if self.proto3 => format!("{kind} {name} = {number};"),
            4 if !self.proto3 => format!("required {kind} {name} = {number};"),
            _ => format!("optional {kind} {name} = {number};"),
        };
        push(out, format_args!("  {line}\n"));
    }

    fn kind(&mut self) -> String {
        match self.choices.below(5) {
            0 if !self.messages.is_empty() => self.messages[self.choices.below(self.messages.len())].clone(),
            1 if !self.proto3 && !self.enums.is_empty() => self.enums[self.choices.below(self.enums.len())].0.clone(),
            _ => self.choices.of_list(&["int32", "string", "bytes", "bool", "double", "uint64"]).to_owned(),
        }
    }

    fn extensions(&mut self, scope: &str, out: &mut String) {
        for _ in 0..self.choices.things(3) {
            if self.extendable.is_empty() {
                return;
            }
            let extended = self.extendable[self.choices.below(self.extendable.len())].clone();
            let name = self.name_in(scope);
            let kind = self.kind();
            // A number for each that is extended, as often as not.
            let number = 100 + self.taken.len() % 900;
            push(out, format_args!("extend {extended} {{ optional {kind} {name} = {number}; }}\n"));
        }
    }

    fn service(&mut self, scope: &str, out: &mut String) {
        let name = self.name_in(scope);
        let inside = if scope.is_empty() { name.clone() } else { format!("{scope}.{name}") };
        push(out, format_args!("service {name} {{\n"));
        for _ in 0..self.choices.things(5) {
            let method = self.name_in(&inside);
            let mut side = || {
                let message = &self.messages[self.choices.below(self.messages.len())];
                let stream = if self.choices.one_in(2) { "stream " } else { "" };
                format!("{stream}{message}")
            };
            let (request, response) = (side(), side());
            push(out, format_args!("  rpc {method} ({request}) returns ({response});\n"));
        }
        out.push_str("}\n");
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
