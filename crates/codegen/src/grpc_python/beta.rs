//! The beta API of grpcio before 0.15, which `grpc_1_0` still inserts into `_pb2.py`.

use super::{Method, Module, Service, docstring};
use crate::text::{Text, line};

const DEPRECATION: &str = "\"\"\"The Beta API is deprecated for 0.15.0 and later.

It is recommended to use the GA API (classes and functions in this
file not marked beta) for all further purposes. ";

impl Module<'_> {
    /// The piece for the insertion point `module_scope` of `_pb2.py`.
    pub(super) fn write_beta(mut self) -> String {
        let services = self.services();
        let mut out = std::mem::replace(&mut self.out, Text::new());
        out.line("try:");
        out.indented(1, |out| {
            out.line("# THESE ELEMENTS WILL BE DEPRECATED.");
            out.line("# Please use the generated *_pb2_grpc.py files instead.");
            out.line("import grpc\nimport warnings");
            out.line("from grpc.beta import implementations as beta_implementations");
            out.line("from grpc.beta import interfaces as beta_interfaces");
            out.line("from grpc.framework.common import cardinality");
            out.line("from grpc.framework.interfaces.face import utilities as face_utilities");
            std::mem::swap(&mut self.out, out);
            for service in &services {
                self.service(service);
            }
            std::mem::swap(&mut self.out, out);
            for service in &services {
                servicer(out, service);
                stub(out, service);
                server_factory(out, service);
                stub_factory(out, service);
            }
        });
        out.push("except ImportError:\n    pass");
        out.finish()
    }
}

fn class_deprecation(out: &mut Text) {
    out.push(DEPRECATION);
    out.line("This class was generated\nonly to ease transition from grpcio<0.15.0 to grpcio>=0.15.0.\"\"\"");
}

fn function_deprecation(out: &mut Text) {
    out.push(DEPRECATION);
    out.line("This function was\ngenerated only to ease transition from grpcio<0.15.0 to grpcio>=0.15.0\"\"\"");
}

fn servicer(out: &mut Text, service: &Service<'_>) {
    line!(out, "\n\nclass Beta{}Servicer:", service.name);
    out.indented(1, |out| {
        class_deprecation(out);
        docstring(out, &service.comments);
        for method in &service.methods {
            line!(out, "def {}(self, {}, context):", method.name, method.request_parameter());
            out.indented(1, |out| {
                docstring(out, &method.comments);
                out.line("context.code(beta_interfaces.StatusCode.UNIMPLEMENTED)");
            });
        }
    });
}

fn stub(out: &mut Text, service: &Service<'_>) {
    line!(out, "\n\nclass Beta{}Stub:", service.name);
    out.indented(1, |out| {
        class_deprecation(out);
        docstring(out, &service.comments);
        for method in &service.methods {
            let (name, request) = (method.name, method.request_parameter());
            line!(out, "def {name}(self, {request}, timeout, metadata=None, with_call=False, protocol_options=None):");
            out.indented(1, |out| {
                docstring(out, &method.comments);
                out.line("raise NotImplementedError()");
            });
            if !method.server_streaming {
                line!(out, "{name}.future = None");
            }
        }
    });
}

fn server_factory(out: &mut Text, service: &Service<'_>) {
    line!(
        out,
        "\n\ndef beta_create_{}_server(servicer, pool=None, pool_size=None, default_timeout=None, maximum_timeout=None):",
        service.name
    );
    out.indented(1, |out| {
        function_deprecation(out);
        table(out, "request_deserializers", service, |method| format!("{}.FromString", method.request));
        table(out, "response_serializers", service, |method| format!("{}.SerializeToString", method.response));
        table(out, "method_implementations", service, |method| {
            format!("face_utilities.{}_inline(servicer.{})", method.arity(), method.name)
        });
        out.line(
            "server_options = beta_implementations.server_options(request_deserializers=request_deserializers, \
             response_serializers=response_serializers, thread_pool=pool, thread_pool_size=pool_size, \
             default_timeout=default_timeout, maximum_timeout=maximum_timeout)",
        );
        out.line("return beta_implementations.server(method_implementations, options=server_options)");
    });
}

fn stub_factory(out: &mut Text, service: &Service<'_>) {
    line!(
        out,
        "\n\ndef beta_create_{}_stub(channel, host=None, metadata_transformer=None, pool=None, pool_size=None):",
        service.name
    );
    out.indented(1, |out| {
        function_deprecation(out);
        table(out, "request_serializers", service, |method| format!("{}.SerializeToString", method.request));
        table(out, "response_deserializers", service, |method| format!("{}.FromString", method.response));
        out.line("cardinalities = {");
        for method in by_name(service) {
            let cardinality = method.arity().to_ascii_uppercase();
            line!(out, "    '{}': cardinality.Cardinality.{cardinality},", method.name);
        }
        out.line("}");
        out.line(
            "stub_options = beta_implementations.stub_options(host=host, metadata_transformer=metadata_transformer, \
             request_serializers=request_serializers, response_deserializers=response_deserializers, \
             thread_pool=pool, thread_pool_size=pool_size)",
        );
        line!(
            out,
            "return beta_implementations.dynamic_stub(channel, '{}', cardinalities, options=stub_options)",
            service.full_name
        );
    });
}

/// A dictionary from (service, method) to `value`.
fn table(out: &mut Text, name: &str, service: &Service<'_>, value: impl Fn(&Method<'_>) -> String) {
    line!(out, "{name} = {{");
    for method in by_name(service) {
        line!(out, "    ('{}', '{}'): {},", service.full_name, method.name, value(method));
    }
    out.line("}");
}

/// The methods as a C++ `std::map` iterates over them.
fn by_name<'a>(service: &'a Service<'a>) -> Vec<&'a Method<'a>> {
    let mut methods: Vec<&Method<'_>> = service.methods.iter().collect();
    methods.sort_by_key(|method| method.name);
    methods
}
