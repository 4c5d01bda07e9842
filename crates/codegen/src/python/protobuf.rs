//! The protobuf runtime that a `_pb2.py` is for, and what older ones need to be written otherwise.

use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto};

use super::bootstrap;
use crate::PROTOBUF_PYTHON_VERSION;
use crate::schema::file_name;

/// The option that asks for code for an older runtime: `protobuf_runtime=5.29`.
pub(super) const OPTION: &str = "protobuf_runtime";

/// A release of the Python package `protobuf`: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Runtime(u32, u32, u32);

/// The oldest that can be asked for: the last of 4.x, whose modules are built as ours are.
const OLDEST: Runtime = Runtime(4, 25, 0);

/// The newest that can be asked for, one release ahead.
const NEXT: (u32, u32) = (7, 36);

/// The first that resets options by `_loaded_options`.
const LOADED_OPTIONS: Runtime = Runtime(5, 26, 0);

/// The first whose modules say which runtime they need.
const CHECKED: Runtime = Runtime(5, 27, 0);

/// The first runtime that loads files of an edition.
const EDITIONS: [(Edition, &str, Runtime); 3] = [
    (Edition::EDITION_2023, "2023", Runtime(5, 27, 0)),
    (Edition::EDITION_2024, "2024", Runtime(6, 32, 0)),
    // The typed descriptors call it so.
    (Edition::EDITION_MAX, "2026", Runtime(7, 36, 0)),
];

impl Runtime {
    /// The one that is written for by default.
    pub(super) const NEWEST: Self =
        Self(PROTOBUF_PYTHON_VERSION.0, PROTOBUF_PYTHON_VERSION.1, PROTOBUF_PYTHON_VERSION.2);

    /// `5.29` or `5.29.3`.
    pub(super) fn parse(value: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u32>> = value.split('.').map(|part| part.parse().ok()).collect();
        let runtime = match numbers.as_deref() {
            Some(&[major, minor]) => Self(major, minor, 0),
            Some(&[major, minor, patch]) => Self(major, minor, patch),
            _ => {
                return Err(format!("{OPTION}={value}: expected a version of the Python package protobuf, as in 5.29"));
            }
        };
        if runtime < OLDEST || (runtime.0, runtime.1) > NEXT {
            let (major, minor) = NEXT;
            return Err(format!(
                "{OPTION}={value}: code can be written for protobuf {} to {major}.{minor}",
                OLDEST.text()
            ));
        }
        Ok(runtime)
    }

    /// Refuses a file that the runtime could not load.
    pub(super) fn check(self, file: &FileDescriptorProto) -> Result<(), String> {
        if self != Self::NEWEST && file_name(file) == bootstrap::FILE {
            return Err(format!("Each release of protobuf has this file of its own: leave {OPTION} out."));
        }
        let needed = EDITIONS.iter().find(|(edition, _, first)| file.edition == Some(*edition) && self < *first);
        match needed {
            Some((_, edition, first)) => Err(format!(
                "protobuf {} cannot load files of edition {edition}: write the file for an earlier one, or the code for \
                 {OPTION}={}.{}",
                self.text(),
                first.0,
                first.1
            )),
            None => Ok(()),
        }
    }

    /// `5.29.0`.
    pub(super) fn text(self) -> String {
        format!("{}.{}.{}", self.0, self.1, self.2)
    }

    /// The call that fails at import if the runtime is older; `source` is the `.proto`.
    pub(super) fn validation(self, source: &str) -> Option<String> {
        let Self(major, minor, patch) = self;
        self.is_checked().then(|| {
            format!(
                "_runtime_version.ValidateProtobufRuntimeVersion(\n    _runtime_version.Domain.PUBLIC,\n    {major},\n    \
                 {minor},\n    {patch},\n    '',\n    '{source}'\n)"
            )
        })
    }

    pub(super) fn is_checked(self) -> bool {
        self >= CHECKED
    }

    /// The attribute under which pure Python keeps parsed options.
    pub(super) fn options_attribute(self) -> &'static str {
        if self >= LOADED_OPTIONS { "_loaded_options" } else { "_options" }
    }

    /// The condition of what is for pure Python only.
    pub(super) fn pure_python(self) -> &'static str {
        if self >= LOADED_OPTIONS {
            "if not _descriptor._USE_C_DESCRIPTORS:"
        } else {
            "if _descriptor._USE_C_DESCRIPTORS == False:"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_taken_from_the_oldest_to_ours() {
        for (text, expected) in
            [("4.25", Runtime(4, 25, 0)), ("5.29.3", Runtime(5, 29, 3)), (&Runtime::NEWEST.text(), Runtime::NEWEST)]
        {
            assert_eq!(Runtime::parse(text), Ok(expected));
        }
        let past = format!("{}.{}", NEXT.0, NEXT.1 + 1);
        for text in ["4.24.9", &past, "99.0", "5", "5.x", "", "5.29.0.1", "4294967296.0"] {
            assert!(Runtime::parse(text).is_err_and(|error| error.starts_with("protobuf_runtime=")), "{text}");
        }
    }

    #[test]
    fn files_of_editions_that_a_runtime_lacks_are_refused() {
        let file = |edition| FileDescriptorProto { edition: Some(edition), ..FileDescriptorProto::default() };
        for (edition, before, from) in [
            (Edition::EDITION_2023, "5.26.9", "5.27"),
            (Edition::EDITION_2024, "6.31.9", "6.32"),
            (Edition::EDITION_MAX, "7.35.1", "7.36"),
        ] {
            let error = Runtime::parse(before).and_then(|runtime| runtime.check(&file(edition))).unwrap_err();
            assert!(error.contains(&format!("protobuf_runtime={from}")), "{error}");
            assert_eq!(Runtime::parse(from).and_then(|runtime| runtime.check(&file(edition))), Ok(()));
        }
        assert_eq!(OLDEST.check(&FileDescriptorProto::default()), Ok(()));
        let bootstrap = FileDescriptorProto { name: Some(bootstrap::FILE.into()), ..FileDescriptorProto::default() };
        assert!(OLDEST.check(&bootstrap).is_err());
        assert_eq!(Runtime::NEWEST.check(&bootstrap), Ok(()));
    }
}
