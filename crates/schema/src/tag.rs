//! Field numbers of `descriptor.proto`, the steps of source-info paths.

macro_rules! tags {
    ($($(#[$doc:meta])* $message:ident { $($field:ident = $number:literal),* $(,)? })*) => {
        $($(#[$doc])* pub(crate) mod $message { $(pub(crate) const $field: i32 = $number;)* })*
    };
}

tags! {
    file {
        PACKAGE = 2, DEPENDENCY = 3, MESSAGE = 4, ENUM = 5, SERVICE = 6, EXTENSION = 7, OPTIONS = 8,
        PUBLIC_DEPENDENCY = 10, WEAK_DEPENDENCY = 11, SYNTAX = 12, OPTION_DEPENDENCY = 15,
    }
    message {
        NAME = 1, FIELD = 2, NESTED = 3, ENUM = 4, EXTENSION_RANGE = 5, EXTENSION = 6, OPTIONS = 7, ONEOF = 8,
        RESERVED_RANGE = 9, RESERVED_NAME = 10,
    }
    range { START = 1, END = 2, OPTIONS = 3 }
    field {
        NAME = 1, EXTENDEE = 2, NUMBER = 3, LABEL = 4, TYPE = 5, TYPE_NAME = 6, DEFAULT_VALUE = 7, OPTIONS = 8,
        JSON_NAME = 10,
    }
    oneof { NAME = 1, OPTIONS = 2 }
    enumeration { NAME = 1, VALUE = 2, OPTIONS = 3, RESERVED_RANGE = 4, RESERVED_NAME = 5 }
    enum_value { NAME = 1, NUMBER = 2, OPTIONS = 3 }
    service { NAME = 1, METHOD = 2, OPTIONS = 3 }
    method { NAME = 1, INPUT_TYPE = 2, OUTPUT_TYPE = 3, OPTIONS = 4, CLIENT_STREAMING = 5, SERVER_STREAMING = 6 }
    options { UNINTERPRETED = 999 }
    uninterpreted { NAME = 2, IDENTIFIER = 3, POSITIVE_INT = 4, NEGATIVE_INT = 5, DOUBLE = 6, STRING = 7, AGGREGATE = 8 }
    name_part { NAME_PART = 1 }
}
