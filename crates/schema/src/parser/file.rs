//! The file itself: syntax, package, imports, and which statement comes next.

use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto, SymbolVisibility};

use super::{Failed, Parse, Parser, Place, Syntax};
use crate::diagnostic::Severity;
use crate::lexer::Finding;
use crate::pool::{EDITION_2026, EDITION_FIELD};
use crate::tag;

impl Parser<'_> {
    /// Parses everything. Errors are among the findings.
    pub(super) fn file(&mut self, file: &mut FileDescriptorProto) {
        self.next_statement_comments();
        let root = self.open(None, &[]);
        if self.at("syntax") || self.at("edition") {
            if self.syntax_statement(root).is_err() {
                // Nothing can be said about a file in an unknown language.
                return;
            }
            match self.syntax {
                Syntax::Proto2 => file.syntax = Some("proto2".into()),
                Syntax::Proto3 => file.syntax = Some("proto3".into()),
                Syntax::Editions => {
                    file.syntax = Some("editions".into());
                    file.edition = Some(self.edition);
                    if self.is_2026 {
                        // Known by name and number, but not to the typed descriptors.
                        let data = buffa::UnknownFieldData::Varint(EDITION_2026 as u64);
                        file.__buffa_unknown_fields.push(buffa::UnknownField { number: EDITION_FIELD, data });
                    }
                }
            }
        } else {
            self.note_missing_syntax(file);
        }
        while !self.at_end() {
            if self.top_level_statement(file, root).is_err() {
                self.skip_statement();
                if self.at("}") {
                    self.error("Unmatched \"}\".");
                    self.next_statement_comments();
                }
            }
        }
        self.close(root);
    }

    fn next_statement_comments(&mut self) {
        let comments = self.lexer.next_with_comments();
        self.upcoming_leading = comments.leading;
        self.upcoming_detached = comments.detached;
    }

    fn note_missing_syntax(&mut self, file: &FileDescriptorProto) {
        let message = format!(
            "No edition or syntax specified for the proto file: {}. Please use 'edition = \"YYYY\";'  to specify a \
             valid edition version. (Defaulted to \"syntax = \"proto2\";\".)",
            file.name.as_deref().unwrap_or_default()
        );
        self.lexer.findings.push(Finding { line: None, column: 0, severity: Severity::Note, message });
    }

    fn syntax_statement(&mut self, root: Place) -> Parse {
        let place = self.open(Some(root), &[tag::file::SYNTAX]);
        let is_edition = self.try_consume("edition");
        if !is_edition {
            self.consume("syntax")?;
        }
        self.consume("=")?;
        let token = self.current();
        let name = self.utf8_string("Expected syntax identifier.")?;
        self.end(";", place)?;
        self.close(place);
        if is_edition {
            self.syntax = Syntax::Editions;
            let Some(edition) = edition_by_name(&name) else {
                self.error_at(token, format!("Unknown edition \"{name}\"."));
                return Err(Failed);
            };
            self.edition = edition;
            self.is_2026 = name == "2026";
            return Ok(());
        }
        self.syntax = match name.as_str() {
            "proto2" => Syntax::Proto2,
            "proto3" => Syntax::Proto3,
            _ => {
                let message = format!(
                    "Unrecognized syntax identifier \"{name}\".  This parser only recognizes \"proto2\" and \"proto3\"."
                );
                self.error_at(token, message);
                return Err(Failed);
            }
        };
        Ok(())
    }

    fn top_level_statement(&mut self, file: &mut FileDescriptorProto, root: Place) -> Parse {
        if self.try_end(";", None) {
            return Ok(());
        }
        let visibility = self.visibility()?;
        match self.text() {
            b"message" => {
                let steps = [tag::file::MESSAGE, file.message_type.len() as i32];
                self.located(root, &steps, |parser, place| {
                    parser.message_definition(&mut file.message_type, visibility, place)
                })
            }
            b"enum" => {
                let steps = [tag::file::ENUM, file.enum_type.len() as i32];
                self.located(root, &steps, |parser, place| {
                    parser.enum_definition(&mut file.enum_type, visibility, place)
                })
            }
            b"service" => {
                let steps = [tag::file::SERVICE, file.service.len() as i32];
                self.located(root, &steps, |parser, place| parser.service_definition(&mut file.service, place))
            }
            b"extend" => self.located(root, &[tag::file::EXTENSION], |parser, place| {
                let FileDescriptorProto { extension, message_type, .. } = file;
                parser.extend(extension, message_type, root, tag::file::MESSAGE, place)
            }),
            b"import" => self.import(file, root),
            b"package" => self.package(file, root),
            b"option" => self.located(root, &[tag::file::OPTIONS], |parser, place| {
                let options = &mut file.options.get_or_insert_default().uninterpreted_option;
                parser.option_statement(options, place)
            }),
            _ => self.fail("Expected top-level statement (e.g. \"message\")."),
        }
    }

    /// `export` or `local` before a message or enum, from edition 2024 on.
    pub(super) fn visibility(&mut self) -> Parse<Option<SymbolVisibility>> {
        let visibility = match self.text() {
            b"export" => SymbolVisibility::VISIBILITY_EXPORT,
            b"local" => SymbolVisibility::VISIBILITY_LOCAL,
            _ => return Ok(None),
        };
        if (self.edition as i32) <= Edition::EDITION_2023 as i32 {
            return Ok(None);
        }
        self.lexer.next();
        if !self.at("message") && !self.at("enum") {
            return self.fail("'local' and 'export' visibility modifiers are valid only on 'message' and 'enum'");
        }
        Ok(Some(visibility))
    }

    fn package(&mut self, file: &mut FileDescriptorProto, root: Place) -> Parse {
        if file.package.is_some() {
            self.error("Multiple package definitions.");
            file.package = None;
        }
        self.located(root, &[tag::file::PACKAGE], |parser, place| {
            parser.consume("package")?;
            loop {
                let part = parser.identifier("Expected identifier.")?;
                // A file has a package once it has a part of one.
                let package = file.package.get_or_insert_default();
                package.push_str(&part);
                if !parser.try_consume(".") {
                    break;
                }
                package.push('.');
            }
            parser.end(";", place)
        })
    }

    fn import(&mut self, file: &mut FileDescriptorProto, root: Place) -> Parse {
        const COMPLAINT: &str = "Expected a string naming the file to import.";
        let is_2024 = self.edition as i32 >= Edition::EDITION_2024 as i32;
        let first = self.current();
        self.consume("import")?;
        if self.at("option") {
            if !is_2024 {
                self.error("option import is not supported before edition 2024.");
            }
            let steps = [tag::file::OPTION_DEPENDENCY, file.option_dependency.len() as i32];
            return self.located(root, &steps, |parser, place| {
                parser.start_at(place, first);
                parser.consume("option")?;
                file.option_dependency.push(parser.utf8_string(COMPLAINT)?);
                parser.end(";", place)
            });
        }
        let index = file.dependency.len() as i32;
        self.located(root, &[tag::file::DEPENDENCY, index], |parser, place| {
            parser.start_at(place, first);
            if !file.option_dependency.is_empty() {
                parser.error("imports should precede any option imports to ensure proto files can roundtrip.");
            }
            if parser.at("public") {
                let steps = [tag::file::PUBLIC_DEPENDENCY, file.public_dependency.len() as i32];
                parser.located(root, &steps, |parser, _| parser.consume("public"))?;
                file.public_dependency.push(index);
            } else if parser.at("weak") {
                if is_2024 {
                    parser.error(
                        "weak import is not supported in edition 2024 and above. Consider using option import instead.",
                    );
                }
                let steps = [tag::file::WEAK_DEPENDENCY, file.weak_dependency.len() as i32];
                parser.located(root, &steps, |parser, _| parser.consume("weak"))?;
                file.weak_dependency.push(index);
            }
            file.dependency.push(parser.utf8_string(COMPLAINT)?);
            parser.end(";", place)
        })
    }
}

/// Any edition a file may name, test editions included.
fn edition_by_name(name: &str) -> Option<Edition> {
    match name {
        "LEGACY" => Some(Edition::EDITION_LEGACY),
        "2023" => Some(Edition::EDITION_2023),
        "2024" => Some(Edition::EDITION_2024),
        "UNSTABLE" => Some(Edition::EDITION_UNSTABLE),
        "1_TEST_ONLY" => Some(Edition::EDITION_1_TEST_ONLY),
        "2_TEST_ONLY" => Some(Edition::EDITION_2_TEST_ONLY),
        "99997_TEST_ONLY" => Some(Edition::EDITION_99997_TEST_ONLY),
        "99998_TEST_ONLY" => Some(Edition::EDITION_99998_TEST_ONLY),
        "99999_TEST_ONLY" => Some(Edition::EDITION_99999_TEST_ONLY),
        "2026" | "MAX" => Some(Edition::EDITION_MAX),
        _ => None,
    }
}
