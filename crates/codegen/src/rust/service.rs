//! Clients and server traits for services.

use buffa_descriptor::generated::descriptor::ServiceDescriptorProto;

use super::{Comments, RustOptions};

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
    let _ = (service, package, comments, types, options);
    String::new()
}
