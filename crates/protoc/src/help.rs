//! `--help`.

/// The first line of the help: `program` as it was called.
pub(crate) fn usage(program: &str) -> String {
    format!("Usage: {program} [OPTION] PROTO_FILES\n")
}

/// The text, but for its first line, which [`usage`] gives.
pub(crate) const TEXT: &str = "\
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
                              For all three, OPTIONS may be relative_imports:
                              import from where the module is. For the last
                              also typed_stubs: write _pb2_grpc.pyi too.
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
  --edition_defaults_out=FILE Write the defaults of features in all editions, as a
                              FeatureSetDefaults, to FILE.
    --edition_defaults_minimum=EDITION, --edition_defaults_maximum=EDITION
                              The first and the last edition of these.
  --dependency_out=FILE       Write a rule for make: what was written depends
                              on what was read.
  --print_free_field_numbers  Print the free field numbers of each message.
  --error_format=FORMAT       'gcc', 'msvs', or 'pretty': drawn with the line of
                              source. Default: 'pretty' on a terminal, else
                              'gcc'.
  --encode=MESSAGE_TYPE       Read a message in text format from standard
                              input and write it in binary to standard output.
  --deterministic_output      With --encode, sort the entries of maps.
  --decode=MESSAGE_TYPE       Read a binary message from standard input and
                              write it in text format to standard output.
  --decode_raw                The same for a message of unknown type; takes no
                              PROTO_FILES.
  --direct_dependencies=FILES What PROTO_FILES may import (a list with ':').
  --option_dependencies=FILES What they may import with 'import option'.
  --direct_dependencies_violation_msg=TEXT,
    --option_dependencies_violation_msg=TEXT
                              What to say of other imports, with %s for the
                              import.
  --disallow_services         Fail if PROTO_FILES have services.
  --fatal_warnings            Fail if there are warnings.
  --experimental_editions     Take PROTO_FILES of editions that are not finished.
  --enable_codegen_trace      Taken, without effect.
  --unsafe_allow_out_dir_escape
                              Let plugins write files outside of the output
                              directory.
  --notices                   Show the notices of what is built in and exit.
  --version                   Show the version and exit.
  -h, --help                  Show this text and exit.
  @FILE                       Read arguments from FILE, one in each line,
                              without quoting.
";

/// `--notices`: not protoc's, whose libraries are not in here.
pub(crate) const NOTICES: &str = include_str!("notices.txt");
