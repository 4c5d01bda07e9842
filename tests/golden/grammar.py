"""Made-up .proto files: right in most places, so that what is wrong in the others gets as far as it can."""

from __future__ import annotations

import random
from collections.abc import Callable

NAMES = "a b c foo foo_bar fooBar Foo FOO _x x_ a1 a_1 A B C E M Outer Inner g G value key entry"
NAMES += " FooEntry message option max to"
SCALARS = "int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 float double bool string bytes"
NUMBERS = [
    0,
    1,
    2,
    3,
    4,
    5,
    10,
    15,
    16,
    100,
    999,
    1000,
    18999,
    19000,
    19999,
    20000,
    536870911,
    536870912,
    2147483647,
    -1,
]
SYNTAXES = [
    'syntax = "proto3";',
    'syntax = "proto2";',
    "",
    'edition = "2023";',
    'edition = "2024";',
    'syntax = "proto4";',
    'edition = "2025";',
]
WEIGHTS = [30, 30, 3, 25, 20, 1, 1]
LITERALS = [
    "1",
    "0",
    "-1",
    "+1",
    "007",
    "0x1F",
    "1.5",
    "-1.5",
    ".5",
    "1e3",
    "1e400",
    "inf",
    "-inf",
    "nan",
    "-",
    "true",
    "false",
    '"x"',
    '""',
    '"\\xff"',
    '"\\u00e9"',
    '"a" "b"',
    "'c'",
    "X",
    "X.Y",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967296",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "{}",
    "{ a: 1 }",
    "{ a: 1 b { c: 2 } }",
    "{ [g.x]: 1 }",
    "[1, 2]",
    "< a: 1 >",
    "EXPLICIT",
    "OPEN",
    "LOCAL",
]
FILE_OPTIONS = (
    "java_package optimize_for cc_enable_arenas deprecated py_generic_services go_package features.field_presence"
)
MESSAGE_OPTIONS = (
    "message_set_wire_format deprecated map_entry no_standard_descriptor_accessor features.message_encoding"
)
FIELD_OPTIONS = (
    "default json_name packed ctype lazy deprecated jstype weak debug_redact retention targets features.field_presence"
)
FIELD_OPTIONS += (
    " features.repeated_field_encoding features.utf8_validation features.enum_type edition_defaults unverified_lazy"
)
ENUM_OPTIONS = "allow_alias deprecated deprecated_legacy_json_field_conflicts features.enum_type"
CUSTOM = "(o) (.o) (p.o) (o).a (o).b.c (p.opt).x (nope) (o).(o)"
IMPORTS = "google/protobuf/descriptor.proto google/protobuf/any.proto google/protobuf/empty.proto nope.proto"
GOOD_VALUES = {
    "deprecated": "true",
    "packed": "true",
    "lazy": "true",
    "default": "1",
    "json_name": '"j"',
    "allow_alias": "true",
    "ctype": "CORD",
    "jstype": "JS_STRING",
    "message_set_wire_format": "true",
    "features.field_presence": "EXPLICIT",
    "features.enum_type": "CLOSED",
    "features.message_encoding": "DELIMITED",
    "features.repeated_field_encoding": "PACKED",
    "features.utf8_validation": "VERIFY",
    "retention": "RETENTION_SOURCE",
    "targets": "TARGET_TYPE_FIELD",
    "optimize_for": "SPEED",
    "java_package": '"x.y"',
}


class Grammar:
    """Writes one file."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.syntax = chance.choices(SYNTAXES, WEIGHTS)[0]
        self.number = 0

    def seldom(self, part: float = 0.03) -> bool:
        return self.chance.random() < part

    def one(self, words: str | list[str]) -> str:
        return self.chance.choice(words.split() if isinstance(words, str) else words)

    def some(self, make: Callable[[], str], most: int) -> str:
        return " ".join(make() for _ in range(self.chance.randrange(most + 1)))

    def name(self) -> str:
        """Mostly a new one."""
        self.number += 1
        return self.one(NAMES) if self.seldom(0.25) else f"{self.one('n N f F x_')}{self.number}"

    def next_number(self) -> str:
        self.number += 1
        return str(self.chance.choice(NUMBERS)) if self.seldom(0.1) else str(self.number)

    def type_name(self) -> str:
        if self.seldom(0.6):
            return self.one(SCALARS)
        name = self.one(NAMES)
        return self.one(
            [name, f".{name}", f"p.{name}", f".p.{name}", f"{name}.{self.one(NAMES)}", "google.protobuf.Any"]
        )

    def option_value(self, option: str) -> str:
        if self.seldom(0.3) or option not in GOOD_VALUES:
            return self.one(LITERALS)
        return GOOD_VALUES[option]

    def option(self, options: str) -> str:
        option = self.one(CUSTOM) if self.seldom(0.2) else self.one(options)
        return f"{option} = {self.option_value(option)}"

    def option_statement(self, options: str) -> str:
        return f"option {self.option(options)};\n"

    def bracketed(self, options: str) -> str:
        if self.seldom(0.7):
            return ""
        return f" [{', '.join(self.option(options) for _ in range(self.chance.choice([1, 1, 2])))}]"

    def label(self, in_oneof: bool) -> str:
        if in_oneof:
            return "optional " if self.seldom() else ""
        if '"proto2"' in self.syntax or not self.syntax:
            return "" if self.seldom() else self.one("optional optional required repeated") + " "
        return self.one(["", "", "repeated ", "optional ", "required "] if self.seldom(0.2) else ["", "repeated "])

    def field(self, in_oneof: bool = False) -> str:
        kind = self.chance.random()
        options = self.bracketed(FIELD_OPTIONS)
        if kind < 0.08:
            return f"map<{self.type_name()}, {self.type_name()}> {self.name()} = {self.next_number()}{options};\n"
        label = self.label(in_oneof)
        if kind < 0.14:
            body = self.some(self.field, 2)
            return f"{label}group {self.name().capitalize()} = {self.next_number()}{options} {{ {body} }}\n"
        return f"{label}{self.type_name()} {self.name()} = {self.next_number()}{options};\n"

    def oneof(self) -> str:
        fields = " ".join(self.field(in_oneof=True) for _ in range(self.chance.choice([0, 1, 1, 2, 3])))
        return f"oneof {self.name()} {{ {self.option_statement('deprecated') if self.seldom(0.1) else ''}{fields} }}\n"

    def range(self) -> str:
        first = self.next_number()
        return self.one([first, f"{first} to {self.next_number()}", f"{first} to max"])

    def reserved(self) -> str:
        if self.seldom(0.6):
            return f"reserved {', '.join(self.range() for _ in range(self.chance.choice([1, 2])))};\n"
        quote = "" if self.syntax.startswith("edition") != self.seldom(0.1) else '"'
        return f"reserved {quote}{self.name()}{quote}, {quote}{self.one(NAMES)}{quote};\n"

    def extensions(self) -> str:
        declaration = ""
        if self.seldom(0.3):
            parts = [
                f"number: {self.next_number()}",
                f'full_name: ".p.{self.name()}"',
                f'type: ".p.{self.one(NAMES)}"',
                "repeated: true",
                "reserved: true",
            ]
            kept = " ".join(part for part in parts if not self.seldom(0.3))
            declaration = self.one(
                [f" [declaration = {{ {kept} }}]", " [verification = DECLARATION]", " [verification = UNVERIFIED]"]
            )
        return f"extensions {self.range()}{declaration};\n"

    def extend(self) -> str:
        extendee = (
            f"google.protobuf.{self.one('Field Message File Enum')}Options" if self.seldom(0.5) else self.type_name()
        )
        field = f"{self.label(False)}{self.type_name()} {self.one('o opt x y')} = {self.one('1000 1001 100 50000')};"
        return f"extend {extendee} {{ {field if self.seldom(0.6) else self.field()} {self.some(self.field, 1)} }}\n"

    def message(self, depth: int = 0) -> str:
        visibility = self.one(["export ", "local "]) if self.seldom(0.1) else ""
        makers: list[Callable[[], str]] = [self.field] * 12 + [
            self.oneof,
            self.oneof,
            self.reserved,
            self.extensions,
            self.extend,
            self.enum,
        ]
        makers.append(lambda: self.option_statement(MESSAGE_OPTIONS))
        if depth < 3:
            makers += [lambda: self.message(depth + 1)] * 2
        body = "  ".join(self.chance.choice(makers)() for _ in range(self.chance.randrange(6)))
        return f"{visibility}message {self.name()} {{\n  {body}}}\n"

    def enum_value(self) -> str:
        number = self.next_number() if self.seldom(0.3) else self.chance.randrange(4)
        return f"{self.name().upper()} = {number}{self.bracketed('deprecated debug_redact')};"

    def enum(self) -> str:
        visibility = self.one(["export ", "local "]) if self.seldom(0.1) else ""
        first = self.enum_value() if self.seldom(0.1) else f"{self.name().upper()} = 0;"
        option = self.option_statement(ENUM_OPTIONS) if self.seldom(0.3) else ""
        reserved = self.reserved() if self.seldom(0.1) else ""
        return f"{visibility}enum {self.name()} {{ {option}{first} {self.some(self.enum_value, 3)} {reserved}}}\n"

    def method(self) -> str:
        stream = [self.one(["", "", "stream "]) for _ in range(2)]
        end = ";" if self.seldom(0.7) else "{ option deprecated = true; option idempotency_level = IDEMPOTENT; }"
        return f"rpc {self.name()}({stream[0]}{self.type_name()}) returns ({stream[1]}{self.type_name()}){end}\n"

    def service(self) -> str:
        return f"service {self.name()} {{ {self.some(self.method, 3)} }}\n"

    def file(self) -> str:
        parts = [self.syntax + "\n"]
        if self.seldom(0.6):
            parts.append(
                self.one(["package p;", "package p;", "package p.q;", "package google.protobuf;", "package 1;"]) + "\n"
            )
        for _ in range(self.chance.choice([0, 1, 1, 2])):
            kind = self.one(["", "", "", "public ", "weak ", "option "])
            path = "nope.proto" if self.seldom(0.02) else self.one(IMPORTS.split()[:3])
            parts.append(f'import {kind}"{path}";\n')
        makers = [
            self.message,
            self.message,
            self.message,
            self.enum,
            self.service,
            self.extend,
            lambda: self.option_statement(FILE_OPTIONS),
        ]
        parts += [self.chance.choice(makers)() for _ in range(self.chance.randrange(1, 6))]
        if self.seldom(0.3):
            parts.append("message M { optional int32 a = 1; }\nenum E { X = 0; }\n" if self.seldom(0.5) else "// end\n")
        return "".join(parts)


def made_up(chance: random.Random) -> bytes:
    """A file from nothing."""
    return Grammar(chance).file().encode()
