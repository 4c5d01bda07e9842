//! `--help`.

pub(crate) const TEXT: &str = "\
Usage: farcall-protoc [OPTION] PROTO_FILES
Parse PROTO_FILES and write code for them, as protoc does.
  -IPATH, --proto_path=PATH   A directory to search for imports; may be given
                              more than once, and as a list with ':'. Searched
                              in order. VIRTUAL=PATH gives the files in PATH
                              the prefix VIRTUAL. Default: the current
                              directory.
  --python_out=[OPTIONS:]DIR  Write Python messages (_pb2.py).
  --pyi_out=[OPTIONS:]DIR     Write the types of Python messages (_pb2.pyi).
  --grpc_python_out=[OPTIONS:]DIR
                              Write Python stubs and servicers (_pb2_grpc.py).
  --rust_out=[OPTIONS:]DIR    Write Rust messages, clients and servers.
  --NAME_out=[OPTIONS:]DIR    Run the plugin protoc-gen-NAME, from PATH or from
                              --plugin=[protoc-gen-NAME=]PROGRAM.
  --NAME_opt=OPTIONS          More options for the plugin.
  -oFILE,                     Write a FileDescriptorSet of the input files to
    --descriptor_set_out=FILE FILE.
  --include_imports           With --descriptor_set_out, put the imports in
                              the set too.
  --include_source_info       With --descriptor_set_out, keep positions and
                              comments.
  --retain_options            With --descriptor_set_out, keep options that
                              are retained in source only.
  --descriptor_set_in=FILES   Take PROTO_FILES from these FileDescriptorSets
                              (a list with ':').
  --dependency_out=FILE       Write a rule for make: what was written depends
                              on what was read.
  --print_free_field_numbers  Print the free field numbers of each message.
  --error_format=FORMAT       'gcc' (the default) or 'msvs'.
  --fatal_warnings            Fail if there are warnings.
  --version                   Show the version and exit.
  -h, --help                  Show this text and exit.
  @FILE                       Read arguments from FILE, one in each line,
                              without quoting.
";
