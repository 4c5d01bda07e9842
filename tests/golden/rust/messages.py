"""Random messages, and what becomes of them in Rust."""

from __future__ import annotations

import difflib
import math
import random
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor, descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import Message

Field = descriptor.FieldDescriptor

DEEPEST = 4
TEXTS = ["", "a", "Grüße", "日本", "\0", "\x7f \t\n\"'\\", "🎉", "x" * 200]
INTS = [0, 1, -1, 127, 128, 300, -(2**31), 2**31 - 1, 2**32 - 1, 2**53, -(2**63), 2**63 - 1, 2**64 - 1]
FLOATS = [0.0, 1.5, -1e-7, 3.4e38, 1e-45, math.inf, -math.inf, math.nan]


@dataclass
class Tally:
    """How many messages of how many types were sent, and how they came back."""

    types: int = 0
    messages: int = 0
    # Those that Rust writes just as Python does, when it is told to write in one order.
    identical: int = 0
    json: int = 0
    different: int = 0

    def __str__(self) -> str:
        json = f", {self.json} as JSON both ways" if self.json else ""
        return (
            f"{self.messages} messages of {self.types} types, {self.identical} byte for byte{json}; "
            f"{self.different} came back different"
        )

    def add(self, kind: descriptor.Descriptor, found: list[str], show: int) -> None:
        """Counts the differences found, and describes the first few."""
        for difference in filter(None, found):
            self.different += 1
            if self.different <= show:
                print(f"{kind.full_name}: {difference}")


class Peer:
    """The Rust program."""

    def __init__(self, binary: str) -> None:
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def ask(self, wanted: bytes, name: str, data: bytes) -> bytes:
        """What Rust makes of a message. Raises ValueError with what it says if it makes nothing."""
        assert self.process.stdin and self.process.stdout
        parts = [wanted, *(piece for part in (name.encode(), data) for piece in (struct.pack("<I", len(part)), part))]
        self.process.stdin.write(b"".join(parts))
        self.process.stdin.flush()
        head = self.process.stdout.read(5)
        if len(head) < 5:
            raise EOFError(f"the Rust program ended over a {name}")
        answer = self.process.stdout.read(int.from_bytes(head[1:], "little"))
        if head[:1] != b"+":
            raise ValueError(answer.decode(errors="replace"))
        return answer


class Random:
    """Fills messages from a seed."""

    def __init__(self, seed: int, pool: descriptor_pool.DescriptorPool) -> None:
        self.random = random.Random(seed)
        self.pool = pool

    def fill(self, message: Message, json: bool = False, depth: int = 0) -> None:
        """Sets some fields and extensions; with `json`, only what JSON can say.

        Required fields are always set, but for messages in messages that are too deep.
        """
        kind = message.DESCRIPTOR
        if json and (special := WELL_KNOWN.get(kind.full_name)):
            special(self, message)
            return
        fields = list(kind.fields)
        if kind.is_extendable and not json:
            fields += self.pool.FindAllExtensions(kind)
        share = self.random.choice([0.1, 0.5, 1.0]) if len(fields) < 60 else 0.1
        for field in fields:
            too_deep = depth >= DEEPEST and field.message_type
            if too_deep or (not field.is_required and self.random.random() > share):
                continue
            if field.is_extension:
                self.set_extension(message, field, json, depth)
            else:
                self.set_field(message, field, json, depth)

    def set_field(self, message: Message, field: Field, json: bool, depth: int) -> None:
        entry = field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
        if entry:
            entries = getattr(message, field.name)
            for _ in range(self.random.randint(0, 3)):
                key = self.scalar(entry.fields_by_name["key"], json)
                value = entry.fields_by_name["value"]
                if value.message_type:
                    self.fill(entries[key], json, depth + 1)
                else:
                    entries[key] = self.scalar(value, json)
        elif field.is_repeated:
            values = getattr(message, field.name)
            for _ in range(self.random.choice([0, 1, 2, 9])):
                if field.message_type:
                    self.fill(values.add(), json, depth + 1)
                else:
                    values.append(self.scalar(field, json))
        elif field.message_type:
            inner = getattr(message, field.name)
            inner.SetInParent()
            self.fill(inner, json, depth + 1)
        else:
            setattr(message, field.name, self.scalar(field, json))

    def set_extension(self, message: Message, field: Field, json: bool, depth: int) -> None:
        extensions: Any = message.Extensions  # type: ignore[attr-defined]
        if field.is_repeated:
            for _ in range(self.random.randint(0, 2)):
                if field.message_type:
                    self.fill(extensions[field].add(), json, depth + 1)
                else:
                    extensions[field].append(self.scalar(field, json))
        elif field.message_type:
            extensions[field].SetInParent()
            self.fill(extensions[field], json, depth + 1)
        else:
            extensions[field] = self.scalar(field, json)

    def scalar(self, field: Field, json: bool) -> Any:
        choose = self.random.choice
        if field.type == Field.TYPE_STRING:
            return choose(TEXTS)
        if field.type == Field.TYPE_BYTES:
            return self.random.randbytes(choose([0, 1, 2, 3, 200]))
        if field.type == Field.TYPE_BOOL:
            return choose([False, True])
        # Rust's JSON has no negative zero where a field has no presence.
        floats = FLOATS if json else [*FLOATS, -0.0]
        if field.type == Field.TYPE_FLOAT:
            return struct.unpack("<f", struct.pack("<f", choose(floats)))[0]
        if field.type == Field.TYPE_DOUBLE:
            return choose([*floats, 1e300, self.random.random()])
        if field.type == Field.TYPE_ENUM:
            numbers = [value.number for value in field.enum_type.values]
            # JSON has one word for all of `NullValue`.
            has_one_word = json and field.enum_type.full_name == "google.protobuf.NullValue"
            if not (field.enum_type.is_closed or has_one_word) and self.random.random() < 0.1:
                return choose([77_777, -77_777])
            return choose(numbers)
        signed = field.cpp_type in (Field.CPPTYPE_INT32, Field.CPPTYPE_INT64)
        bits = 32 if field.cpp_type in (Field.CPPTYPE_INT32, Field.CPPTYPE_UINT32) else 64
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        return choose([value for value in INTS if low <= value <= high] + [self.random.randint(low, high)])

    def strangers(self, kind: descriptor.Descriptor) -> bytes:
        """Fields that the type does not have, of every wire type; none for message sets, which have them all."""
        if kind.GetOptions().message_set_wire_format:
            return b""
        taken = {field.number for field in kind.fields}
        taken |= {number for start, end in kind.extension_ranges for number in (start, min(end, start + 1))}
        ranges = [range(start, end) for start, end in kind.extension_ranges]
        free = [number for number in (1, 15, 16, 2047, 2048, 18_999, 200_001, 536_870_911) if number not in taken]
        free = [number for number in free if not any(number in taken_range for taken_range in ranges)]
        bodies = [(0, b"\x05"), (1, b"12345678"), (2, b"\x03abc"), (5, b"1234"), (2, b"\x00")]
        written = []
        for number in self.random.sample(free, min(2, len(free))):
            wire, body = self.random.choice(bodies)
            written.append(varint(number << 3 | wire) + body)
            if self.random.random() < 0.2:
                written.append(varint(number << 3 | 3) + b"\x08\x01" + varint(number << 3 | 4))
        return b"".join(written)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def timestamp(source: Random, message: Any) -> None:
    message.seconds = source.random.choice([0, 1, -1, -62135596800, 253402300799])
    message.nanos = source.random.choice([0, 1, 1000, 1_000_000, 999_999_999])


def duration(source: Random, message: Any) -> None:
    message.seconds = source.random.choice([0, 1, 315_576_000_000])
    message.nanos = source.random.choice([0, 1, 1000, 1_000_000, 999_999_999]) if message.seconds < 2 else 0
    if source.random.random() < 0.5:
        message.seconds, message.nanos = -message.seconds, -message.nanos


def field_mask(source: Random, message: Any) -> None:
    message.paths.extend(source.random.sample(["a", "foo_bar", "a.b_c", "x.y.z"], source.random.randint(0, 3)))


def any_message(source: Random, message: Any) -> None:
    # Without a registry of types Rust can put into words what has words of its own; and nothing at all.
    del source, message


def value(source: Random, message: Any) -> None:
    match source.random.randint(0, 5):
        case 0:
            message.null_value = 0
        case 1:
            message.number_value = source.random.choice([0, -1.5, 1e20])
        case 2:
            message.string_value = source.random.choice(TEXTS)
        case 3:
            message.bool_value = source.random.random() < 0.5
        case 4:
            message.list_value.values.add().string_value = "in a list"
        case _:
            message.struct_value.fields["key"].bool_value = True


def list_value(source: Random, message: Any) -> None:
    for _ in range(source.random.randint(0, 2)):
        value(source, message.values.add())


def struct_value(source: Random, message: Any) -> None:
    for _ in range(source.random.randint(0, 2)):
        value(source, message.fields[source.random.choice(TEXTS)])


# What has words of its own in JSON, and values that have none.
WELL_KNOWN: dict[str, Callable[[Random, Any], None]] = {
    "google.protobuf.Any": any_message,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": field_mask,
    "google.protobuf.ListValue": list_value,
    "google.protobuf.Struct": struct_value,
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Value": value,
}


def exchange(
    binary: str,
    files: list[descriptor_pb2.FileDescriptorProto],
    generated: list[str],
    each: int,
    json: bool,
    seed: int,
    show: int,
) -> Tally:
    """Sends `each` random messages of every type in `generated` through the Rust program."""
    pool = pool_of(files)
    source, tally = Random(seed, pool), Tally()
    with Peer(binary) as peer:
        for name in generated:
            for kind in message_types(pool.FindFileByName(name).message_types_by_name.values()):
                tally.types += 1
                for _ in range(each):
                    message = message_factory.GetMessageClass(kind)()
                    source.fill(message)
                    sent = message.SerializePartialToString() + source.strangers(kind)
                    found = [bytes_there_and_back(peer, message, sent, tally)]
                    if json and python_has_json(kind):
                        message = message_factory.GetMessageClass(kind)()
                        source.fill(message, json=True)
                        found.append(json_there_and_back(peer, message, pool, tally))
                    tally.add(kind, found, show)
    return tally


def exchange_files(
    binary: str, files: list[descriptor_pb2.FileDescriptorProto], directory: Path, json: bool, show: int
) -> Tally:
    """Sends the messages in files of `directory` through the Rust program: `full.name.of.Type/NAME.binpb`."""
    pool, tally = pool_of(files), Tally()
    with Peer(binary) as peer:
        for below in sorted(path for path in directory.iterdir() if path.is_dir()):
            kind = pool.FindMessageTypeByName(below.name)
            tally.types += 1
            for path in sorted(below.glob("*.binpb")):
                message = message_factory.GetMessageClass(kind).FromString(path.read_bytes())
                found = [bytes_there_and_back(peer, message, path.read_bytes(), tally)]
                if json and python_has_json(kind):
                    found.append(json_there_and_back(peer, message, pool, tally))
                tally.add(kind, found, show)
    return tally


def pool_of(files: list[descriptor_pb2.FileDescriptorProto]) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def message_types(kinds: Iterable[descriptor.Descriptor]) -> Iterator[descriptor.Descriptor]:
    for kind in kinds:
        if not kind.GetOptions().map_entry:
            yield kind
            yield from message_types(kind.nested_types)


def python_has_json(kind: descriptor.Descriptor) -> bool:
    """False where Python confuses fields of one JSON name, here or in a message below: old proto2 files have such."""
    seen = {kind.full_name: kind}
    waiting = [kind]
    while waiting:
        fields = waiting.pop().fields
        if len({field.json_name for field in fields}) < len(fields):
            return False
        below = {field.message_type.full_name: field.message_type for field in fields if field.message_type}
        waiting.extend(inner for name, inner in below.items() if name not in seen)
        seen |= below
    return True


def bytes_there_and_back(peer: Peer, message: Message, sent: bytes, tally: Tally) -> str:
    """`sent` is the message as it goes to Rust, maybe with unknown fields."""
    tally.messages += 1
    try:
        back = peer.ask(b"b", message.DESCRIPTOR.full_name, sent)
    except ValueError as error:
        return f"{sent[:1000]!r}: {error}"
    tally.identical += back == type(message).FromString(sent).SerializePartialToString(deterministic=True)
    return difference(message, sent, back)


def json_there_and_back(peer: Peer, message: Message, pool: descriptor_pool.DescriptorPool, tally: Tally) -> str:
    # JSON has no words for them.
    message.DiscardUnknownFields()  # type: ignore[attr-defined]
    try:
        text = json_format.MessageToJson(message, descriptor_pool=pool)
    except (ValueError, json_format.Error):
        return ""
    tally.json += 1
    name, sent = message.DESCRIPTOR.full_name, message.SerializePartialToString()
    try:
        theirs = peer.ask(b"j", name, sent).decode()
        parsed = type(message)()
        json_format.Parse(theirs, parsed, descriptor_pool=pool)
        if why := difference(message, sent, parsed.SerializePartialToString()):
            return f"to JSON: {why} {theirs[:1000]}"
        if why := difference(message, sent, peer.ask(b"f", name, text.encode())):
            return f"from JSON: {why} {text[:1000]}"
    except (ValueError, json_format.Error) as error:
        return f"JSON: {error}; {text[:1000]}"
    return ""


def difference(made: Message, sent: bytes, back: bytes) -> str:
    """What Python reads in the answer that it does not read in the question."""
    first, second = type(made)(), type(made)()
    first.ParseFromString(sent)
    second.ParseFromString(back)
    if first.SerializePartialToString(deterministic=True) == second.SerializePartialToString(deterministic=True):
        return ""
    lines = list(difflib.unified_diff(str(first).splitlines(), str(second).splitlines(), lineterm="", n=2))
    shown = "\n".join(lines[:40])
    return f"{shown}\n{sent[:500]!r}\n{back[:500]!r}\n"
