//! Reads messages from standard input and writes them to standard output, by way of the generated types.

fn main() -> std::io::Result<()> {
    farcall_generated::serve()
}
