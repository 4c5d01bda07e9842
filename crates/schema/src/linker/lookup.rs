//! From a name as written to the symbol it means, by protobuf's scoping rules.

use std::collections::BTreeSet;

use buffa_descriptor::generated::descriptor::SymbolVisibility;
use buffa_descriptor::generated::descriptor::feature_set::visibility_feature::DefaultSymbolVisibility;

use crate::file_set::FileSet;
use crate::hash::HashMap;
use crate::pool::{FileId, Kind, Pool, Symbol};
use crate::site::Site;

use super::Linker;

/// Why a look-up found nothing.
#[derive(Default)]
pub(crate) struct Miss {
    /// A file that has the name but is not imported.
    undeclared: Option<(FileId, String)>,
    /// What the name means in the innermost scope that has its first part.
    pub(crate) resolved: Option<String>,
}

/// What a look-up is after.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Anything,
    /// Messages and enums; other things of that name are passed over.
    Types,
}

/// Which names a file may use, and which imports that took.
pub(crate) struct Names {
    file: FileId,
    /// Files it imports, and files it imports for their options only.
    pub(super) imports: Vec<FileId>,
    pub(super) option_imports: Vec<FileId>,
    /// These and what they import publicly: known once a name is looked up that is not the file's own.
    visible: Option<[FileSet; 2]>,
    /// Packages that visible files have and this one has not, and others that were asked for.
    packages: HashMap<String, bool>,
    /// Imports nothing has needed so far.
    pub(super) unused: BTreeSet<FileId>,
    /// Why the last look-up found nothing.
    pub(crate) miss: Miss,
}

impl Names {
    pub(super) fn new(file: FileId) -> Self {
        Names {
            file,
            imports: Vec::new(),
            option_imports: Vec::new(),
            visible: None,
            packages: HashMap::default(),
            unused: BTreeSet::new(),
            miss: Miss::default(),
        }
    }

    /// Files whose names may be used, and files whose extensions may be used in options.
    fn visible(&mut self, pool: &Pool) -> &[FileSet; 2] {
        let (imports, option_imports) = (&self.imports, &self.option_imports);
        self.visible.get_or_insert_with(|| [pool.exports(imports), pool.exports(option_imports)])
    }

    /// Whether this file or one that it may use is in the package.
    fn has_package(&mut self, pool: &Pool, name: &str) -> bool {
        let is_in_package = |file: FileId| {
            let rest = pool.file(file).package().strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if is_in_package(self.file) {
            return true;
        }
        if let Some(&known) = self.packages.get(name) {
            return known;
        }
        let [visible, visible_options] = self.visible(pool);
        let is_visible = visible.iter().chain(visible_options.iter()).any(is_in_package);
        self.packages.insert(name.to_owned(), is_visible);
        is_visible
    }

    /// Finds a full name in any file, imported or not.
    pub(crate) fn find_anywhere(&mut self, pool: &Pool, name: &str) -> Option<Symbol> {
        let symbol = pool.symbol(name)?;
        if symbol.file != self.file && symbol.kind != Kind::Package {
            let [visible, visible_options] = self.visible(pool);
            if visible.contains(symbol.file) || visible_options.contains(symbol.file) {
                self.unused.remove(&symbol.file);
            }
        }
        Some(symbol)
    }

    /// Finds a full name in this file and in what it may use.
    pub(crate) fn find_symbol(&mut self, pool: &Pool, name: &str) -> Option<Symbol> {
        let symbol = self.find_anywhere(pool, name)?;
        if symbol.file == self.file {
            return Some(symbol);
        }
        let [visible, visible_options] = self.visible(pool);
        let is_field = matches!(symbol.kind, Kind::Field(..) | Kind::Extension(_));
        if visible.contains(symbol.file) || (is_field && visible_options.contains(symbol.file)) {
            return Some(symbol);
        }
        if symbol.kind == Kind::Package && self.has_package(pool, name) {
            return Some(symbol);
        }
        self.miss.undeclared = Some((symbol.file, name.to_owned()));
        None
    }

    /// Finds what `name` means in the scope that holds `relative_to`: the innermost scope that has the name's first
    /// part decides.
    pub(crate) fn look_up(&mut self, pool: &Pool, name: &str, relative_to: &str, want: Want) -> Option<Symbol> {
        self.miss = Miss::default();
        if let Some(absolute) = name.strip_prefix('.') {
            return self.find_symbol(pool, absolute);
        }
        let first_part = name.split('.').next().unwrap_or(name);
        let mut scope = relative_to.to_owned();
        loop {
            let Some(dot) = scope.rfind('.') else {
                return self.find_symbol(pool, name);
            };
            scope.truncate(dot);
            scope.push('.');
            scope.push_str(first_part);
            if let Some(symbol) = self.find_symbol(pool, &scope) {
                if first_part.len() < name.len() {
                    if symbol.is_scope() {
                        scope.push_str(&name[first_part.len()..]);
                        let found = self.find_symbol(pool, &scope);
                        if found.is_none() {
                            self.miss.resolved = Some(scope);
                        }
                        return found;
                    }
                } else if want == Want::Anything || symbol.is_type() {
                    return Some(symbol);
                }
            }
            scope.truncate(dot);
        }
    }
}

impl Linker<'_> {
    pub(super) fn look_up(&mut self, name: &str, relative_to: &str, want: Want) -> Option<Symbol> {
        self.names.look_up(self.pool, name, relative_to, want)
    }

    /// Why a symbol of another file may not be used here, if so. `usage` says as what.
    pub(super) fn hidden(&self, symbol: Symbol, usage: &str) -> Option<String> {
        if symbol.file == self.id {
            return None;
        }
        let (visibility, features, is_nested, full_name) = match symbol.kind {
            Kind::Message(id) => {
                let visibility = self.pool.message(id).visibility;
                (visibility, self.pool.message_features(id), self.pool.is_nested(id), self.pool.message_name(id))
            }
            Kind::Enum(id) => {
                let visibility = self.pool.enumeration(id).visibility;
                (visibility, self.pool.enum_features(id), self.pool.is_nested_enum(id), self.pool.enum_name(id))
            }
            _ => return None,
        };
        let default = features.default_symbol_visibility;
        let is_exported = match (visibility, default) {
            (Some(SymbolVisibility::VISIBILITY_EXPORT), _) => true,
            (Some(SymbolVisibility::VISIBILITY_LOCAL), _) => false,
            (_, DefaultSymbolVisibility::EXPORT_TOP_LEVEL) => !is_nested,
            (_, DefaultSymbolVisibility::LOCAL_ALL | DefaultSymbolVisibility::STRICT) => false,
            _ => true,
        };
        if is_exported {
            return None;
        }
        let reason = if visibility == Some(SymbolVisibility::VISIBILITY_LOCAL) {
            "It is explicitly marked 'local'".to_owned()
        } else {
            format!("It defaulted to local from file-level 'option features.default_symbol_visibility = '{default:?}';")
        };
        Some(format!(
            "Symbol \"{full_name}\", defined in \"{}\" {usage} is not visible from \"{}\". {reason} and cannot be \
             accessed outside its own file",
            self.pool.file(symbol.file).name(),
            self.pool.file(self.id).name()
        ))
    }

    /// Reports that the last look-up found nothing.
    pub(crate) fn not_defined(&mut self, site: Site, name: &str) {
        let Miss { undeclared, resolved } = std::mem::take(&mut self.names.miss);
        if undeclared.is_none() && resolved.is_none() {
            self.error(site.clone(), format!("\"{name}\" is not defined."));
        }
        if let Some((file, full_name)) = undeclared {
            let message = format!(
                "\"{full_name}\" seems to be defined in \"{}\", which is not imported by \"{}\".  To use it here, please \
                 add the necessary import.",
                self.pool.file(file).name(),
                self.pool.file(self.id).name()
            );
            self.error(site.clone(), message);
        }
        if let Some(resolved) = resolved {
            self.error(
                site,
                format!(
                    "\"{name}\" is resolved to \"{resolved}\", which is not defined. The innermost scope is searched \
                     first in name resolution. Consider using a leading '.'(i.e., \".{name}\") to start from the \
                     outermost scope."
                ),
            );
        }
    }
}
