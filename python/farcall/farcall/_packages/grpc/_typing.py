"""Names for the types that the package's signatures speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

MetadataKey = str
MetadataValue = str | bytes
MetadatumType = tuple[str, str | bytes]
#: Received metadata: (key, value) pairs, bytes for keys that end in "-bin".
Metadata = tuple[MetadatumType, ...]
#: Metadata to be sent: any iterable of pairs except a dict.
MetadataToSend = Iterable[tuple[str | bytes, str | bytes]]
ChannelArgumentType = tuple[str, Any]
Options = Sequence[tuple[str | bytes, Any]]

SerializingFunction = Callable[[Any], bytes]
DeserializingFunction = Callable[[bytes], Any]
RequestType = Any
ResponseType = Any
RequestIterator = Iterator[Any]
NullaryCallbackType = Callable[[], object]
DoneCallbackType = Callable[[Any], None]
