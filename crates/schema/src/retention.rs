//! Options that are retained in source only, and descriptors without them.

use std::sync::Arc;

use buffa_descriptor::generated::descriptor::FileDescriptorProto;
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;
use buffa_descriptor::generated::descriptor::field_options::OptionRetention;

use crate::builtin;
use crate::dynamic::{Dynamic, MessageRef, Value};
use crate::elements::each_options;
use crate::hash::{HashMap, HashSet};
use crate::nodes::visit;
use crate::pool::{FileId, Pool};

/// What becomes of the options of one file.
#[derive(Default)]
struct Edits {
    /// What options messages become, by path; nothing if they go.
    options: HashMap<Vec<i32>, Option<Vec<u8>>>,
    /// Paths of all that goes.
    stripped: HashSet<Vec<i32>>,
}

/// Removes such options and their locations from `file`, which is the pool's or a copy with source information. What
/// stays is put into the order of dynamic messages, as protoc does.
pub(crate) fn strip(pool: &Pool, id: FileId, file: &mut Arc<FileDescriptorProto>) {
    let Edits { options: edits, stripped } = edits(pool, id);
    if edits.is_empty() && stripped.is_empty() {
        return;
    }
    let file = Arc::make_mut(file);
    each_options(file, &mut |path, _, options| match edits.get(path) {
        Some(Some(kept)) => options.replace(kept),
        Some(None) => options.clear(),
        None => {}
    });
    if let Some(info) = file.source_code_info.as_option_mut().filter(|_| !stripped.is_empty()) {
        let goes = |path: &[i32]| (1..=path.len()).any(|steps| stripped.contains(&path[..steps]));
        info.location.retain(|location| !goes(&location.path));
    }
}

fn edits(pool: &Pool, id: FileId) -> Edits {
    let options_pool = if pool.symbol("google.protobuf.FileDescriptorProto").is_some() {
        pool
    } else {
        builtin::pool(pool.accepts_2026)
    };
    let mut edits = Edits::default();
    visit(pool, id, &mut |node| {
        let Some(options) = node.options.filter(|options| !options.is_plain()) else { return };
        let Some(message) = MessageRef::find(options_pool, options.message_name()) else { return };
        let bytes = options.encode();
        let Some(mut dynamic) = Dynamic::decode(message, &bytes) else { return };
        let mut path = [node.path, &[node.item.options_step()]].concat();
        strip_message(&mut dynamic, &mut path, &mut edits.stripped);
        let kept = dynamic.encode();
        if kept.is_empty() && !bytes.is_empty() {
            edits.stripped.insert(path.clone());
            edits.options.insert(path, None);
        } else if kept != bytes {
            edits.options.insert(path, Some(kept));
        }
    });
    edits
}

fn strip_message(message: &mut Dynamic<'_>, path: &mut Vec<i32>, stripped: &mut HashSet<Vec<i32>>) {
    message.fields.retain(|&number, slot| {
        path.push(number);
        let options = slot.field.proto.options.as_option();
        let is_source_only =
            options.is_some_and(|options| options.retention == Some(OptionRetention::RETENTION_SOURCE));
        if is_source_only {
            stripped.insert(path.clone());
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
