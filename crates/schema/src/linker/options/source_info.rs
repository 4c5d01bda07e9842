//! Interpreted options have moved; so do their locations.

use buffa_descriptor::generated::descriptor::FileDescriptorProto;

use super::Moves;

/// Gives each option's location its new path and drops the locations inside it.
pub(super) fn move_options(file: &mut FileDescriptorProto, moves: &Moves) {
    let Some(info) = file.source_code_info.as_option_mut() else { return };
    let mut moved: Option<Vec<i32>> = None;
    info.location.retain_mut(|location| {
        if moved.as_ref().is_some_and(|path| location.path.starts_with(path)) {
            return false;
        }
        moved = None;
        if let Some(path) = moves.get(&location.path) {
            moved = Some(std::mem::replace(&mut location.path, path.clone()));
        }
        true
    });
}
