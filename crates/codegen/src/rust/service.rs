//! Clients and server traits for services, over the `farcall` crate.
//!
//! Everything is named by its full path, so that no name of a `.proto` can hide one of Rust's or the library's.

use std::collections::HashSet;
use std::fmt::Write;

use buffa_descriptor::generated::descriptor::{MethodDescriptorProto, ServiceDescriptorProto};

use super::docs::docs;
use super::names::converted;
use super::{AttributeTarget, Comments, MessageCodec, RustOptions};

/// Lints that generated text cannot keep, for its names and comments are the author's.
const ALLOW: &str = "#![allow(deprecated, unused, clippy::all, clippy::pedantic)]";

/// Rust for one service, to stand at the root of its package's module.
///
/// `rust_name` is unlike that of any other service of the package. `package` is the proto package, empty if there is none; the service's wire name is `package.Name`.
/// `types` maps a message's full name (`.pkg.Msg`) to its Rust path as seen from a module *directly inside* the
/// package's module (`pub mod greeter_client { .. }`): `super::Msg`, `super::super::other::Msg` or `::krate::Msg`.
/// `options` says which faces to write and for which message run time.
pub(super) fn generate(
    service: &ServiceDescriptorProto,
    rust_name: &str,
    package: &str,
    comments: &Comments,
    types: &dyn Fn(&str) -> String,
    options: &RustOptions,
) -> String {
    let name = service.name.as_deref().unwrap_or_default();
    let full_name = if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") };
    let mut methods: Vec<Method> = service
        .method
        .iter()
        .enumerate()
        .map(|(index, method)| {
            Method::new(method, &full_name, types, comments.methods.get(index).map_or(&[], Vec::as_slice))
        })
        .collect();
    name_apart(&mut methods);
    let codec = match options.codec {
        MessageCodec::Buffa => "::farcall::codec::Buffa",
        MessageCodec::Prost => "::farcall::codec::Prost",
    };
    let service = Service {
        name: rust_name,
        full_name: &full_name,
        comment: &comments.service,
        methods: &methods,
        codec,
        options,
        is_deprecated: service.options.as_option().is_some_and(|options| options.deprecated == Some(true)),
    };
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
    options: &'a RustOptions,
    is_deprecated: bool,
}

struct Method<'a> {
    /// As on the wire.
    name: &'a str,
    /// The function of the trait and the client.
    function: String,
    /// The associated type of a stream of responses.
    stream: String,
    /// `/package.Service/Method`.
    path: String,
    request: String,
    response: String,
    kind: Kind,
    comment: &'a [String],
    is_deprecated: bool,
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
            function: match snake_case(name).as_str() {
                "_" => "underscore".to_owned(),
                snake => identifier(snake),
            },
            stream: format!("{}Stream", converted(name)),
            path: format!("/{service}/{name}"),
            request: types(method.input_type.as_deref().unwrap_or_default()),
            response: types(method.output_type.as_deref().unwrap_or_default()),
            kind,
            comment,
            is_deprecated: method.options.as_option().is_some_and(|options| options.deprecated == Some(true)),
        }
    }
}

/// Lets methods that Rust would call the same differ by underscores. `new` and `connect` are the client's own.
fn name_apart(methods: &mut [Method<'_>]) {
    let mut taken = HashSet::from(["new".to_owned(), "connect".to_owned()]);
    for method in methods {
        while !taken.insert(method.function.clone()) {
            method.function.push('_');
        }
        while method.kind.streams_responses() && !taken.insert(method.stream.clone()) {
            method.stream.push('_');
        }
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
        let deprecated = if self.is_deprecated { "    #[deprecated]\n" } else { "" };
        let of_module = self.options.attributes_of(AttributeTarget::ClientModules, full_name, "");
        let of_client = self.options.attributes_of(AttributeTarget::Clients, full_name, "    ");
        push(
            out,
            &format!(
                r#"
/// The client of `{full_name}`.
{of_module}pub mod {module}_client {{
    {ALLOW}

{docs}    #[derive(Clone, Debug)]
{deprecated}{of_client}    pub struct {name}Client {{
        channel: ::farcall::Channel,
    }}

    impl {name}Client {{
        /// A client over a channel.
        #[must_use]
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
        let deprecated = if method.is_deprecated { "        #[deprecated]\n" } else { "" };
        let function = &method.function;
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
{docs}{deprecated}        pub async fn {function}(
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
            write_declaration(&mut declarations, method, self.options.default_stubs);
            self.write_arm(&mut arms, method);
        }
        let docs = docs("    ", self.comment, &format!("What a server of `{full_name}` implements."));
        let of_module = self.options.attributes_of(AttributeTarget::ServerModules, full_name, "");
        let of_trait = self.options.attributes_of(AttributeTarget::Traits, full_name, "    ");
        let of_server = self.options.attributes_of(AttributeTarget::Servers, full_name, "    ");
        // The parameter must not hide the trait.
        let inner = if *name == "T" { "U" } else { "T" };
        push(
            out,
            &format!(
                r#"
/// The server of `{full_name}`.
{of_module}pub mod {module}_server {{
    {ALLOW}

    /// The full name of the service.
    pub const SERVICE_NAME: &str = "{full_name}";

{docs}{of_trait}    pub trait {name}: ::std::marker::Send + ::std::marker::Sync + 'static {{{declarations}    }}

    /// Serves an implementation of [`{name}`].
    #[derive(Debug)]
{of_server}    pub struct {name}Server<{inner}> {{
        inner: ::farcall::codegen::Arc<{inner}>,
    }}

    impl<{inner}> {name}Server<{inner}> {{
        /// The full name of the service.
        pub const NAME: &'static str = SERVICE_NAME;

        /// Serves `inner`.
        #[must_use]
        pub fn new(inner: {inner}) -> Self {{
            Self::from_arc(::farcall::codegen::Arc::new(inner))
        }}

        /// Serves `inner`, which others may hold too.
        #[must_use]
        pub fn from_arc(inner: ::farcall::codegen::Arc<{inner}>) -> Self {{
            Self {{ inner }}
        }}
    }}

    impl<{inner}> ::std::clone::Clone for {name}Server<{inner}> {{
        fn clone(&self) -> Self {{
            Self::from_arc(::farcall::codegen::Arc::clone(&self.inner))
        }}
    }}

    impl<{inner}: {name}> ::farcall::server::Service for {name}Server<{inner}> {{
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
        let (name, verb, function, codec) = (method.name, method.kind.verb(), &method.function, self.codec);
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

fn write_declaration(out: &mut String, method: &Method<'_>, with_body: bool) {
    let Method { name, request, response, kind, function, .. } = method;
    let docs = docs("        ", method.comment, &format!("Answers `{name}`."));
    let argument = if kind.streams_requests() { format!("::farcall::Streaming<{request}>") } else { request.clone() };
    let answer = match kind.streams_responses() {
        // A type that has a default is not to be had, so that every stream is of one.
        true if with_body => format!("::farcall::codegen::BoxStream<{response}>"),
        true => {
            write_stream(out, method);
            format!("Self::{}", method.stream)
        }
        false => response.clone(),
    };
    let end = if with_body {
        format!(
            " {{\n            async {{ ::std::result::Result::Err(::farcall::Status::unimplemented(\"Method not \
             implemented: {}\")) }}\n        }}",
            method.path
        )
    } else {
        ";".to_owned()
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
        > + ::std::marker::Send{end}
"#
        ),
    );
}

fn write_stream(out: &mut String, method: &Method<'_>) {
    let Method { name, response, stream, .. } = method;
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
}

fn push(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = out.write_str(text);
}

/// `SayHello` as `say_hello`, `GetURLList` as `get_url_list`.
pub(super) fn snake_case(name: &str) -> String {
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
    use super::{identifier, snake_case};

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
    }
}
