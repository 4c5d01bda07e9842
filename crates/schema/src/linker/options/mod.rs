//! Options: what was written as names and values becomes fields of the options messages.
//!
//! In two passes, because extensions that serve as options can have features of their own: first the fields that
//! options messages have themselves, features among them, then extensions.

mod elements;
mod interpreter;
mod source_info;
mod value;

use std::collections::HashMap;

use super::Linker;
use elements::Element;
use interpreter::Interpreter;

/// Where an option stood in the source information, and where it goes.
type Moves = HashMap<Vec<i32>, Vec<i32>>;

impl Linker<'_> {
    pub(super) fn interpret_options(&mut self) {
        let mut elements = self.change(elements::take);
        let mut moves = Moves::new();
        let mut repeated = HashMap::new();
        for extensions in [false, true] {
            for element in elements.iter_mut() {
                let set = {
                    let mut interpreter = Interpreter {
                        pool: self.pool,
                        file: self.id,
                        names: &mut self.names,
                        report: &mut self.report,
                        moves: &mut moves,
                        repeated: &mut repeated,
                    };
                    interpreter.interpret(element, extensions)
                };
                if let Some(set) = set {
                    self.merge_options(element, set);
                }
            }
        }
        if !self.report.had_errors && !moves.is_empty() {
            self.change(|file| source_info::move_options(file, &moves));
        }
    }

    fn merge_options(&mut self, element: &Element, set: buffa::UnknownFields) {
        self.change(|file| elements::merge(file, &element.path, &set));
    }
}
