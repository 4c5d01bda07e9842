//! What the parser lets no text say: files that come as descriptors are held to it here.

use buffa_descriptor::generated::descriptor::{DescriptorProto, Edition, FileDescriptorProto};

use crate::dynamic::MessageRef;
use crate::elements::each_options;
use crate::site::Site;

use super::Linker;

impl Linker<'_> {
    /// What the parser lets no file say.
    pub(super) fn check_import_kinds(&mut self, proto: &FileDescriptorProto) {
        let is_late = self.pool.file(self.id).edition() as i32 >= Edition::EDITION_2024 as i32;
        if !proto.option_dependency.is_empty() && !is_late {
            self.error(Site::Nowhere, "option imports are not supported before edition 2024.");
        }
        let is_out = |index: &&i32| usize::try_from(**index).map_or(true, |index| index >= proto.dependency.len());
        for (kind, indices) in [("public", &proto.public_dependency), ("weak", &proto.weak_dependency)] {
            for _ in indices.iter().filter(is_out) {
                self.error(Site::Nowhere, format!("Invalid {kind} dependency index."));
            }
        }
    }

    /// The parser takes identifiers only; a file that comes as a descriptor may say anything.
    pub(super) fn check_name(&mut self, name: &str, site: Site) {
        if name.is_empty() {
            self.error(site, "Missing name.");
        } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.error(site, format!("\"{name}\" is not a valid identifier."));
        }
    }

    /// Each `optional` field of proto3 is alone in a oneof, and those oneofs come last.
    pub(super) fn check_optional_fields(&mut self, message: &DescriptorProto, counts: &[u32]) {
        let mut is_synthetic = vec![false; counts.len()];
        for field in message.field.iter().filter(|field| field.proto3_optional == Some(true)) {
            match field
                .oneof_index
                .and_then(|oneof| usize::try_from(oneof).ok())
                .filter(|&oneof| counts.get(oneof) == Some(&1))
            {
                Some(oneof) => is_synthetic[oneof] = true,
                None => {
                    self.error(Site::Nowhere, "Fields with proto3_optional set must be a member of a one-field oneof");
                }
            }
        }
        let first = is_synthetic.iter().position(|&synthetic| synthetic).unwrap_or(counts.len());
        for _ in is_synthetic[first..].iter().filter(|&&synthetic| !synthetic) {
            self.error(Site::Nowhere, "Synthetic oneofs must be after all other oneofs");
        }
    }

    /// A file that comes as a descriptor has its options by number, not by name: the imports that declare them are
    /// used.
    pub(super) fn use_imports_of_known_options(&mut self) {
        if self.report.positions.is_some() || self.names.unused.is_empty() {
            return;
        }
        let mut proto = (*self.proto()).clone();
        let mut used = Vec::new();
        each_options(&mut proto, &mut |_, _, options| {
            let Some(message) = MessageRef::find(self.pool, options.message_name()) else { return };
            used.extend(
                options
                    .unknown_numbers()
                    .into_iter()
                    .filter_map(|number| self.pool.extension_by_number(message.id, number)),
            );
        });
        for extension in used {
            self.names.unused.remove(&self.pool.extension_file(extension));
        }
    }
}
