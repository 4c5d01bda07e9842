//! Every file that is linked or being linked, and what its names stand for.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::features::Features;
use crate::file_set::FileSet;
use crate::hash::{HashMap, HashSet};
use crate::index::{Members, Ranges};
use crate::positions::Positions;
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, Edition, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

/// A file in the [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u32);

/// A message in the [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MessageId(u32);

/// An enum in the [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EnumId(u32);

/// An extension in the [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExtensionId(u32);

/// What a full name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Package,
    Message(MessageId),
    Enum(EnumId),
    EnumValue(EnumId),
    /// A field of a message, by its index there.
    Field(MessageId, u32),
    Extension(ExtensionId),
    Oneof,
    Service,
    Method,
}

/// A full name's meaning and the file that gave it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol {
    pub(crate) file: FileId,
    pub(crate) kind: Kind,
}

impl Symbol {
    /// Whether other names can lie in this one.
    pub(crate) fn is_scope(self) -> bool {
        matches!(self.kind, Kind::Package | Kind::Message(_) | Kind::Enum(_) | Kind::Service)
    }

    pub(crate) fn is_type(self) -> bool {
        matches!(self.kind, Kind::Message(_) | Kind::Enum(_))
    }
}

/// A file of the pool.
#[derive(Default)]
pub(crate) struct File {
    /// Without `source_code_info`.
    pub(crate) proto: Arc<FileDescriptorProto>,
    /// Missing for a file that came without.
    pub(crate) positions: Option<Arc<Positions>>,
    /// What it imports, in order; `None` for an option import that was not found.
    pub(crate) dependencies: Vec<FileId>,
    pub(crate) option_dependencies: Vec<Option<FileId>>,
    /// What whoever imports it may use: itself and what it imports publicly. `None` if that is itself alone.
    exports: Option<FileSet>,
}

impl File {
    pub(crate) fn new(proto: Arc<FileDescriptorProto>, positions: Option<Arc<Positions>>) -> Self {
        File { proto, positions, ..File::default() }
    }

    pub(crate) fn name(&self) -> &str {
        self.proto.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn package(&self) -> &str {
        self.proto.package.as_deref().unwrap_or_default()
    }

    pub(crate) fn edition(&self) -> Edition {
        edition_of(&self.proto)
    }

    /// The files it imports, those for options last.
    pub(crate) fn all_dependencies(&self) -> impl Iterator<Item = FileId> + '_ {
        self.dependencies.iter().copied().chain(self.option_dependencies.iter().copied().flatten())
    }
}

/// Edition 2026, which the typed descriptors do not know: a file of it has `EDITION_MAX` there, and this number as an
/// unknown field.
pub(crate) const EDITION_2026: i32 = 1002;

/// `FileDescriptorProto.edition`.
pub(crate) const EDITION_FIELD: u32 = 14;

/// The number of an edition.
pub(crate) fn number_of(edition: Edition) -> i32 {
    if edition == Edition::EDITION_MAX { EDITION_2026 } else { edition as i32 }
}

/// The edition of a file, proto2 and proto3 included.
pub(crate) fn edition_of(file: &FileDescriptorProto) -> Edition {
    match (file.edition, file.syntax.as_deref()) {
        (Some(edition), _) => edition,
        (None, None | Some("" | "proto2")) => Edition::EDITION_PROTO2,
        (None, Some("proto3")) => Edition::EDITION_PROTO3,
        (None, Some(_)) => Edition::EDITION_UNKNOWN,
    }
}

/// Where a declaration lies: its file, and the messages around it from the outermost in.
#[derive(Clone, Debug)]
struct Place {
    file: FileId,
    scope: Box<[u32]>,
    index: u32,
}

struct Declared {
    full_name: String,
    place: Place,
}

struct DeclaredMessage {
    declared: Declared,
    index: OnceLock<Box<MessageIndex>>,
}

/// What a message holds, by name and by number.
#[derive(Default)]
pub(crate) struct MessageIndex {
    pub(crate) fields: Members,
    pub(crate) extension_ranges: Ranges,
    /// Of each extension range what it declares.
    pub(crate) declarations: OnceLock<Vec<Members>>,
    /// Where the required fields stand.
    pub(crate) required: OnceLock<Vec<usize>>,
    pub(crate) reserved_names: OnceLock<HashSet<String>>,
}

struct DeclaredEnum {
    declared: Declared,
    values: Members,
}

struct DeclaredExtension {
    declared: Declared,
    /// The message and its number there. Known once the file's names are resolved.
    extends: Option<(MessageId, i32)>,
}

/// All files and names known so far.
#[derive(Default)]
pub(crate) struct Pool {
    /// Whether files may be of edition 2026, and options are those it has.
    pub(crate) accepts_2026: bool,
    files: Vec<File>,
    by_path: HashMap<String, FileId>,
    symbols: HashMap<String, Symbol>,
    messages: Vec<DeclaredMessage>,
    enums: Vec<DeclaredEnum>,
    extensions: Vec<DeclaredExtension>,
    by_number: HashMap<(MessageId, i32), ExtensionId>,
    /// Files that did not link.
    forgotten: HashSet<FileId>,
}

/// How much the pool held before a file, so that a file with errors leaves no trace.
pub(crate) struct Checkpoint {
    messages: usize,
    enums: usize,
    extensions: usize,
}

impl Pool {
    pub(crate) fn file_by_path(&self, path: &str) -> Option<FileId> {
        self.by_path.get(path).copied()
    }

    pub(crate) fn file(&self, FileId(index): FileId) -> &File {
        &self.files[index as usize]
    }

    pub(crate) fn proto_mut(&mut self, FileId(index): FileId) -> &mut FileDescriptorProto {
        Arc::make_mut(&mut self.files[index as usize].proto)
    }

    pub(crate) fn positions_mut(&mut self, FileId(index): FileId) -> Option<&mut Positions> {
        self.files[index as usize].positions.as_mut().map(Arc::make_mut)
    }

    pub(crate) fn add_file(&mut self, file: File) -> FileId {
        let id = FileId(self.files.len() as u32);
        self.by_path.insert(file.name().to_owned(), id);
        self.files.push(file);
        id
    }

    pub(crate) fn set_dependencies(
        &mut self,
        id: FileId,
        dependencies: Vec<FileId>,
        option_dependencies: Vec<Option<FileId>>,
    ) {
        let indexes = &self.file(id).proto.public_dependency;
        let public: Vec<FileId> =
            indexes.iter().filter_map(|&index| dependencies.get(index as usize).copied()).collect();
        let exports = (!public.is_empty()).then(|| FileSet::union(self.exported(&public).chain([FileSet::range(id)])));
        let file = &mut self.files[id.0 as usize];
        file.dependencies = dependencies;
        file.option_dependencies = option_dependencies;
        file.exports = exports;
    }

    /// What whoever imports `files` may use: these and what they import publicly.
    pub(crate) fn exports(&self, files: &[FileId]) -> FileSet {
        FileSet::union(self.exported(files))
    }

    fn exported(&self, files: &[FileId]) -> impl Iterator<Item = Range<u32>> {
        files.iter().flat_map(|&id| {
            let set = self.file(id).exports.as_ref();
            let itself = set.is_none().then(|| FileSet::range(id));
            set.into_iter().flat_map(FileSet::ranges).chain(itself)
        })
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let (messages, enums, extensions) = (self.messages.len(), self.enums.len(), self.extensions.len());
        Checkpoint { messages, enums, extensions }
    }

    /// Forgets the last file, which is all that came since the checkpoint. Its number is not used again: what it said
    /// of names is passed over from now on, which takes no longer however many other names there are.
    pub(crate) fn roll_back(&mut self, file: FileId, checkpoint: &Checkpoint) {
        let Checkpoint { messages, enums, extensions } = *checkpoint;
        self.forgotten.insert(file);
        let File { proto, .. } = std::mem::take(&mut self.files[file.0 as usize]);
        self.by_path.remove(proto.name.as_deref().unwrap_or_default());
        for (index, extension) in self.extensions.iter().enumerate().skip(extensions) {
            if let Some(key) = extension.extends
                && self.by_number.get(&key).is_some_and(|id| id.0 as usize == index)
            {
                self.by_number.remove(&key);
            }
        }
        self.messages.truncate(messages);
        self.enums.truncate(enums);
        self.extensions.truncate(extensions);
    }

    pub(crate) fn symbol(&self, full_name: &str) -> Option<Symbol> {
        self.symbols.get(full_name).copied().filter(|symbol| !self.is_forgotten(symbol.file))
    }

    fn is_forgotten(&self, file: FileId) -> bool {
        !self.forgotten.is_empty() && self.forgotten.contains(&file)
    }

    /// Gives a name its meaning, unless it has one, which is returned.
    pub(crate) fn add_symbol(&mut self, full_name: &str, symbol: Symbol) -> Result<(), Symbol> {
        match self.symbol(full_name) {
            Some(existing) => Err(existing),
            None => {
                self.symbols.insert(full_name.to_owned(), symbol);
                Ok(())
            }
        }
    }

    pub(crate) fn add_message(&mut self, full_name: String, file: FileId, scope: &[u32], index: u32) -> MessageId {
        let declared = Declared { full_name, place: Place { file, scope: scope.into(), index } };
        self.messages.push(DeclaredMessage { declared, index: OnceLock::new() });
        MessageId(self.messages.len() as u32 - 1)
    }

    pub(crate) fn add_enum(&mut self, full_name: String, file: FileId, scope: &[u32], index: u32) -> EnumId {
        let declared = Declared { full_name, place: Place { file, scope: scope.into(), index } };
        self.enums.push(DeclaredEnum { declared, values: Members::default() });
        EnumId(self.enums.len() as u32 - 1)
    }

    pub(crate) fn add_extension(&mut self, full_name: String, file: FileId, scope: &[u32], index: u32) -> ExtensionId {
        let declared = Declared { full_name, place: Place { file, scope: scope.into(), index } };
        self.extensions.push(DeclaredExtension { declared, extends: None });
        ExtensionId(self.extensions.len() as u32 - 1)
    }

    /// Notes what an extension extends. A number that is taken stays with the extension that has it, which is
    /// returned.
    pub(crate) fn extend(&mut self, id: ExtensionId, extendee: MessageId, number: i32) -> Result<(), ExtensionId> {
        self.extensions[id.0 as usize].extends = Some((extendee, number));
        match *self.by_number.entry((extendee, number)).or_insert(id) {
            holder if holder == id => Ok(()),
            holder => Err(holder),
        }
    }

    pub(crate) fn extension_by_number(&self, extendee: MessageId, number: i32) -> Option<ExtensionId> {
        self.by_number.get(&(extendee, number)).copied()
    }

    /// The known extensions of a message, by number.
    pub(crate) fn extensions_of(&self, extendee: MessageId) -> impl Iterator<Item = ExtensionId> {
        let mut known: Vec<(i32, ExtensionId)> = self
            .by_number
            .iter()
            .filter(|((message, _), _)| *message == extendee)
            .map(|((_, number), id)| (*number, *id))
            .collect();
        known.sort_by_key(|(number, _)| *number);
        known.into_iter().map(|(_, id)| id)
    }

    pub(crate) fn extendee(&self, id: ExtensionId) -> Option<MessageId> {
        self.extensions[id.0 as usize].extends.map(|(extendee, _)| extendee)
    }

    pub(crate) fn message_name(&self, id: MessageId) -> &str {
        &self.messages[id.0 as usize].declared.full_name
    }

    pub(crate) fn enum_name(&self, id: EnumId) -> &str {
        &self.enums[id.0 as usize].declared.full_name
    }

    pub(crate) fn extension_name(&self, id: ExtensionId) -> &str {
        &self.extensions[id.0 as usize].declared.full_name
    }

    pub(crate) fn message_file(&self, id: MessageId) -> FileId {
        self.messages[id.0 as usize].declared.place.file
    }

    pub(crate) fn extension_file(&self, id: ExtensionId) -> FileId {
        self.extensions[id.0 as usize].declared.place.file
    }

    /// Whether the message lies in another message.
    pub(crate) fn is_nested(&self, id: MessageId) -> bool {
        !self.messages[id.0 as usize].declared.place.scope.is_empty()
    }

    pub(crate) fn is_nested_enum(&self, id: EnumId) -> bool {
        !self.enums[id.0 as usize].declared.place.scope.is_empty()
    }

    pub(crate) fn message(&self, id: MessageId) -> &DescriptorProto {
        let Place { file, scope, index } = &self.messages[id.0 as usize].declared.place;
        match self.scope(*file, scope) {
            Some(parent) => &parent.nested_type[*index as usize],
            None => &self.file(*file).proto.message_type[*index as usize],
        }
    }

    pub(crate) fn enumeration(&self, id: EnumId) -> &EnumDescriptorProto {
        let Place { file, scope, index } = &self.enums[id.0 as usize].declared.place;
        match self.scope(*file, scope) {
            Some(parent) => &parent.enum_type[*index as usize],
            None => &self.file(*file).proto.enum_type[*index as usize],
        }
    }

    pub(crate) fn message_index(&self, id: MessageId) -> &MessageIndex {
        self.messages[id.0 as usize].index.get_or_init(Box::default)
    }

    pub(crate) fn enum_values(&self, id: EnumId) -> &Members {
        &self.enums[id.0 as usize].values
    }

    pub(crate) fn extension(&self, id: ExtensionId) -> &FieldDescriptorProto {
        let Place { file, scope, index } = &self.extensions[id.0 as usize].declared.place;
        match self.scope(*file, scope) {
            Some(parent) => &parent.extension[*index as usize],
            None => &self.file(*file).proto.extension[*index as usize],
        }
    }

    /// The message at the end of a chain of indices; `None` for the file itself.
    fn scope(&self, file: FileId, scope: &[u32]) -> Option<&DescriptorProto> {
        let (first, rest) = scope.split_first()?;
        let outermost = &self.file(file).proto.message_type[*first as usize];
        Some(rest.iter().fold(outermost, |message, &index| &message.nested_type[index as usize]))
    }

    /// Features of the message at the end of a chain of indices, or of the file.
    fn scope_features(&self, file: FileId, scope: &[u32]) -> Features {
        let file = self.file(file);
        let own = file.proto.options.as_option().and_then(|options| options.features.as_option());
        let mut features = Features::of_edition(file.edition()).with(own);
        let mut messages = &file.proto.message_type;
        for &index in scope {
            let message = &messages[index as usize];
            features = features.with(message.options.as_option().and_then(|options| options.features.as_option()));
            messages = &message.nested_type;
        }
        features
    }

    pub(crate) fn message_features(&self, id: MessageId) -> Features {
        let Place { file, scope, index } = &self.messages[id.0 as usize].declared.place;
        self.scope_features(*file, &[scope, &[*index][..]].concat())
    }

    pub(crate) fn enum_features(&self, id: EnumId) -> Features {
        let Place { file, scope, .. } = &self.enums[id.0 as usize].declared.place;
        let own = self.enumeration(id).options.as_option().and_then(|options| options.features.as_option());
        self.scope_features(*file, scope).with(own)
    }

    /// Features around an extension.
    pub(crate) fn extension_scope_features(&self, id: ExtensionId) -> Features {
        let Place { file, scope, .. } = &self.extensions[id.0 as usize].declared.place;
        self.scope_features(*file, scope)
    }

    /// The message a resolved type name (`.package.Name`) stands for.
    pub(crate) fn message_by_type_name(&self, type_name: Option<&str>) -> Option<MessageId> {
        match self.symbol(type_name?.strip_prefix('.')?)?.kind {
            Kind::Message(id) => Some(id),
            _ => None,
        }
    }

    /// The enum a resolved type name stands for.
    pub(crate) fn enum_by_type_name(&self, type_name: Option<&str>) -> Option<EnumId> {
        match self.symbol(type_name?.strip_prefix('.')?)?.kind {
            Kind::Enum(id) => Some(id),
            _ => None,
        }
    }
}
