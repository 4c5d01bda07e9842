//! Options that are retained in source only, and descriptors without them.

use buffa_descriptor::generated::descriptor::FileDescriptorProto;
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;
use buffa_descriptor::generated::descriptor::field_options::OptionRetention;

use crate::builtin;
use crate::dynamic::{Dynamic, MessageRef, Value};
use crate::elements::each_options;
use crate::pool::Pool;

/// Removes such options and their locations. What stays is put into the order of dynamic messages, as protoc does.
pub(crate) fn strip(pool: &Pool, file: &mut FileDescriptorProto) {
    let pool = if pool.symbol("google.protobuf.FileDescriptorProto").is_some() { pool } else { builtin::pool() };
    let mut stripped: Vec<Vec<i32>> = Vec::new();
    each_options(file, &mut |path, _, options| {
        if options.is_plain() {
            return;
        }
        let Some(message) = MessageRef::find(pool, options.message_name()) else { return };
        let bytes = options.encode();
        let Some(mut dynamic) = Dynamic::decode(message, &bytes) else { return };
        let mut path = path.to_vec();
        strip_message(&mut dynamic, &mut path, &mut stripped);
        let kept = dynamic.encode();
        if kept.is_empty() && !bytes.is_empty() {
            options.clear();
            stripped.push(path);
        } else if kept != bytes {
            options.replace(&kept);
        }
    });
    if let Some(info) = file.source_code_info.as_option_mut().filter(|_| !stripped.is_empty()) {
        info.location.retain(|location| !stripped.iter().any(|path| location.path.starts_with(path)));
    }
}

fn strip_message(message: &mut Dynamic<'_>, path: &mut Vec<i32>, stripped: &mut Vec<Vec<i32>>) {
    message.fields.retain(|&number, slot| {
        path.push(number);
        let options = slot.field.proto.options.as_option();
        let is_source_only =
            options.is_some_and(|options| options.retention == Some(OptionRetention::RETENTION_SOURCE));
        if is_source_only {
            stripped.push(path.clone());
        } else if slot.field.wire_type() == Type::TYPE_MESSAGE {
            for (index, value) in slot.values.iter_mut().enumerate() {
                let Value::Message(inner) = value else { continue };
                if slot.field.is_repeated() {
                    path.push(index as i32);
                    strip_message(inner, path, stripped);
                    path.pop();
                } else {
                    strip_message(inner, path, stripped);
                }
            }
        }
        path.pop();
        !is_source_only
    });
}
