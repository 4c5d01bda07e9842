use std::{borrow::Cow, error::Error, fmt};

use farcall_core::{Code, Metadata};
use farcall_engine::Closed;

/// The trailer that carries [`Status::details`].
const DETAILS: &str = "grpc-status-details-bin";

/// Why a call failed: a code, a message for people, and optionally details and trailing metadata.
#[derive(Clone, PartialEq, Eq)]
pub struct Status {
    code: Code,
    message: Cow<'static, str>,
    /// Rare, and large: a status lies in every `Result`.
    metadata: Option<Box<Both>>,
}

/// The metadata of a call that failed.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Both {
    initial: Metadata,
    trailing: Metadata,
}

static EMPTY: Metadata = Metadata::new();

/// A constructor for each code.
macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {
        $($(#[$doc])* pub fn $name(message: impl Into<Cow<'static, str>>) -> Status {
            Status::new(Code::$code, message)
        })*
    };
}

impl Status {
    /// A status with a message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Status {
        Status { code, message: message.into(), metadata: None }
    }

    /// A status with details, as a rule an encoded `google.rpc.Status`.
    pub fn with_details(code: Code, message: impl Into<Cow<'static, str>>, details: impl AsRef<[u8]>) -> Status {
        let mut status = Status::new(code, message);
        // The key is legal, and any value is under a `-bin` key.
        let _ = status.metadata_mut().append(DETAILS, details);
        status
    }

    /// A status with trailing metadata.
    pub fn with_metadata(code: Code, message: impl Into<Cow<'static, str>>, metadata: Metadata) -> Status {
        let both = Both { initial: Metadata::new(), trailing: metadata };
        Status { code, message: message.into(), metadata: Some(Box::new(both)) }
    }

    constructors! {
        /// The operation was cancelled.
        cancelled => Cancelled;
        /// An error of an unknown kind.
        unknown => Unknown;
        /// An argument is wrong whatever the state of the system.
        invalid_argument => InvalidArgument;
        /// The deadline passed.
        deadline_exceeded => DeadlineExceeded;
        /// Something asked for was not found.
        not_found => NotFound;
        /// Something to be made exists already.
        already_exists => AlreadyExists;
        /// The caller may not do this.
        permission_denied => PermissionDenied;
        /// A quota or limit ran out.
        resource_exhausted => ResourceExhausted;
        /// The system is not in the state the call needs.
        failed_precondition => FailedPrecondition;
        /// The operation was aborted.
        aborted => Aborted;
        /// Past the valid range.
        out_of_range => OutOfRange;
        /// Not implemented here.
        unimplemented => Unimplemented;
        /// An invariant was broken.
        internal => Internal;
        /// The service cannot be reached right now.
        unavailable => Unavailable;
        /// Data was lost beyond repair.
        data_loss => DataLoss;
        /// The caller did not prove who it is.
        unauthenticated => Unauthenticated;
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The details, as a rule an encoded `google.rpc.Status`; empty when there are none.
    pub fn details(&self) -> &[u8] {
        self.metadata().first(DETAILS).unwrap_or_default()
    }

    /// Trailing metadata.
    pub fn metadata(&self) -> &Metadata {
        self.metadata.as_deref().map_or(&EMPTY, |both| &both.trailing)
    }

    /// Client: initial metadata, where the server sent some before a call with one response failed.
    pub fn initial_metadata(&self) -> &Metadata {
        self.metadata.as_deref().map_or(&EMPTY, |both| &both.initial)
    }

    /// Trailing metadata, to be changed.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata.get_or_insert_default().trailing
    }

    /// The end of a call, as a client sees it.
    pub(crate) fn of(closed: Closed) -> Status {
        let mut status = Status::from(closed.status);
        if !closed.trailers.is_empty() {
            *status.metadata_mut() = closed.trailers;
        }
        status
    }

    pub(crate) fn with_initial_metadata(mut self, metadata: Metadata) -> Status {
        if !metadata.is_empty() {
            self.metadata.get_or_insert_default().initial = metadata;
        }
        self
    }

    pub(crate) fn split(self) -> (farcall_core::Status, Metadata) {
        let both = self.metadata.map(|boxed| *boxed).unwrap_or_default();
        (farcall_core::Status { code: self.code, message: self.message }, both.trailing)
    }
}

impl From<farcall_core::Status> for Status {
    fn from(status: farcall_core::Status) -> Status {
        Status { code: status.code, message: status.message, metadata: None }
    }
}

/// A text such as `NOT_FOUND: no such user`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() { write!(f, "{}", self.code) } else { write!(f, "{}: {}", self.code, self.message) }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Status");
        debug.field("code", &self.code).field("message", &self.message);
        if let Some(metadata) = &self.metadata {
            debug.field("metadata", &metadata.trailing);
        }
        debug.finish()
    }
}

impl Error for Status {}

#[cfg(test)]
mod tests {
    use super::{Code, Status};

    #[test]
    fn details_travel_in_the_metadata() {
        let status = Status::with_details(Code::NotFound, "gone", [1, 0, 255]);
        assert_eq!(status.details(), [1, 0, 255]);
        let (bare, trailers) = status.split();
        assert_eq!((bare.code, &*bare.message), (Code::NotFound, "gone"));
        assert_eq!(trailers.first("grpc-status-details-bin"), Some(&[1, 0, 255][..]));
        assert!(Status::not_found("gone").details().is_empty());
    }

    #[test]
    fn is_small_enough_for_every_result() {
        assert!(size_of::<Status>() <= 48);
    }
}
