//! The code generated for a corpus, as a crate of its own, and what `main` does with it.
#![deny(warnings)]

#[path = "proto/mod.rs"]
pub mod proto;

mod trips;

/// Messages there and back, until standard input ends.
///
/// # Errors
/// Of standard input and output.
#[allow(deprecated)]
pub fn serve() -> std::io::Result<()> {
    let mut registry = buffa::type_registry::TypeRegistry::new();
    register(&mut registry);
    buffa::type_registry::set_type_registry(registry);
    trips::serve(include!("table.rs"))
}

/// What JSON is to know by name: messages in `Any`, and extensions.
fn register(registry: &mut buffa::type_registry::TypeRegistry) {
    include!("registration.rs")
}
