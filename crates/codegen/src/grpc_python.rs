//! `--grpc_python_out`: `_pb2_grpc.py`, stubs and servicers for Python's `grpc`.

mod beta;
mod typed;

use std::collections::{BTreeSet, HashMap};

use buffa_descriptor::generated::descriptor::source_code_info::Location;
use buffa_descriptor::generated::descriptor::{FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};

use crate::python_names::{Imports, RELATIVE_IMPORTS, import_statement, module_name};
use crate::schema::{file_name, package};
use crate::text::{Text, line};
use crate::{GRPC_PYTHON_VERSION, Generator, OutputFile, Request, Schema};

/// The option that asks for `_pb2_grpc.pyi`.
const TYPED_STUBS: &str = "typed_stubs";

/// Writes `_pb2_grpc.py`.
///
/// Options: `grpc_2_0` (the default), or `grpc_1_0`, which also inserts the long-deprecated beta API into `_pb2.py`
/// of the same run; then, after a comma, a module prefix to strip from imports. Anywhere among them
/// `relative_imports`, and `typed_stubs`, which also writes `_pb2_grpc.pyi`.
pub struct GrpcPython;

impl Generator for GrpcPython {
    fn generate(&self, request: &Request<'_>) -> Result<Vec<OutputFile>, String> {
        let mut outputs = Vec::new();
        for name in request.files_to_generate {
            let file = request.schema.file(name).ok_or_else(|| format!("{name}: File not found."))?;
            let base = output_base(name)
                .ok_or_else(|| format!("{name}: Invalid proto file name. Proto file must end with .proto"))?;
            let is_asked = |own: &str| request.parameter.split(',').any(|option| option == own);
            let imports = if is_asked(RELATIVE_IMPORTS) { Imports::Relative } else { Imports::Rooted };
            let mut parameters =
                request.parameter.split(',').filter(|option| ![RELATIVE_IMPORTS, TYPED_STUBS].contains(option));
            let version = parameters.next().filter(|version| !version.is_empty()).unwrap_or("grpc_2_0");
            let prefix = parameters.next();
            if parameters.next().is_some() {
                return Err(format!("{name}: --grpc_python_out received too many comma-delimited parameters."));
            }
            if !matches!(version, "grpc_2_0" | "grpc_1_0") {
                return Err(format!("{name}: Invalid grpc version '{version}'."));
            }
            let module = |place| Module::new(request.schema, file, prefix.unwrap_or_default(), imports, place);
            outputs.push(OutputFile::new(format!("{base}_pb2_grpc.py"), module(Place::OwnModule).write()));
            if is_asked(TYPED_STUBS) {
                let content = module(Place::OwnModule).write_types();
                outputs.push(OutputFile::new(format!("{base}_pb2_grpc.pyi"), content));
            }
            if version == "grpc_1_0" {
                outputs.push(OutputFile {
                    name: format!("{base}_pb2.py"),
                    insertion_point: Some("module_scope".into()),
                    content: module(Place::InsideMessages).write_beta(),
                });
            }
        }
        Ok(outputs)
    }
}

/// `a/b-c.d.proto` -> `a/b_c/d`. As in the C++ plugin, whose check of the suffix looks at the last letter only, any
/// name of more than six letters that ends in one of `.proto` passes and loses six letters.
fn output_base(name: &str) -> Option<String> {
    if name.len() <= ".proto".len() || !name.ends_with(['.', 'p', 'r', 'o', 't']) {
        return None;
    }
    let base = name.get(..name.len() - ".proto".len())?;
    Some(base.replace('-', "_").replace('.', "/"))
}

/// Where the code stands, which decides how it names messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In `_pb2_grpc.py`: messages are imported.
    OwnModule,
    /// In `_pb2.py`: the file's own messages are at hand.
    InsideMessages,
}

struct Module<'a> {
    schema: &'a Schema<'a>,
    file: &'a FileDescriptorProto,
    strip_prefix: &'a str,
    imports: Imports,
    place: Place,
    /// Where services and their methods stand, by path.
    locations: HashMap<&'a [i32], &'a Location>,
    out: Text,
}

/// A method with its texts looked up.
struct Method<'a> {
    name: &'a str,
    /// Python expressions for the classes.
    request: String,
    response: String,
    client_streaming: bool,
    server_streaming: bool,
    comments: Vec<&'a str>,
}

impl Method<'_> {
    /// `unary_stream`
    fn arity(&self) -> String {
        let part = |streaming| if streaming { "stream" } else { "unary" };
        format!("{}_{}", part(self.client_streaming), part(self.server_streaming))
    }

    fn request_parameter(&self) -> &'static str {
        if self.client_streaming { "request_iterator" } else { "request" }
    }
}

struct Service<'a> {
    name: &'a str,
    /// With its package.
    full_name: String,
    methods: Vec<Method<'a>>,
    comments: Vec<&'a str>,
}

impl<'a> Module<'a> {
    fn new(
        schema: &'a Schema<'a>,
        file: &'a FileDescriptorProto,
        strip_prefix: &'a str,
        imports: Imports,
        place: Place,
    ) -> Self {
        let locations = service_locations(file);
        Self { schema, file, strip_prefix, imports, place, locations, out: Text::new() }
    }

    fn write(mut self) -> String {
        self.out.line("# Generated by the gRPC Python protocol compiler plugin. DO NOT EDIT!");
        self.out.line("\"\"\"Client and server classes corresponding to protobuf-defined services.\"\"\"");
        self.out.line("import grpc\nimport warnings\n");
        self.message_imports();
        self.version_check();
        for service in self.services() {
            self.service(&service);
        }
        self.out.finish()
    }

    fn services(&self) -> Vec<Service<'a>> {
        self.file.service.iter().enumerate().map(|(index, service)| self.read_service(index, service)).collect()
    }

    fn read_service(&self, index: usize, service: &'a ServiceDescriptorProto) -> Service<'a> {
        let name = service.name.as_deref().unwrap_or_default();
        let full_name = match package(self.file) {
            "" => name.to_owned(),
            package => format!("{package}.{name}"),
        };
        let comments = self.comments(&[number::FILE_SERVICE, index as i32]);
        let methods = service
            .method
            .iter()
            .enumerate()
            .map(|(method_index, method)| {
                let path = [number::FILE_SERVICE, index as i32, number::SERVICE_METHOD, method_index as i32];
                let comments = self.comments(&path);
                self.read_method(method, comments)
            })
            .collect();
        Service { name, full_name, methods, comments }
    }

    fn read_method(&self, method: &'a MethodDescriptorProto, comments: Vec<&'a str>) -> Method<'a> {
        Method {
            name: method.name.as_deref().unwrap_or_default(),
            request: self.class(method.input_type.as_deref()),
            response: self.class(method.output_type.as_deref()),
            client_streaming: method.client_streaming == Some(true),
            server_streaming: method.server_streaming == Some(true),
            comments,
        }
    }

    /// The expression for a message class: `a_dot_b__pb2.Outer.Inner`.
    fn class(&self, full_name: Option<&str>) -> String {
        let Some(entry) = full_name.and_then(|name| self.schema.type_entry(name)) else { return String::new() };
        let path = entry.path.join(".");
        if self.place == Place::InsideMessages && entry.file.name == self.file.name {
            path
        } else {
            format!("{}.{path}", alias(&self.module(file_name(entry.file))))
        }
    }

    /// The module of a file, without the prefix that the user wants stripped.
    fn module(&self, file: &str) -> String {
        let module = module_name(file);
        module.strip_prefix(self.strip_prefix).map(str::to_owned).unwrap_or(module)
    }

    fn message_imports(&mut self) {
        let types = self
            .file
            .service
            .iter()
            .flat_map(|service| &service.method)
            .flat_map(|method| [method.input_type.as_deref(), method.output_type.as_deref()].into_iter().flatten());
        let modules: BTreeSet<String> = types
            .filter_map(|name| self.schema.type_entry(name))
            .map(|entry| self.module(file_name(entry.file)))
            .collect();
        for module in modules {
            let path = self.imports.path(&module_name(file_name(self.file)), &module);
            line!(self.out, "{} as {}", import_statement(&path), alias(&module));
        }
    }

    fn version_check(&mut self) {
        let base = crate::python_names::strip_proto(file_name(self.file)).replace('-', "_");
        line!(self.out, "\nGRPC_GENERATED_VERSION = '{GRPC_PYTHON_VERSION}'");
        self.out.push(
            "\
GRPC_VERSION = grpc.__version__
_version_not_supported = False

try:
    from grpc._utilities import first_version_is_lower
    _version_not_supported = first_version_is_lower(GRPC_VERSION, GRPC_GENERATED_VERSION)
except ImportError:
    _version_not_supported = True

if _version_not_supported:
    raise RuntimeError(
        f'The grpc package installed is at version {GRPC_VERSION},'
",
        );
        line!(self.out, "        + ' but the generated code in {base}_pb2_grpc.py depends on'");
        self.out.push(
            "        + f' grpcio>={GRPC_GENERATED_VERSION}.'
        + f' Please upgrade your grpc module to grpcio>={GRPC_GENERATED_VERSION}'
        + f' or downgrade your generated code using grpcio-tools<={GRPC_VERSION}.'
    )
",
        );
    }

    /// Detached, leading and trailing comments of the declaration at `path`, line by line.
    fn comments(&self, path: &[i32]) -> Vec<&'a str> {
        let mut lines = Vec::new();
        let Some(location) = self.locations.get(path) else { return lines };
        for detached in &location.leading_detached_comments {
            lines.extend(split_lines(detached));
            lines.push("");
        }
        lines.extend(location.leading_comments.iter().flat_map(|text| split_lines(text)));
        lines.extend(location.trailing_comments.iter().flat_map(|text| split_lines(text)));
        lines
    }

    fn service(&mut self, service: &Service<'_>) {
        stub(&mut self.out, service);
        servicer(&mut self.out, service);
        registration(&mut self.out, service);
        experimental(&mut self.out, service);
    }
}

/// Field numbers of `descriptor.proto`, as paths of source locations use them.
mod number {
    pub(super) const FILE_SERVICE: i32 = 6;
    pub(super) const SERVICE_METHOD: i32 = 2;
}

/// The first location of everything in services.
fn service_locations(file: &FileDescriptorProto) -> HashMap<&[i32], &Location> {
    let mut locations = HashMap::new();
    for location in file.source_code_info.as_option().iter().flat_map(|info| &info.location) {
        if location.path.first() == Some(&number::FILE_SERVICE) {
            locations.entry(&location.path[..]).or_insert(location);
        }
    }
    locations
}

/// As `std::getline` splits: a final line feed starts no further line.
fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n').filter(move |_| !text.is_empty())
}

fn alias(module: &str) -> String {
    module.replace('_', "__").replace('.', "_dot_")
}

/// Comments as a docstring, each line without its leading spaces and otherwise as it is.
fn docstring(out: &mut Text, comments: &[&str]) {
    if comments.is_empty() {
        out.line("\"\"\"Missing associated documentation comment in .proto file.\"\"\"");
        return;
    }
    out.push("\"\"\"");
    for comment in comments {
        out.line(comment.trim_start_matches(' '));
    }
    out.line("\"\"\"");
}

fn stub(out: &mut Text, service: &Service<'_>) {
    line!(out, "\n\nclass {}Stub:", service.name);
    out.indented(1, |out| {
        docstring(out, &service.comments);
        out.line("\ndef __init__(self, channel):");
        out.indented(1, |out| {
            out.push("\"\"\"Constructor.\n\nArgs:\n    channel: A grpc.Channel.\n\"\"\"\n");
            for method in &service.methods {
                line!(out, "self.{} = channel.{}(", method.name, method.arity());
                out.indented(2, |out| {
                    line!(out, "'/{}/{}',", service.full_name, method.name);
                    line!(out, "request_serializer={}.SerializeToString,", method.request);
                    line!(out, "response_deserializer={}.FromString,", method.response);
                    out.line("_registered_method=True)");
                });
            }
        });
    });
}

fn servicer(out: &mut Text, service: &Service<'_>) {
    line!(out, "\n\nclass {}Servicer:", service.name);
    out.indented(1, |out| {
        docstring(out, &service.comments);
        for method in &service.methods {
            line!(out, "\ndef {}(self, {}, context):", method.name, method.request_parameter());
            out.indented(1, |out| {
                docstring(out, &method.comments);
                out.line("context.set_code(grpc.StatusCode.UNIMPLEMENTED)");
                out.line("context.set_details('Method not implemented!')");
                out.line("raise NotImplementedError('Method not implemented!')");
            });
        }
    });
}

fn registration(out: &mut Text, service: &Service<'_>) {
    let Service { name, full_name, methods, .. } = service;
    line!(out, "\n\ndef add_{name}Servicer_to_server(servicer, server):");
    out.indented(1, |out| {
        out.line("rpc_method_handlers = {");
        out.indented(2, |out| {
            for method in methods {
                line!(out, "'{}': grpc.{}_rpc_method_handler(", method.name, method.arity());
                out.indented(2, |out| {
                    line!(out, "servicer.{},", method.name);
                    line!(out, "request_deserializer={}.FromString,", method.request);
                    line!(out, "response_serializer={}.SerializeToString,", method.response);
                });
                out.line("),");
            }
        });
        out.line("}");
        out.line("generic_handler = grpc.method_handlers_generic_handler(");
        line!(out, "        '{full_name}', rpc_method_handlers)");
        out.line("server.add_generic_rpc_handlers((generic_handler,))");
        line!(out, "server.add_registered_method_handlers('{full_name}', rpc_method_handlers)");
    });
}

/// The class of static methods behind `grpc.experimental`.
fn experimental(out: &mut Text, service: &Service<'_>) {
    line!(out, "\n\n # This class is part of an EXPERIMENTAL API.\nclass {}:", service.name);
    out.indented(1, |out| {
        docstring(out, &service.comments);
        for method in &service.methods {
            line!(out, "\n@staticmethod\ndef {}({},", method.name, method.request_parameter());
            out.indented(2, |out| {
                out.push("target,\noptions=(),\nchannel_credentials=None,\ncall_credentials=None,\n");
                out.push("insecure=False,\ncompression=None,\nwait_for_ready=None,\ntimeout=None,\n");
                out.line("metadata=None):");
            });
            out.indented(1, |out| {
                line!(out, "return grpc.experimental.{}(", method.arity());
                out.indented(1, |out| {
                    line!(out, "{},\ntarget,", method.request_parameter());
                    line!(out, "'/{}/{}',", service.full_name, method.name);
                    line!(out, "{}.SerializeToString,", method.request);
                    line!(out, "{}.FromString,", method.response);
                    out.push("options,\nchannel_credentials,\ninsecure,\ncall_credentials,\ncompression,\n");
                    out.push("wait_for_ready,\ntimeout,\nmetadata,\n_registered_method=True)\n");
                });
            });
        }
    });
}
