//! Which comment belongs to which token.

/// The comments between two tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comments {
    /// Belongs to the token before.
    pub(crate) trailing: String,
    /// Belong to none.
    pub(crate) detached: Vec<String>,
    /// Belongs to the token after.
    pub(crate) leading: String,
}

/// Sorts comments as the lexer meets them.
#[derive(Default)]
pub(crate) struct CommentCollector {
    trailing: Vec<u8>,
    detached: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    flushed: usize,
    has_trailing: bool,
    has_comment: bool,
    is_line_comment: bool,
    detached_from_previous: bool,
}

impl CommentCollector {
    /// Adds a line comment; consecutive ones are one comment.
    pub(crate) fn line(&mut self, text: &[u8]) {
        if self.has_comment && !self.is_line_comment {
            self.flush();
        }
        self.has_comment = true;
        self.is_line_comment = true;
        self.buffer.extend_from_slice(text);
    }

    /// The buffer for the text of a block comment, which is always a comment of its own.
    pub(crate) fn block(&mut self) -> &mut Vec<u8> {
        if self.has_comment {
            self.flush();
        }
        self.has_comment = true;
        self.is_line_comment = false;
        &mut self.buffer
    }

    /// The comment so far is complete and does not lead the next token.
    pub(crate) fn flush(&mut self) {
        if !self.has_comment {
            return;
        }
        let text = std::mem::take(&mut self.buffer);
        self.has_comment = false;
        self.flushed += 1;
        if self.detached_from_previous {
            self.detached.push(text);
        } else {
            self.trailing.extend_from_slice(&text);
            self.has_trailing = true;
            self.detached_from_previous = true;
        }
    }

    /// No later comment can trail the previous token.
    pub(crate) fn detach_from_previous(&mut self) {
        self.detached_from_previous = true;
    }

    /// With both tokens on one line, a single comment between them could be either's, so it is neither's.
    pub(crate) fn maybe_detach(&mut self) {
        if self.flushed + usize::from(self.has_comment) != 1 {
            return;
        }
        if self.has_trailing {
            self.detached.insert(0, std::mem::take(&mut self.trailing));
        }
        self.flush();
    }

    /// What is still open leads the next token.
    pub(crate) fn finish(self) -> Comments {
        let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Comments {
            trailing: text(self.trailing),
            detached: self.detached.into_iter().map(text).collect(),
            leading: if self.has_comment { text(self.buffer) } else { String::new() },
        }
    }
}
