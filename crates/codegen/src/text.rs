//! Text with indentation.

/// Four spaces; the step of everything gRPC writes and of a class body in `.pyi`.
const STEP: &str = "    ";

/// A buffer that indents each non-empty line it is given.
pub(crate) struct Text {
    step: &'static str,
    content: String,
    depth: usize,
    at_line_start: bool,
}

impl Text {
    pub(crate) fn new() -> Self {
        Self { step: STEP, content: String::new(), depth: 0, at_line_start: true }
    }

    /// With steps of two spaces, as `_pb2.py` has them.
    pub(crate) fn narrow() -> Self {
        Self { step: "  ", ..Self::new() }
    }

    /// Appends `text`, which may hold several lines or a part of one.
    pub(crate) fn push(&mut self, text: &str) {
        for piece in text.split_inclusive('\n') {
            if self.at_line_start && piece != "\n" {
                for _ in 0..self.depth {
                    self.content.push_str(self.step);
                }
            }
            self.content.push_str(piece);
            self.at_line_start = piece.ends_with('\n');
        }
    }

    /// Appends `line` and a line feed.
    pub(crate) fn line(&mut self, line: &str) {
        self.push(line);
        self.push("\n");
    }

    /// Appends an empty line.
    pub(crate) fn blank(&mut self) {
        self.push("\n");
    }

    /// Runs `body` with everything indented by `steps` more steps.
    pub(crate) fn indented(&mut self, steps: usize, body: impl FnOnce(&mut Self)) {
        self.depth += steps;
        body(self);
        self.depth -= steps;
    }

    pub(crate) fn finish(self) -> String {
        self.content
    }
}

/// `text.push` with `format!` arguments, and a line feed.
macro_rules! line {
    ($text:expr, $($arg:tt)*) => { $text.line(&format!($($arg)*)) };
}
pub(crate) use line;
