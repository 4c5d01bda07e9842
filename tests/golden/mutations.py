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


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(content: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 63:
            return value, at


def fields(content: bytes) -> list[tuple[int, bytes]] | None:
    """The tag of each field of a message and the bytes after it; None if it is no message."""
    found = []
    at = 0
    try:
        while at < len(content):
            tag, start = read_varint(content, at)
            match tag & 7:
                case 0:
                    end = read_varint(content, start)[1]
                case 1:
                    end = start + 8
                case 2:
                    length, body = read_varint(content, start)
                    end = body + length
                case 5:
                    end = start + 4
                case _:
                    return None
            if end > len(content) or tag >> 3 == 0:
                return None
            found.append((tag, content[start:end]))
            at = end
    except IndexError:
        return None
    return found


# Numbers and names that descriptors may hold and text may not.
ODD_NUMBERS = [0, 1, 2, 3, 4, 11, 14, 18, 19, 127, 998, 999, 1000, 1001, 1002, 19000, 536870911, 536870912, 2**31 - 1]
ODD_NUMBERS += [2**31, 2**32, 2**63, 2**64 - 1]
ODD_NAMES = [b"", b".", b"a", b"A", b"a.b", b".a", b"1", b"_", b"x", b"proto2", b"proto3", b"editions", b"true", b"-1"]


def change_field(tag: int, body: bytes, chance: random.Random) -> bytes:
    """A field with another value, or, if it is a message, with something changed in it."""
    if tag & 7 == 0:
        return varint(tag) + varint(chance.choice(ODD_NUMBERS))
    if tag & 7 != 2:
        return varint(tag) + chance.randbytes(len(body))
    inner = body[read_varint(body, 0)[1] :]
    if fields(inner) and chance.random() < 0.9:
        inner = change_message(inner, chance)
    else:
        inner = chance.choice([*ODD_NAMES, inner[:-1], inner + b"x", inner.swapcase()])
    return varint(tag) + varint(len(inner)) + inner


def change_message(content: bytes, chance: random.Random) -> bytes:
    """The message with a field of it, or of a message in it, dropped, doubled, swapped with the next or changed."""
    found = fields(content)
    if not found:
        return content
    parts = [varint(tag) + body for tag, body in found]
    at = chance.randrange(len(parts))
    match chance.choice(["drop", "double", "swap", *["change"] * 9]):
        case "drop":
            parts[at] = b""
        case "double":
            parts[at] *= 2
        case "swap" if at + 1 < len(parts):
            parts[at], parts[at + 1] = parts[at + 1], parts[at]
        case _:
            parts[at] = change_field(*found[at], chance)
    return b"".join(parts)
