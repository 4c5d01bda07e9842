//! Services and their methods.

use buffa_descriptor::generated::descriptor::{MethodDescriptorProto, ServiceDescriptorProto};

use super::{Parse, Parser, Place, add};
use crate::tag;

impl Parser<'_> {
    pub(super) fn service_definition(&mut self, siblings: &mut Vec<ServiceDescriptorProto>, place: Place) -> Parse {
        let mut service = ServiceDescriptorProto::default();
        let result = self.service(&mut service, place);
        add(siblings, service);
        result
    }

    fn service(&mut self, service: &mut ServiceDescriptorProto, place: Place) -> Parse {
        self.consume("service")?;
        service.name =
            Some(self.located(place, &[tag::service::NAME], |parser, _| parser.identifier("Expected service name."))?);
        self.end("{", place)?;
        while !self.try_end("}", None) {
            if self.at_end() {
                return self.fail("Reached end of input in service definition (missing '}').");
            }
            if self.service_statement(service, place).is_err() {
                self.skip_statement();
            }
        }
        Ok(())
    }

    fn service_statement(&mut self, service: &mut ServiceDescriptorProto, place: Place) -> Parse {
        if self.try_end(";", None) {
            return Ok(());
        }
        if self.at("option") {
            return self.located(place, &[tag::service::OPTIONS], |parser, place| {
                parser.option_statement(&mut service.options.get_or_insert_default().uninterpreted_option, place)
            });
        }
        let steps = [tag::service::METHOD, service.method.len() as i32];
        self.located(place, &steps, |parser, place| {
            let mut method = MethodDescriptorProto::default();
            let result = parser.method(&mut method, place);
            add(&mut service.method, method);
            result
        })
    }

    fn method(&mut self, method: &mut MethodDescriptorProto, place: Place) -> Parse {
        self.consume("rpc")?;
        method.name =
            Some(self.located(place, &[tag::method::NAME], |parser, _| parser.identifier("Expected method name."))?);
        let (streaming, name) = self.method_type(place, tag::method::CLIENT_STREAMING, tag::method::INPUT_TYPE)?;
        method.client_streaming = streaming;
        method.input_type = Some(name);
        self.consume("returns")?;
        let (streaming, name) = self.method_type(place, tag::method::SERVER_STREAMING, tag::method::OUTPUT_TYPE)?;
        method.server_streaming = streaming;
        method.output_type = Some(name);
        if self.at("{") { self.method_options(method, place) } else { self.end(";", place) }
    }

    /// `(stream Type)`
    fn method_type(&mut self, place: Place, streaming_step: i32, type_step: i32) -> Parse<(Option<bool>, String)> {
        self.consume("(")?;
        let mut streaming = None;
        if self.at("stream") {
            self.located(place, &[streaming_step], |parser, _| parser.consume("stream"))?;
            streaming = Some(true);
        }
        let name = self.located(place, &[type_step], |parser, _| parser.user_type_name())?;
        self.consume(")")?;
        Ok((streaming, name))
    }

    fn method_options(&mut self, method: &mut MethodDescriptorProto, place: Place) -> Parse {
        // Braces make options, even empty ones.
        let options = &mut method.options.get_or_insert_default().uninterpreted_option;
        self.end("{", place)?;
        while !self.try_end("}", None) {
            if self.at_end() {
                return self.fail("Reached end of input in method options (missing '}').");
            }
            if self.try_end(";", None) {
                continue;
            }
            let result =
                self.located(place, &[tag::method::OPTIONS], |parser, place| parser.option_statement(options, place));
            if result.is_err() {
                self.skip_statement();
            }
        }
        Ok(())
    }
}
