use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $screaming:literal;)*) => {
        /// The canonical gRPC status codes (grpc/grpc `doc/statuscodes.md`).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum Code {
            $($(#[$doc])* $name = $number,)*
        }

        impl Code {
            /// Every code, in the order of its number.
            pub const ALL: [Code; 17] = [$(Code::$name,)*];

            /// The lower-case words gRPC uses for the code, for example `not found`.
            pub const fn description(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The name in capitals, for example `NOT_FOUND`.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$name => $screaming,)* }
            }
        }
    };
}

codes! {
    /// The call succeeded.
    Ok = 0, "ok", "OK";
    /// The call was cancelled, typically by the caller.
    Cancelled = 1, "cancelled", "CANCELLED";
    /// An error of an unknown kind.
    Unknown = 2, "unknown", "UNKNOWN";
    /// The caller sent an argument that is wrong whatever the state of the system.
    InvalidArgument = 3, "invalid argument", "INVALID_ARGUMENT";
    /// The deadline passed before the call was over.
    DeadlineExceeded = 4, "deadline exceeded", "DEADLINE_EXCEEDED";
    /// Something asked for was not found.
    NotFound = 5, "not found", "NOT_FOUND";
    /// Something to be made exists already.
    AlreadyExists = 6, "already exists", "ALREADY_EXISTS";
    /// The caller may not do this.
    PermissionDenied = 7, "permission denied", "PERMISSION_DENIED";
    /// A quota, a limit or memory ran out.
    ResourceExhausted = 8, "resource exhausted", "RESOURCE_EXHAUSTED";
    /// The system is not in the state the call needs.
    FailedPrecondition = 9, "failed precondition", "FAILED_PRECONDITION";
    /// The call was aborted, typically for a concurrency conflict.
    Aborted = 10, "aborted", "ABORTED";
    /// The call went past the valid range.
    OutOfRange = 11, "out of range", "OUT_OF_RANGE";
    /// The method is not implemented or not known here.
    Unimplemented = 12, "unimplemented", "UNIMPLEMENTED";
    /// An invariant was broken: a bug, or a peer that breaks the protocol.
    Internal = 13, "internal", "INTERNAL";
    /// The service cannot be reached right now; trying again may help.
    Unavailable = 14, "unavailable", "UNAVAILABLE";
    /// Data was lost beyond repair.
    DataLoss = 15, "data loss", "DATA_LOSS";
    /// The caller did not prove who it is.
    Unauthenticated = 16, "unauthenticated", "UNAUTHENTICATED";
}

impl Code {
    /// The code of a number; `None` outside 0 to 16.
    pub fn from_number(number: u32) -> Option<Code> {
        Code::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The number on the wire, 0 to 16.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn numbers_round_trip() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code.number() as usize, number);
            assert_eq!(Code::from_number(code.number()), Some(code));
        }
        assert_eq!(Code::from_number(17), None);
    }
}
