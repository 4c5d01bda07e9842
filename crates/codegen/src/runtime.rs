//! The descriptor that generated code carries to runtime.

use buffa_descriptor::generated::descriptor::FileDescriptorProto;

/// Field numbers of `descriptor.proto`, as paths of source locations use them.
const FILE_SERVICE: i32 = 6;

/// Whether generators of Python look at the source location with this path: they read what is written around services
/// and methods.
pub fn is_read_for_python(path: &[i32]) -> bool {
    path.first() == Some(&FILE_SERVICE)
}

/// `file` without source information.
pub(crate) fn descriptor(file: &FileDescriptorProto) -> FileDescriptorProto {
    let mut file = file.clone();
    file.source_code_info.take();
    file
}
