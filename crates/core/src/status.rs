use std::{borrow::Cow, fmt};

use crate::Code;

/// How a call ended: a code and a message for people.
///
/// Trailing metadata travels beside it, because a successful call has it too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The canonical code.
    pub code: Code,
    /// A message for developers, in English; empty when there is nothing to say.
    pub message: Cow<'static, str>,
}

impl Status {
    /// Success.
    pub const OK: Status = Status { code: Code::Ok, message: Cow::Borrowed("") };

    /// A status with a message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Status {
        Status { code, message: message.into() }
    }

    /// Whether the call succeeded.
    pub fn is_ok(&self) -> bool {
        self.code == Code::Ok
    }
}

impl From<Code> for Status {
    fn from(code: Code) -> Status {
        Status { code, message: Cow::Borrowed("") }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() { write!(f, "{}", self.code) } else { write!(f, "{}: {}", self.code, self.message) }
    }
}

impl std::error::Error for Status {}
