"""Broken and odd .proto files to compile twice: tokens and bytes changed in real ones, and made up from nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/|\w+|\s+|.', re.DOTALL)


def change_token(text: bytes, chance: random.Random) -> bytes:
    """The text with a token dropped, doubled or swapped with the next, comments and spaces left alone."""
    tokens = TOKEN.findall(text.decode(errors="replace"))
    places = [index for index, token in enumerate(tokens) if not token.isspace() and not token.startswith(("//", "/*"))]
    if len(places) < 2:
        return text
    at = chance.randrange(len(places) - 1)
    here, there = places[at], places[at + 1]
    match chance.choice(["drop", "double", "swap"]):
        case "drop":
            tokens[here] = ""
        case "double":
            tokens[here] += f" {tokens[here]}"
        case _:
            tokens[here], tokens[there] = tokens[there], tokens[here]
    return "".join(tokens).encode()


# What readers of text trip over: ends of things, escapes, broken UTF-8, numbers at their limits.
ODD = [
    *(bytes([byte]) for byte in b"\x00\t\n\x0b\r\x1b\"'\\/*#@`~^$%&|!?;:,.=-+<>(){}[]_0789xeEfFu\x7f\x80\xc3\xff"),
    *(b"//", b"/*", b"*/", b"\\x", b"\\u", b"\\U0010FFFF", b"\\777", b"\\?", b"\r\n", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
    *(
        b"0x",
        b"1e",
        b"1e400",
        b"08",
        b"4294967296",
        b"-9223372036854775809",
        b"18446744073709551616",
        b"1.f",
        b".5",
        b"inf",
        b"nan",
    ),
]


def change_bytes(text: bytes, chance: random.Random) -> bytes:
    """The text with one to three stretches of bytes replaced, removed, inserted or copied from elsewhere in it."""
    changed = bytearray(text)
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.randrange(len(changed) + 1)
        length = min(chance.choice([0, 1, 1, 2, 5, 30]), len(changed) - at)
        origin = chance.randrange(len(changed) + 1)
        new = chance.choice(
            [b"", chance.choice(ODD), chance.randbytes(1), bytes(changed[origin : origin + chance.randrange(60)])]
        )
        changed[at : at + length] = new
    return bytes(changed)


def change_lines(text: bytes, chance: random.Random) -> bytes:
    """The text with some lines dropped, doubled or moved."""
    lines = text.splitlines(keepends=True)
    for _ in range(chance.choice([1, 2, 4])):
        if not lines:
            break
        at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.choice(["drop", "double", "move"]):
            case "drop":
                del lines[at]
            case "double":
                lines.insert(to, lines[at])
            case _:
                lines.insert(to, lines.pop(at))
    return b"".join(lines)


MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "tokens": change_token,
    "bytes": change_bytes,
    "lines": change_lines,
}
