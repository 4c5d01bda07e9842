"""What both sides need: names for numbers, and the way between Python objects and what the native module takes."""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Iterable

from grpc import _log as _log
from grpc._vocabulary import ChannelConnectivity, StatusCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LOGGER = logging.getLogger(__name__)

#: The StatusCode of each number on the wire.
STATUS_CODES: tuple[StatusCode, ...] = tuple(StatusCode)
#: The ChannelConnectivity of each number the native module knows.
CONNECTIVITIES: tuple[ChannelConnectivity, ...] = tuple(ChannelConnectivity)

# Names that programs import from here.
CYGRPC_STATUS_CODE_TO_STATUS_CODE = dict(enumerate(STATUS_CODES))
STATUS_CODE_TO_CYGRPC_STATUS_CODE = {code: number for number, code in enumerate(STATUS_CODES)}
CYGRPC_CONNECTIVITY_STATE_TO_CHANNEL_CONNECTIVITY = dict(enumerate(CONNECTIVITIES))

# Python runs signal handlers on the main thread only. A signal that comes just before that thread blocks does not
# wake it, so it must not block for longer than somebody who pressed Ctrl-C wants to wait.
WAIT_SLICE_SECONDS = 0.1

_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1

Pairs = list[tuple[str, "str | bytes"]]

_Metadatum = collections.namedtuple("_Metadatum", ("key", "value"))
_Metadatum.__module__ = "grpc._cython.cygrpc"


def status_number(code: Any) -> int:
    """The number of a StatusCode on the wire; anything else is UNKNOWN's."""
    return code.value[0] if isinstance(code, StatusCode) else 2


def encode(s: str | bytes) -> bytes:
    """UTF-8 bytes of a str; bytes as they are."""
    return s if isinstance(s, bytes) else s.encode("utf8")


def encode_details(details: str | bytes) -> bytes:
    """The same for text that an RPC is ended with: it must not be lost for the lone surrogates in it."""
    try:
        return encode(details)
    except UnicodeEncodeError:
        assert isinstance(details, str)
        return details.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def decode(b: bytes | str) -> str:
    """The str of UTF-8 bytes, with replacement characters for what is not UTF-8; a str as it is."""
    return b.decode("utf-8", "replace") if isinstance(b, bytes) else b


def log_serializing() -> None:
    """Logs the exception being handled, which a serializer raised."""
    _LOGGER.exception("Exception serializing message!")


def log_deserializing() -> None:
    """Logs the exception being handled, which a deserializer raised."""
    _LOGGER.exception("Exception deserializing message!")


def serialize(message: Any, serializer: Callable[[Any], bytes] | None) -> Any:
    """What `serializer` makes of the message (the message itself without one); None, logged, if it raises."""
    if serializer is None:
        return message
    try:
        return serializer(message)
    except Exception:
        log_serializing()
        return None


def deserialize(serialized: bytes, deserializer: Callable[[bytes], Any] | None) -> Any:
    """What `deserializer` makes of the bytes (the bytes themselves without one); None, logged, if it raises."""
    if deserializer is None:
        return serialized
    try:
        return deserializer(serialized)
    except Exception:
        log_deserializing()
        return None


def reads_protobuf(deserializer: Any) -> bool:
    """Whether a deserializer is that of a generated message, `Message.FromString`: it reads nothing else."""
    if getattr(deserializer, "__name__", None) != "FromString":
        return False
    message = getattr(deserializer, "__self__", None)
    # In protobuf's pure Python it is a function.
    return hasattr(message, "DESCRIPTOR") or str(getattr(deserializer, "__module__", "")).startswith("google.protobuf.")


def as_bytes(message: Any) -> bytes:
    """The message as the native module takes it.

    Raises:
      TypeError: it is not bytes.
    """
    if not isinstance(message, bytes):
        raise TypeError(f"Argument 'message' has incorrect type (expected bytes, got {type(message).__name__})")
    return bytes(message)


def fully_qualified_method(group: str, method: str) -> str:
    """The path of a service's method."""
    return f"/{group}/{method}"


def cannot_bind(address: str, error: Exception) -> str:
    """What is said of an address that a server cannot listen on: grpcio's words, then the system's."""
    return (
        f"Failed to bind to address {address}; set GRPC_VERBOSITY=debug environment "
        f"variable to see detailed error message. ({error})"
    )


def _text(s: Any) -> str:
    if isinstance(s, str):
        return s
    if s is None:
        return ""
    if isinstance(s, bytes):
        # Bytes that are not ASCII stay visible as such, and are refused when the metadata are sent.
        return s.decode("latin-1")
    raise TypeError(f"Expected str, not {type(s)}")


def metadata_pairs(metadata: Iterable[Any]) -> Pairs:
    """Metadata as the native module takes them; what characters they may hold it decides itself.

    Raises:
      ValueError: it is a dict, or an item is not a pair.
      TypeError: a key or a value is neither str nor bytes, or a value not bytes although its key ends in "-bin".
    """
    if isinstance(metadata, dict):
        raise ValueError("metadata must be (key, value) pairs, not a dict: pass its items()")
    pairs: Pairs = []
    for key, value in metadata:
        name = _text(key)
        if name.endswith("-bin"):
            if not isinstance(value, bytes):
                raise TypeError(f'Binary metadata key="{name}" expected bytes, got {type(value)}')
            pairs.append((name, value))
        else:
            pairs.append((name, _text(value)))
    return pairs


_environment_is_read = False


def options(given: Iterable[Any] | None) -> list[tuple[str, Any]]:
    """Channel or server options as the native module takes them.

    Raises:
      ValueError: it is a dict, or an item is not a pair.
      TypeError: a key is not str or bytes, or a value is nothing an option can be.
      OverflowError: an int needs more than 32 bits.
    """
    global _environment_is_read
    if not _environment_is_read:
        _environment_is_read = True
        from grpc import _options

        _options.warn_of_environment()
    if given is None:
        return []
    if isinstance(given, dict):
        raise ValueError("options must be (key, value) pairs, not a dict: pass its items()")
    checked = []
    for key, value in given:
        if not isinstance(key, (str, bytes)):
            raise TypeError(f"Expected str, not {type(key)}")
        if isinstance(value, bytes):
            value = decode(value)
        elif isinstance(value, int):
            if not _INT_MIN <= value <= _INT_MAX:
                raise OverflowError("value too large to convert to int")
            value = int(value)
        elif not isinstance(value, str) and not hasattr(value, "__int__"):
            raise TypeError(f"Expected int, bytes, or behavior, got {type(value)}")
        checked.append((decode(key), value))
    return checked


def describe_channel(channel: object, target: str, state: int | None) -> str:
    """The `repr` of a channel: where to, and in which state if that is known."""
    name = "" if state is None else f", {CONNECTIVITIES[state].name}"
    return f"<{type(channel).__module__}.{type(channel).__qualname__} to {target!r}{name}>"


def wait(event: threading.Event, timeout: float | None) -> bool:
    """Waits for an event, and lets signal handlers run meanwhile.

    Args:
      event: what to wait for.
      timeout: seconds to wait at most; None waits as long as it takes.

    Returns:
      Whether the event is set.
    """
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        remaining = WAIT_SLICE_SECONDS if until is None else min(WAIT_SLICE_SECONDS, until - time.monotonic())
        if event.wait(remaining):
            return True
        if until is not None and time.monotonic() >= until:
            return False


def call_logging(callback: Callable[..., object], message: str, *args: object) -> None:
    """Calls, and logs what is raised: for callbacks run where nobody could handle it."""
    try:
        callback(*args)
    except Exception:
        _LOGGER.exception(message)
