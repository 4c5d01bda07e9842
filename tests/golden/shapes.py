"""Shapes of files that ask a lot of a compiler, each by its size."""

from __future__ import annotations

from collections.abc import Callable

Files = dict[str, str]

PROTO2 = 'syntax = "proto2";\n'
PROTO3 = 'syntax = "proto3";\n'
OPTIONS = PROTO2 + 'import "google/protobuf/descriptor.proto";\n'
LONG = "M" * 60_000


def each(count: int, text: Callable[[int], str], separator: str = "\n") -> str:
    return separator.join(text(index) for index in range(count))


def num(index: int) -> int:
    """The number of a field, past those that no one may use."""
    return index + 1 if index < 18_000 else index + 20_001


def message(fields: str, syntax: str = PROTO3) -> str:
    return f"{syntax}message M {{ {fields} }}"


def fields(count: int, text: str) -> str:
    """Fields, or whatever TEXT makes of `{i}` and its number `{n}`."""
    return each(count, lambda index: text.replace("{i}", str(index)).replace("{n}", str(num(index))))


def optioned(declared: str, used: str, options: str = "FileOptions") -> str:
    return f"{OPTIONS}extend google.protobuf.{options} {{ {declared} }} {used}"


def files_of(count: int, text: Callable[[int], str], main: str) -> Files:
    return {"a.proto": PROTO3 + main} | {f"f{index}.proto": PROTO3 + text(index) for index in range(count)}


def chain(count: int, kind: str, last: str = "") -> Callable[[int], str]:
    def file(index: int) -> str:
        following = f"f{index + 1}.proto" if index + 1 < count else last
        imported = f'import {kind}"{following}";' if following else ""
        return f"{imported} message M{index} {{ M{count - 1 if kind else index} m = 1; }}"

    return file


# By name: what makes one file of a size, and the smaller of the sizes to try.
SINGLE: dict[str, tuple[Callable[[int], str], int]] = {
    "fields": (lambda n: message(fields(n, "int32 f{i} = {n};")), 16_000),
    "proto3 optionals": (lambda n: message(fields(n, "optional int32 f{i} = {n};")), 16_000),
    "one oneof": (lambda n: message(f"oneof o {{ {fields(n, 'int32 f{i} = {n};')} }}"), 16_000),
    "many oneofs": (lambda n: message(fields(n, "oneof o{i} { int32 f{i} = {n}; }")), 8_000),
    "maps": (lambda n: message(fields(n, "map<string, int32> f{i} = {n};")), 4_000),
    "groups": (lambda n: message(fields(n, "optional group G{i} = {n} {}"), PROTO2), 4_000),
    "messages": (lambda n: PROTO3 + fields(n, "message M{i} { M{i} m = 1; }"), 2_000),
    "nested messages": (lambda n: message(fields(n, "message M{i} { M{i} m = 1; }")), 2_000),
    "messages of one name": (lambda n: PROTO3 + fields(n, "message O{i} { message E { int32 f{i} = {n}; } }"), 2_000),
    "services": (lambda n: PROTO3 + "message M {}" + fields(n, "service S{i} { rpc A(M) returns (M); }"), 2_000),
    "methods": (lambda n: PROTO3 + f"message M {{}} service S {{ {fields(n, 'rpc A{i}(M) returns (M);')} }}", 4_000),
    "enum": (lambda n: PROTO3 + f"enum E {{ {fields(n, 'V{i} = {i};')} }}", 20_000),
    "aliases": (lambda n: PROTO3 + f"enum E {{ option allow_alias = true; {fields(n, 'V{i} = 0;')} }}", 20_000),
    "enum defaults": (
        lambda n: (
            message(fields(n, "optional E f{i} = {n} [default = V{i}];"), PROTO2)
            + f" enum E {{ {fields(n, 'V{i} = {i};')} }}"
        ),
        4_000,
    ),
    "reserved ranges": (lambda n: message(fields(n, "reserved {n}; ") + "int32 f = 500000;"), 8_000),
    "one clash of ranges": (lambda n: message(fields(n, "reserved {n}; ") + "reserved 7;"), 8_000),
    "reserved names": (lambda n: message(fields(n, 'reserved "r{i}"; int32 f{i} = {n};')), 8_000),
    "extension ranges": (lambda n: message(fields(n, "extensions {n};"), PROTO2), 8_000),
    "extensions": (
        lambda n: (
            message(fields(n, "extensions {n};"), PROTO2) + f" extend M {{ {fields(n, 'optional int32 f{i} = {n};')} }}"
        ),
        8_000,
    ),
    "declared extensions": (
        lambda n: (
            message(
                "extensions 1 to max ["
                + each(n, lambda i: f'declaration = {{ number: {num(i)} full_name: ".f{i}" type: "int32" }}', ",")
                + "];",
                PROTO2,
            )
            + f" extend M {{ {fields(n, 'optional int32 f{i} = {n};')} }}"
        ),
        4_000,
    ),
    "custom options": (
        lambda n: optioned(each(n, lambda i: f"optional int32 o{i} = {i + 50000};"), fields(n, "option (o{i}) = {i};")),
        2_000,
    ),
    "fields of an option": (
        lambda n: optioned(
            "optional T t = 50000;",
            f"message T {{ {fields(n, 'optional int32 f{i} = {n};')} }} {fields(n, 'option (t).f{i} = 1;')}",
        ),
        2_000,
    ),
    "values of an option": (lambda n: optioned("repeated int32 t = 50000;", "option (t) = 1;" * n), 8_000),
    "option on each field": (
        lambda n: optioned(
            "optional int32 t = 50000;",
            f"message M {{ {fields(n, 'optional int32 f{i} = {n} [(t) = 1];')} }}",
            "FieldOptions",
        ),
        4_000,
    ),
    "option for source only": (
        lambda n: optioned(
            "optional int32 t = 50000 [retention = RETENTION_SOURCE];",
            f"message M {{ {fields(n, 'optional int32 f{i} = {n} [(t) = 1];')} }}",
            "FieldOptions",
        ),
        4_000,
    ),
    "aggregate": (
        lambda n: optioned(
            "optional T t = 50000;",
            f"message T {{ {fields(n, 'optional int32 f{i} = {n};')} }} option (t) = {{ {fields(n, 'f{i}: 1')} }};",
        ),
        4_000,
    ),
    "aggregates of a large type": (
        lambda n: optioned(
            "optional T t = 50000;",
            f"message T {{ repeated T t = 500000; oneof o {{ {fields(n, 'int32 f{i} = {n};')} }} }}"
            f" option (t) = {{ {fields(n, 't { f{i}: 1 }')} }};",
        ),
        4_000,
    ),
    "enum in an aggregate": (
        lambda n: optioned(
            "optional T t = 50000;",
            f"enum E {{ {fields(n, 'V{i} = {i};')} }} message T {{ repeated E e = 1; }}"
            f" option (t) = {{ {fields(n, 'e: V{i}')} }};",
        ),
        4_000,
    ),
    "digits": (lambda n: message(f"optional double f = 1 [default = {'1' * n}.{'2' * n}e{'3' * n}];", PROTO2), 100_000),
    "identifier": (lambda n: message(f"{'a' * n} f = 1;"), 1_000_000),
    "dotted type": (lambda n: message(f"{'a.' * n}a f = 1;"), 250_000),
    "dotted option": (lambda n: f"{PROTO3}option {'a.' * n}a = 1;", 60_000),
    "deep option": (
        lambda n: optioned("optional M m = 50000;", f"message M {{ optional M m = 1; }} option (m){'.m' * n} = {{}};"),
        60_000,
    ),
    "block comment": (lambda n: f"{PROTO3}/*{'c' * 9}\n */".replace("c" * 9, "c\n" * n) + message("")[18:], 500_000),
    "line comments": (lambda n: PROTO3 + "// c\n\n" * n + "message M {}", 50_000),
    "comment on each field": (lambda n: message(fields(n, "/* a */\n\n// b\nint32 f{i} = {n}; // c") + "\n"), 8_000),
    "pieces of a string": (lambda n: PROTO3 + "option java_package = " + '"a"\n' * n + ";", 100_000),
    "default bytes": (
        lambda n: message(f'optional bytes f = 1 [default = "{chr(92)}001{"a" * n}"];', PROTO2),
        1_000_000,
    ),
    "errors": (lambda n: message("x;\n" * n), 20_000),
    "unknown types": (lambda n: message(fields(n, "X{i} f{i} = {n};")), 10_000),
    "messages of one name clash": (lambda n: PROTO3 + "message M {}" * n, 4_000),
    "long name, fields": (lambda n: PROTO3 + f"message {LONG} {{ {fields(n, 'int32 f{i} = {n};')} }}", 250),
    "long name, errors": (lambda n: PROTO3 + f"message {LONG} {{ {fields(n, 'int32 f{i} = 1;')} }}", 500),
    "long package": (lambda n: f"{PROTO3}package {'p' * 500}; {fields(n, 'message M{i} { M{i} m = 1; }')}", 2_000),
    "braces": (lambda n: PROTO3 + "message M {" * n, 100_000),
    "brackets": (lambda n: PROTO3 + "option (a) = " + "{a:[" * n, 100_000),
    "missing imports": (lambda n: PROTO3 + fields(n, 'import "x{i}.proto";'), 2_000),
}

FOR_A_CHAIN = 'import "f0.proto"; message A { M0 m = 1; }'

# The same for shapes of many files.
MANY: dict[str, tuple[Callable[[int], Files], int]] = {
    "chain of imports": (lambda n: files_of(n, chain(n, ""), FOR_A_CHAIN), 1_000),
    "chain of public imports": (lambda n: files_of(n, chain(n, "public "), FOR_A_CHAIN), 1_000),
    "ring of imports": (lambda n: files_of(n, chain(n, "", "f0.proto"), FOR_A_CHAIN), 1_000),
    "cycles of many lengths": (
        lambda n: files_of(
            n,
            lambda i: f'import "f{i // 2}.proto"; ' + (f'import "f{i + 1}.proto";' if i + 1 < n else ""),
            FOR_A_CHAIN,
        ),
        500,
    ),
    "star of imports": (
        lambda n: files_of(
            n,
            lambda i: f"message M{i} {{}}",
            fields(n, 'import "f{i}.proto";') + f"message A {{ {fields(n, 'M{i} m{i} = {n};')} }}",
        ),
        1_000,
    ),
    "unused imports": (
        lambda n: files_of(n, lambda i: f"message M{i} {{}}", fields(n, 'import "f{i}.proto";')),
        1_000,
    ),
    "good and bad imports": (
        lambda n: files_of(
            n,
            lambda i: f"message M{i} {{ {fields(30, 'int32 f{i} = {n};')} {'X x = 99;' * (i % 2)} }}",
            fields(n, 'import "f{i}.proto";'),
        ),
        1_000,
    ),
}


def alone(make: Callable[[int], str]) -> Callable[[int], Files]:
    return lambda count: {"a.proto": make(count)}


SHAPES: dict[str, tuple[Callable[[int], Files], int]] = {
    **{name: (alone(make), size) for name, (make, size) in SINGLE.items()},
    **MANY,
}
