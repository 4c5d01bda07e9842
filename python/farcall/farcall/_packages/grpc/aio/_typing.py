"""Names for the types that the signatures of `grpc.aio` speak of."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from grpc._cython.cygrpc import _EOF
from grpc.aio._metadata import Metadata, MetadataKey, MetadataType, MetadataValue, MetadatumType

__all__ = [
    "ChannelArgumentType",
    "DeserializerOutputType_co",
    "DeserializingFunction",
    "DoneCallbackType",
    "EOFType",
    "Metadata",
    "MetadataKey",
    "MetadataType",
    "MetadataValue",
    "MetadatumType",
    "RequestIterableType",
    "RequestType",
    "ResponseIterableType",
    "ResponseType",
    "SerializerInputType_contra",
    "SerializingFunction",
]

# Who names no types of messages means any; the interpreter does not care.
if TYPE_CHECKING:
    from typing_extensions import TypeVar

    RequestType = TypeVar("RequestType", default=Any)
    ResponseType = TypeVar("ResponseType", default=Any)
else:
    from typing import TypeVar

    RequestType = TypeVar("RequestType")
    ResponseType = TypeVar("ResponseType")
SerializerInputType_contra = TypeVar("SerializerInputType_contra", contravariant=True)
DeserializerOutputType_co = TypeVar("DeserializerOutputType_co", covariant=True)

#: Makes bytes of a message.
SerializingFunction = Callable[[SerializerInputType_contra], bytes]
#: Makes a message of bytes.
DeserializingFunction = Callable[[bytes], DeserializerOutputType_co]
#: (key, value) pairs that configure a channel or a server.
ChannelArgumentType = Sequence[tuple[str, Any]]
#: The type of `grpc.aio.EOF`.
EOFType = _EOF
#: Called with the call, or the servicer's context, when the RPC is over.
DoneCallbackType = Callable[[Any], None]
RequestIterableType = Iterable[RequestType] | AsyncIterable[RequestType]
ResponseIterableType = AsyncIterable[ResponseType]
