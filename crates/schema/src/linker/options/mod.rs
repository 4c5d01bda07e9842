//! Options: what was written as names and values becomes fields of the options messages.
//!
//! In two passes, because extensions that serve as options can have features of their own: first the fields that
//! options messages have themselves, features among them, then extensions.

mod interpreter;
mod source_info;
mod value;
mod values;

use buffa::UnknownFields;
use buffa_descriptor::generated::descriptor::{FileDescriptorProto, UninterpretedOption};

use crate::elements::each_options;
use crate::hash::HashMap;

use super::Linker;
use interpreter::Interpreter;

/// Where an option stood in the source information, and where it goes.
type Moves = HashMap<Vec<i32>, Vec<i32>>;

/// An element with options to interpret.
struct Element {
    /// Where its options are.
    path: Vec<i32>,
    /// Full name of the options message.
    message: &'static str,
    /// Where names in its options are looked up from.
    scope: String,
    options: Vec<UninterpretedOption>,
}

/// Options that wait for their second pass.
pub(super) struct Pending {
    elements: Vec<Element>,
    moves: Moves,
    /// How many values each repeated option has, by its path.
    repeated: HashMap<Vec<i32>, i32>,
}

impl Linker<'_> {
    /// The first pass.
    pub(super) fn interpret_fields(&mut self) -> Pending {
        let elements = self.change(take);
        let mut pending = Pending { elements, moves: Moves::default(), repeated: HashMap::default() };
        self.interpret(&mut pending, false);
        pending
    }

    /// The second pass.
    pub(super) fn interpret_extensions(&mut self, mut pending: Pending) {
        self.interpret(&mut pending, true);
        if !self.report.had_errors && !pending.moves.is_empty() {
            self.change_positions(|positions| source_info::move_options(positions, &pending.moves));
        }
    }

    fn interpret(&mut self, pending: &mut Pending, extensions: bool) {
        let Pending { elements, moves, repeated } = pending;
        let (names, report) = (&mut self.names, &mut self.report);
        let mut interpreter = Interpreter { pool: self.pool, file: self.id, names, report, moves, repeated };
        let mut sets: HashMap<&[i32], UnknownFields> = HashMap::default();
        for element in &*elements {
            if let Some(set) = interpreter.interpret(element, extensions) {
                sets.insert(&element.path, set);
            }
        }
        if !sets.is_empty() {
            self.change(|file| {
                each_options(file, &mut |path, _, options| {
                    if let Some(set) = sets.get(path) {
                        options.merge(set);
                    }
                });
            });
        }
    }
}

/// Takes all uninterpreted options out of the file.
fn take(file: &mut FileDescriptorProto) -> Vec<Element> {
    let package = file.package.clone().unwrap_or_default();
    let mut elements = Vec::new();
    each_options(file, &mut |path, scope, options| {
        let uninterpreted = options.take_uninterpreted();
        if uninterpreted.is_empty() {
            return;
        }
        // The file itself has no name; it counts as something in its package.
        let names = if scope.is_empty() { "dummy".to_owned() } else { scope.join(".") };
        let scope = if package.is_empty() && !scope.is_empty() { names } else { format!("{package}.{names}") };
        let (path, message) = (path.to_vec(), options.message_name());
        elements.push(Element { path, message, scope, options: uninterpreted });
    });
    elements
}
