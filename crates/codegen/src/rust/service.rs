//! Clients and server traits for services, over the `farcall` crate.
//!
//! Everything is named by its full path, so that no name of a `.proto` can hide one of Rust's or the library's.

use std::fmt::Write;

use buffa_descriptor::generated::descriptor::{MethodDescriptorProto, ServiceDescriptorProto};

use super::{Comments, MessageCodec, RustOptions};

/// Lints that generated text cannot keep, for its names and comments are the author's.
const ALLOW: &str = "#![allow(unused, clippy::all, clippy::pedantic, rustdoc::all)]\n    \
     #![allow(non_camel_case_types, non_snake_case)]";

/// Rust for one service, to stand at the root of its package's module.
///
/// `package` is the proto package, empty if there is none; the service's wire name is `package.Name`.
/// `types` maps a message's full name (`.pkg.Msg`) to its Rust path as seen from a module *directly inside* the
/// package's module (`pub mod greeter_client { .. }`): `super::Msg`, `super::super::other::Msg` or `::krate::Msg`.
/// `options` says which faces to write and for which message run time.
pub(crate) fn generate(
    service: &ServiceDescriptorProto,
    package: &str,
    comments: &Comments,
    types: &dyn Fn(&str) -> String,
    options: &RustOptions,
) -> String {
    let name = service.name.as_deref().unwrap_or_default();
    let full_name = if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") };
    let methods: Vec<Method> = service
        .method
        .iter()
        .enumerate()
        .map(|(index, method)| {
            Method::new(method, &full_name, types, comments.methods.get(index).map_or(&[], Vec::as_slice))
        })
        .collect();
    let codec = match options.codec {
        MessageCodec::Buffa => "::farcall::codec::Buffa",
        MessageCodec::Prost => "::farcall::codec::Prost",
    };
    let service = Service { name, full_name: &full_name, comment: &comments.service, methods: &methods, codec };
    let mut out = String::new();
    if options.client {
        service.write_client(&mut out);
    }
    if options.server {
        service.write_server(&mut out);
    }
    out
}

struct Service<'a> {
    name: &'a str,
    full_name: &'a str,
    comment: &'a [String],
    methods: &'a [Method<'a>],
    codec: &'static str,
}

struct Method<'a> {
    /// As on the wire.
    name: &'a str,
    /// `/package.Service/Method`.
    path: String,
    request: String,
    response: String,
    kind: Kind,
    comment: &'a [String],
}

#[derive(Clone, Copy)]
enum Kind {
    Unary,
    ServerStreaming,
    ClientStreaming,
    Streaming,
}

impl Kind {
    /// The method of `farcall::Channel` and of `farcall::server::Call`.
    fn verb(self) -> &'static str {
        match self {
            Kind::Unary => "unary",
            Kind::ServerStreaming => "server_streaming",
            Kind::ClientStreaming => "client_streaming",
            Kind::Streaming => "streaming",
        }
    }

    fn streams_requests(self) -> bool {
        matches!(self, Kind::ClientStreaming | Kind::Streaming)
    }

    fn streams_responses(self) -> bool {
        matches!(self, Kind::ServerStreaming | Kind::Streaming)
    }
}

impl<'a> Method<'a> {
    fn new(
        method: &'a MethodDescriptorProto,
        service: &str,
        types: &dyn Fn(&str) -> String,
        comment: &'a [String],
    ) -> Method<'a> {
        let name = method.name.as_deref().unwrap_or_default();
        let kind = match (method.client_streaming.unwrap_or(false), method.server_streaming.unwrap_or(false)) {
            (false, false) => Kind::Unary,
            (false, true) => Kind::ServerStreaming,
            (true, false) => Kind::ClientStreaming,
            (true, true) => Kind::Streaming,
        };
        Method {
            name,
            path: format!("/{service}/{name}"),
            request: types(method.input_type.as_deref().unwrap_or_default()),
            response: types(method.output_type.as_deref().unwrap_or_default()),
            kind,
            comment,
        }
    }

    /// The associated type of a stream of responses.
    fn stream(&self) -> String {
        format!("{}Stream", self.name)
    }
}

impl Service<'_> {
    fn write_client(&self, out: &mut String) {
        let Service { name, full_name, .. } = self;
        let module = snake_case(name);
        let mut methods = String::new();
        for method in self.methods {
            self.write_client_method(&mut methods, method);
        }
        let docs = docs("    ", self.comment, &format!("A client of `{full_name}`."));
        push(
            out,
            &format!(
                r#"
/// The client of `{full_name}`.
pub mod {module}_client {{
    {ALLOW}

{docs}    #[derive(Clone, Debug)]
    pub struct {name}Client {{
        channel: ::farcall::Channel,
    }}

    impl {name}Client {{
        /// A client over a channel.
        pub fn new(channel: ::farcall::Channel) -> Self {{
            Self {{ channel }}
        }}

        /// A client over a channel of its own, connected.
        ///
        /// # Errors
        /// The target cannot be read, or nothing there answers.
        pub async fn connect(
            target: impl ::std::convert::Into<::std::string::String>,
        ) -> ::std::result::Result<Self, ::farcall::ConnectError> {{
            ::std::result::Result::Ok(Self::new(::farcall::Channel::builder(target).connect().await?))
        }}
{methods}    }}
}}
"#
            ),
        );
    }

    fn write_client_method(&self, out: &mut String, method: &Method<'_>) {
        let Method { name, path, request, response, kind, .. } = method;
        let docs = docs("        ", method.comment, &format!("Calls `{name}`."));
        let function = client_function(name);
        let (argument, conversion) = if kind.streams_requests() {
            (format!("impl ::farcall::IntoStreamingRequest<Message = {request}>"), "into_streaming_request")
        } else {
            (format!("impl ::farcall::IntoRequest<{request}>"), "into_request")
        };
        let response =
            if kind.streams_responses() { format!("::farcall::Streaming<{response}>") } else { response.clone() };
        let (verb, codec) = (kind.verb(), self.codec);
        push(
            out,
            &format!(
                r#"
{docs}        pub async fn {function}(
            &self,
            request: {argument},
        ) -> ::std::result::Result<::farcall::Response<{response}>, ::farcall::Status> {{
            self.channel.{verb}("{path}", {codec}, request.{conversion}()).await
        }}
"#
            ),
        );
    }

    fn write_server(&self, out: &mut String) {
        let Service { name, full_name, .. } = self;
        let module = snake_case(name);
        let (mut declarations, mut arms) = (String::new(), String::new());
        for method in self.methods {
            write_declaration(&mut declarations, method);
            self.write_arm(&mut arms, method);
        }
        let docs = docs("    ", self.comment, &format!("What a server of `{full_name}` implements."));
        push(
            out,
            &format!(
                r#"
/// The server of `{full_name}`.
pub mod {module}_server {{
    {ALLOW}

    /// The full name of the service.
    pub const SERVICE_NAME: &str = "{full_name}";

{docs}    pub trait {name}: ::std::marker::Send + ::std::marker::Sync + 'static {{{declarations}    }}

    /// Serves an implementation of [`{name}`].
    #[derive(Debug)]
    pub struct {name}Server<T> {{
        inner: ::farcall::codegen::Arc<T>,
    }}

    impl<T> {name}Server<T> {{
        /// The full name of the service.
        pub const NAME: &'static str = SERVICE_NAME;

        /// Serves `inner`.
        pub fn new(inner: T) -> Self {{
            Self::from_arc(::farcall::codegen::Arc::new(inner))
        }}

        /// Serves `inner`, which others may hold too.
        pub fn from_arc(inner: ::farcall::codegen::Arc<T>) -> Self {{
            Self {{ inner }}
        }}
    }}

    impl<T> ::std::clone::Clone for {name}Server<T> {{
        fn clone(&self) -> Self {{
            Self::from_arc(::farcall::codegen::Arc::clone(&self.inner))
        }}
    }}

    impl<T: {name}> ::farcall::server::Service for {name}Server<T> {{
        fn name(&self) -> &'static str {{
            SERVICE_NAME
        }}

        fn call(&self, call: ::farcall::server::Call) {{
            let inner = ::farcall::codegen::Arc::clone(&self.inner);
            match call.method() {{
{arms}                _ => call.unimplemented(),
            }}
        }}
    }}
}}
"#
            ),
        );
    }

    fn write_arm(&self, out: &mut String, method: &Method<'_>) {
        let (name, verb, function, codec) =
            (method.name, method.kind.verb(), identifier(&snake_case(method.name)), self.codec);
        push(
            out,
            &format!(
                "                \"{name}\" => call.{verb}({codec}, move |request| async move {{\n                    \
                 {name_of_trait}::{function}(&*inner, request).await\n                }}),\n",
                name_of_trait = self.name
            ),
        );
    }
}

fn write_declaration(out: &mut String, method: &Method<'_>) {
    let Method { name, request, response, kind, .. } = method;
    let docs = docs("        ", method.comment, &format!("Answers `{name}`."));
    let function = identifier(&snake_case(name));
    let argument = if kind.streams_requests() { format!("::farcall::Streaming<{request}>") } else { request.clone() };
    let answer = if kind.streams_responses() {
        let stream = method.stream();
        push(
            out,
            &format!(
                r#"
        /// The responses of `{name}`.
        type {stream}: ::farcall::codegen::Stream<Item = ::std::result::Result<{response}, ::farcall::Status>>
            + ::std::marker::Send
            + 'static;
"#
            ),
        );
        format!("Self::{stream}")
    } else {
        response.clone()
    };
    push(
        out,
        &format!(
            r#"
{docs}        fn {function}(
            &self,
            request: ::farcall::Request<{argument}>,
        ) -> impl ::farcall::codegen::Future<
            Output = ::std::result::Result<::farcall::Response<{answer}>, ::farcall::Status>,
        > + ::std::marker::Send;
"#
        ),
    );
}

fn push(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = out.write_str(text);
}

/// The author's comment as documentation, or `otherwise` when there is none.
fn docs(indent: &str, comment: &[String], otherwise: &str) -> String {
    let mut out = String::new();
    let mut in_fence = false;
    if comment.iter().all(|line| line.trim().is_empty()) {
        return format!("{indent}/// {otherwise}\n");
    }
    for line in comment {
        let mut line = line.as_str();
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
            // Without a language rustdoc would run the author's example as Rust.
            line = if in_fence { "```text" } else { "```" };
        } else if !in_fence {
            // So it would an indented block.
            line = line.trim_start();
        }
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(out, "{indent}///{space}{line}");
    }
    if in_fence {
        let _ = writeln!(out, "{indent}/// ```");
    }
    out
}

/// A client's method; `new` and `connect` are its own.
fn client_function(method: &str) -> String {
    match snake_case(method).as_str() {
        own @ ("new" | "connect") => format!("{own}_"),
        other => identifier(other),
    }
}

/// `SayHello` as `say_hello`, `GetURLList` as `get_url_list`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let chars: Vec<char> = name.chars().collect();
    for (index, &char) in chars.iter().enumerate() {
        if char.is_uppercase() {
            let before = index.checked_sub(1).and_then(|before| chars.get(before));
            let after_small = before.is_some_and(|before| before.is_lowercase() || before.is_ascii_digit());
            let ends_capitals = before.is_some_and(|before| before.is_uppercase())
                && chars.get(index + 1).is_some_and(|after| after.is_lowercase());
            if after_small || ends_capitals {
                out.push('_');
            }
            out.extend(char.to_lowercase());
        } else {
            out.push(char);
        }
    }
    out
}

/// A name as Rust takes it.
fn identifier(name: &str) -> String {
    match name {
        "self" | "super" | "crate" | "Self" => format!("{name}_"),
        "as" | "break" | "const" | "continue" | "else" | "enum" | "extern" | "false" | "fn" | "for" | "if" | "impl"
        | "in" | "let" | "loop" | "match" | "mod" | "move" | "mut" | "pub" | "ref" | "return" | "static" | "struct"
        | "trait" | "true" | "type" | "unsafe" | "use" | "where" | "while" | "async" | "await" | "dyn" | "abstract"
        | "become" | "box" | "do" | "final" | "macro" | "override" | "priv" | "typeof" | "unsized" | "virtual"
        | "yield" | "try" | "gen" => format!("r#{name}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{client_function, docs, identifier, snake_case};

    #[test]
    fn names_become_rusts() {
        for (name, expected) in [
            ("SayHello", "say_hello"),
            ("GetURLList", "get_url_list"),
            ("ListV2Items", "list_v2_items"),
            ("sayHello", "say_hello"),
            ("say_hello", "say_hello"),
            ("HTTP", "http"),
            ("X", "x"),
        ] {
            assert_eq!(snake_case(name), expected);
        }
        assert_eq!(identifier("type"), "r#type");
        assert_eq!(identifier("self"), "self_");
        assert_eq!(client_function("New"), "new_");
        assert_eq!(client_function("Connect"), "connect_");
    }

    #[test]
    fn a_comment_is_documentation_and_never_a_test() {
        let lines = ["Says hello.", "", "    indented()", "```", "  code()"].map(String::from);
        let expected = "/// Says hello.\n///\n/// indented()\n/// ```text\n///   code()\n/// ```\n";
        assert_eq!(docs("", &lines, "unused"), expected);
        assert_eq!(docs("", &[], "Calls."), "/// Calls.\n");
    }
}
