"""Metadata as an ordered multimap."""

from __future__ import annotations

from collections.abc import (
    Collection,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from typing import Any, Union

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Self

MetadataKey = str
MetadataValue = str | bytes
MetadatumType = tuple[MetadataKey, MetadataValue]
#: What functions take as metadata: a Metadata or a sequence of (key, value) pairs.
MetadataType = Union["Metadata", Sequence[MetadatumType]]


class Metadata(Collection[MetadatumType]):
    """The metadata of an RPC: keys, each with one or more values, in the order in which keys were first added.

    `metadata[key]` is the first value of a key; `get_all(key)` answers all. Iteration gives (key, value) pairs, those
    of one key together. Values are str, or bytes for keys that end in "-bin".

        Metadata(("trace", "1"), ("trace", "2"), ("token-bin", b"\\x00"))
    """

    def __init__(self, *args: MetadatumType) -> None:
        self._metadata: dict[MetadataKey, list[MetadataValue]] = {}
        for key, value in args:
            self.add(key, value)

    @classmethod
    def from_tuple(cls, raw_metadata: Iterable[MetadatumType] | None) -> Self:
        """Metadata of an iterable of (key, value) pairs; None for none."""
        return cls(*raw_metadata) if raw_metadata else cls()

    @classmethod
    def _create(cls, raw_metadata: MetadataType | Iterable[MetadatumType] | None) -> Self:
        """As `from_tuple`; what is Metadata already is answered as it is.

        Raises:
          ValueError: these are no pairs, or they are in a mapping, which has no room for repeated keys.
        """
        if isinstance(raw_metadata, cls):
            return raw_metadata
        if isinstance(raw_metadata, Mapping):
            raise ValueError("metadata is given as (key, value) pairs, not as a mapping")
        return cls.from_tuple(raw_metadata)

    def add(self, key: MetadataKey, value: MetadataValue) -> None:
        """Adds a value after those the key has."""
        values = self._metadata.get(key)
        if values is None:
            self._metadata[key] = [value]
        else:
            values.append(value)

    def __len__(self) -> int:
        """The number of (key, value) pairs."""
        return sum(map(len, self._metadata.values()))

    def __getitem__(self, key: MetadataKey) -> MetadataValue:
        """The first value of a key; KeyError if there is none."""
        try:
            return self._metadata[key][0]
        except (IndexError, KeyError):
            raise KeyError(key) from None

    def __setitem__(self, key: MetadataKey, value: MetadataValue) -> None:
        """Replaces the first value of a key, or adds it."""
        values = self._metadata.get(key)
        if values:
            values[0] = value
        else:
            self._metadata[key] = [value]

    def __delitem__(self, key: MetadataKey) -> None:
        """Removes the first value of a key; KeyError if there is none."""
        values = self._metadata.get(key)
        if not values:
            raise KeyError(repr(key))
        values.pop(0)
        if not values:
            del self._metadata[key]

    def delete_all(self, key: MetadataKey) -> None:
        """Removes a key with all its values; KeyError if it is not there."""
        del self._metadata[key]

    def __iter__(self) -> Iterator[MetadatumType]:
        for key, values in self._metadata.items():
            for value in values:
                yield (key, value)

    def keys(self) -> KeysView[MetadataKey]:
        """The keys, each once."""
        return self._metadata.keys()

    def values(self) -> ValuesView[list[MetadataValue]]:
        """The list of values of each key."""
        return self._metadata.values()

    def items(self) -> ItemsView[MetadataKey, list[MetadataValue]]:
        """Each key with the list of its values."""
        return self._metadata.items()

    def get(self, key: MetadataKey, default: MetadataValue | None = None) -> MetadataValue | None:
        """The first value of a key, or the default."""
        values = self._metadata.get(key)
        return values[0] if values else default

    def get_all(self, key: MetadataKey) -> list[MetadataValue]:
        """The values of a key, in their order."""
        return self._metadata.get(key, [])

    def set_all(self, key: MetadataKey, values: list[MetadataValue]) -> None:
        """Replaces all values of a key."""
        self._metadata[key] = list(values)

    def __contains__(self, key: object) -> bool:
        """Whether there is such a key."""
        return isinstance(key, str) and key in self._metadata

    def __eq__(self, other: object) -> bool:
        """Whether the pairs are the same, in the same order; a tuple of pairs may be on the other side."""
        if isinstance(other, Metadata):
            return list(self._metadata.items()) == list(other._metadata.items())
        if isinstance(other, tuple):
            return tuple(self) == other
        return NotImplemented

    # Equal by its pairs, which change.
    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> Metadata:
        """The pairs of both, as a new Metadata; a tuple of pairs may be on the other side."""
        if isinstance(other, (Metadata, tuple)):
            return Metadata(*self, *other)
        return NotImplemented

    def __repr__(self) -> str:
        return f"{type(self).__name__}({tuple(self)!r})"
