//! The Rust generated for the files of `corpus.txt`, warnings being errors, and what `main` does with it.
//!
//! That it compiles is the first test; `test_round_trips.py` and those in `tests` are the others. What the code looks
//! like is tested in `crates/codegen`, and larger corpora are tried by `tests/golden/rust/corpus.py`.
#![deny(warnings)]

/// The generated code.
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/_includes.rs"));
}

/// Code generated with all that a user may choose.
pub mod chosen {
    include!(concat!(env!("OUT_DIR"), "/chosen/mod.rs"));
}

/// Code with attributes and types of the user's own.
pub mod custom {
    /// The services.
    #[allow(missing_docs)]
    pub mod kinds {
        include!(concat!(env!("OUT_DIR"), "/custom/sample.kinds.rs"));
    }
    /// The messages.
    #[allow(unused_imports)]
    pub mod library {
        include!(concat!(env!("OUT_DIR"), "/custom/library.v1.rs"));
    }
}

/// Code for names that Rust cannot have.
pub mod hard {
    include!(concat!(env!("OUT_DIR"), "/hard/mod.rs"));
}

/// Code for files that were made up: that it compiles is the test.
#[allow(unused)]
pub mod made_up {
    include!(concat!(env!("OUT_DIR"), "/made_up/mod.rs"));
}

/// The descriptors of `chosen`, and of all they import.
pub const DESCRIPTORS: &[u8] = farcall::include_file_descriptor_set!("chosen/lending.binpb");

#[path = "../../golden/rust/crate/trips.rs"]
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
    trips::serve(include!(concat!(env!("OUT_DIR"), "/table.rs")))
}

/// Makes messages known by name, for `Any`, and extensions.
pub fn register(registry: &mut buffa::type_registry::TypeRegistry) {
    buffa_types::register_wkt_types(registry);
    include!(concat!(env!("OUT_DIR"), "/registration.rs"))
}
