//! Compiles the contracts of the examples.

fn main() -> Result<(), farcall_build::Error> {
    farcall_build::configure().compile(&["../proto/greeter.proto", "../proto/route_guide.proto"], &["../proto"])
}
