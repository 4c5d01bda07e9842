//! The modules that packages become.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::marks::{Marks, plain};

/// Names of modules that `buffa-codegen` takes, or that Rust cannot have.
const UNAVAILABLE: [&str; 6] = ["_", "self", "Self", "super", "crate", "__buffa"];

/// The packages of a run, by their proto names.
#[derive(Debug, Default)]
pub(super) struct Packages {
    /// What those are called, marked, that have a segment which is no module's name.
    renamed: HashMap<String, String>,
}

impl Packages {
    pub(super) fn choose<'a>(packages: impl Iterator<Item = &'a str>, marks: &mut Marks) -> Self {
        let mut children: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in packages.filter(|package| !package.is_empty()) {
            let ends = package.match_indices('.').map(|(end, _)| end).chain([package.len()]);
            let mut parent = "";
            for path in ends.map(|end| &package[..end]) {
                children.entry(parent).or_default().insert(path);
                parent = path;
            }
        }
        let mut found = Self::default();
        // Parents come before what is below them.
        for (parent, paths) in &children {
            let segment = |path: &'a str| path.rsplit('.').next().unwrap_or_default();
            let mut taken: HashSet<String> = paths.iter().map(|&path| segment(path).to_owned()).collect();
            for &path in paths {
                let segment = segment(path);
                let name = if UNAVAILABLE.contains(&segment) {
                    let mut name = if segment.starts_with('_') { format!("x{segment}") } else { format!("{segment}_") };
                    while !taken.insert(name.clone()) {
                        name.push('_');
                    }
                    marks.mark(&name, segment)
                } else {
                    segment.to_owned()
                };
                let parent = found.of(parent);
                let new = if parent.is_empty() { name } else { format!("{parent}.{name}") };
                if new != path {
                    found.renamed.insert(path.to_owned(), new);
                }
            }
        }
        found
    }

    /// What a package is called in the renamed files.
    pub(super) fn of<'a>(&'a self, package: &'a str) -> &'a str {
        self.renamed.get(package).map_or(package, String::as_str)
    }

    /// The modules of a package, keywords not yet escaped.
    pub(super) fn modules(&self, package: &str) -> Vec<String> {
        self.of(package).split('.').filter(|segment| !segment.is_empty()).map(plain).collect()
    }

    /// Old and new names of those that are renamed.
    pub(super) fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.renamed.iter().map(|(old, new)| (old.as_str(), new.as_str()))
    }

    /// The names of the files of packages, which are those of the packages but for one that is `_`, for no package has
    /// that file, and for one that is called like the tree of modules.
    pub(super) fn files<'a>(packages: impl Iterator<Item = &'a str>, tree: &str) -> HashMap<String, String> {
        let packages: BTreeSet<&str> = packages.collect();
        let mut taken: HashSet<String> = packages.iter().map(|package| format!("{package}.rs")).collect();
        let mut file = |package: &str| {
            let mut name = if package.is_empty() { "_.rs".to_owned() } else { format!("{package}.rs") };
            let mut stem = package.to_owned();
            while package == "_" && stem == "_" || name == tree || stem != package && !taken.insert(name.clone()) {
                stem.push('_');
                name = format!("{stem}.rs");
            }
            name
        };
        packages.iter().map(|package| ((*package).to_owned(), file(package))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(packages: &[&str]) -> Vec<String> {
        let chosen = Packages::choose(packages.iter().copied(), &mut Marks::default());
        packages.iter().map(|package| chosen.modules(package).join("::")).collect()
    }

    #[test]
    fn packages_are_modules_that_rust_can_have() {
        let packages = ["", "a.b", "_", "_.self.c", "x_", "a.crate", "a.crate_", "a.__buffa.super", "type"];
        let expected =
            ["", "a::b", "x__", "x__::self_::c", "x_", "a::crate__", "a::crate_", "a::x__buffa::super_", "type"];
        assert_eq!(modules(&packages), expected);
    }

    #[test]
    fn files_are_called_like_packages_and_never_the_same() {
        let files = Packages::files(["", "_", "__", "mod", "mod_", "a.b"].into_iter(), "mod.rs");
        let names = ["", "_", "__", "mod", "mod_", "a.b"].map(|package| files[package].as_str());
        assert_eq!(names, ["_.rs", "___.rs", "__.rs", "mod__.rs", "mod_.rs", "a.b.rs"]);
    }
}
