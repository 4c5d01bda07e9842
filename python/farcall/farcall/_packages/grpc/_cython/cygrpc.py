"""The few names of grpcio's native module that programs import. The engine is `farcall._native`."""

from __future__ import annotations

import enum
from typing import Any

from grpc._common import _Metadatum

__all__ = [
    "EOF",
    "AbortError",
    "BaseError",
    "ChannelArgKey",
    "CompressionAlgorithm",
    "CompressionLevel",
    "ConnectivityState",
    "ExecuteBatchError",
    "InternalError",
    "PrivateKeySignatureAlgorithm",
    "StatusCode",
    "UsageError",
    "_Metadatum",
]


def __getattr__(name: str) -> Any:
    from grpc._cython import _core

    return _core.named(name)


def __dir__() -> list[str]:
    from grpc._cython import _core

    return sorted({*globals(), *_core.NAMES} - {"Any", "annotations", "enum"})


# Fork support may be switched by tests after import; farcall needs no switch.
_GRPC_ENABLE_FORK_SUPPORT = False
_EMPTY_FLAGS = 0
_EMPTY_MASK = 0
_IMMUTABLE_EMPTY_METADATA = ()
GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM = "grpc.default_compression_algorithm"
GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY = "grpc-internal-encoding-request"


class BaseError(Exception):
    """What the errors of `grpc.aio` that are not the other side's have in common."""


class AbortError(BaseError):
    """A handler aborted its RPC. It may be caught to tidy up, and must be raised on."""


class UsageError(BaseError):
    """An object was used in a way its state does not allow: a closed channel, two styles of streaming on one call."""


class InternalError(BaseError):
    """The engine failed."""


class ExecuteBatchError(InternalError):
    """The engine refused an operation."""


class _EOF:
    """The type of `grpc.aio.EOF`, which reading answers when there are no more messages."""

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "<grpc.aio.EOF>"

    def __reduce__(self) -> str:
        return "EOF"  # There is one, which copies and pickles are too.


EOF = _EOF()


class StatusCode:
    """Status codes by number."""

    ok = 0
    cancelled = 1
    unknown = 2
    invalid_argument = 3
    deadline_exceeded = 4
    not_found = 5
    already_exists = 6
    permission_denied = 7
    resource_exhausted = 8
    failed_precondition = 9
    aborted = 10
    out_of_range = 11
    unimplemented = 12
    internal = 13
    unavailable = 14
    data_loss = 15
    unauthenticated = 16


class ConnectivityState:
    """Connectivity states by number."""

    idle = 0
    connecting = 1
    ready = 2
    transient_failure = 3
    shutdown = 4


class OperationType(enum.IntEnum):
    """What an operation of a call does."""

    send_initial_metadata = 0
    send_message = 1
    send_close_from_client = 2
    send_status_from_server = 3
    receive_initial_metadata = 4
    receive_message = 5
    receive_status_on_client = 6
    receive_close_on_server = 7


class CompletionType:
    """What a completion queue's event says."""

    queue_shutdown = 0
    queue_timeout = 1
    operation_complete = 2


class CallError:
    """Why an operation was refused."""

    ok = 0
    error = 1
    not_on_server = 2
    not_on_client = 3
    already_accepted = 4
    already_invoked = 5
    not_invoked = 6
    already_finished = 7
    too_many_operations = 8
    invalid_flags = 9
    invalid_metadata = 10


class WriteFlag:
    """How a message is sent."""

    buffer_hint = 1
    no_compress = 2


class InitialMetadataFlags:
    """How initial metadata are sent."""

    wait_for_ready = 32
    wait_for_ready_explicitly_set = 128
    used_mask = 164


class PropagationConstants:
    """What a call takes over from the RPC that is being served."""

    GRPC_PROPAGATE_DEADLINE = 1
    GRPC_PROPAGATE_CENSUS_STATS_CONTEXT = 2
    GRPC_PROPAGATE_CENSUS_TRACING_CONTEXT = 4
    GRPC_PROPAGATE_CANCELLATION = 8
    GRPC_PROPAGATE_DEFAULTS = 65535


class LocalConnectionType:
    """What a local connection goes through."""

    uds = 0
    local_tcp = 1


class CompressionAlgorithm:
    """Compression algorithms by number."""

    none = 0
    deflate = 1
    gzip = 2


class CompressionLevel:
    """Compression levels by number."""

    none = 0
    low = 1
    medium = 2
    high = 3


class PrivateKeySignatureAlgorithm(enum.IntEnum):
    """How a private key signs."""

    RSA_PKCS1_SHA256 = 0
    RSA_PKCS1_SHA384 = 1
    RSA_PKCS1_SHA512 = 2
    ECDSA_SECP256R1_SHA256 = 3
    ECDSA_SECP384R1_SHA384 = 4
    ECDSA_SECP521R1_SHA512 = 5
    RSA_PSS_RSAE_SHA256 = 6
    RSA_PSS_RSAE_SHA384 = 7
    RSA_PSS_RSAE_SHA512 = 8


class ChannelArgKey:
    """Names of some channel options."""

    enable_census = b"grpc.census"
    max_concurrent_streams = b"grpc.max_concurrent_streams"
    max_receive_message_length = b"grpc.max_receive_message_length"
    max_send_message_length = b"grpc.max_send_message_length"
    http2_initial_sequence_number = b"grpc.http2.initial_sequence_number"
    default_authority = b"grpc.default_authority"
    primary_user_agent_string = b"grpc.primary_user_agent"
    secondary_user_agent_string = b"grpc.secondary_user_agent"
    ssl_session_cache = b"grpc.ssl_session_cache"
    ssl_target_name_override = b"grpc.ssl_target_name_override"


# What packages for channelz and CSDS ask the engine for.


def channelz_get_top_channels(start_channel_id: int) -> bytes:
    """The process's channels from an identifier on: a `GetTopChannelsResponse` in JSON."""
    from grpc import _channelz

    return _channelz.top_channels(start_channel_id)


def channelz_get_servers(start_server_id: int) -> bytes:
    """The process's servers from an identifier on: a `GetServersResponse` in JSON."""
    from grpc import _channelz

    return _channelz.servers(start_server_id)


def channelz_get_server(server_id: int) -> bytes:
    """One server: a `GetServerResponse` in JSON; ValueError if there is none."""
    from grpc import _channelz

    return _channelz.one("server", server_id)


def channelz_get_server_sockets(server_id: int, start_socket_id: int, max_results: int) -> bytes:
    """A server's connections: a `GetServerSocketsResponse` in JSON; ValueError if there is no such server."""
    from grpc import _channelz

    return _channelz.server_sockets(server_id, start_socket_id, max_results)


def channelz_get_channel(channel_id: int) -> bytes:
    """One channel: a `GetChannelResponse` in JSON; ValueError if there is none."""
    from grpc import _channelz

    return _channelz.one("channel", channel_id)


def channelz_get_subchannel(subchannel_id: int) -> bytes:
    """One subchannel: a `GetSubchannelResponse` in JSON; ValueError if there is none."""
    from grpc import _channelz

    return _channelz.one("subchannel", subchannel_id)


def channelz_get_socket(socket_id: int) -> bytes:
    """One connection or listening socket: a `GetSocketResponse` in JSON; ValueError if there is none."""
    from grpc import _channelz

    return _channelz.one("socket", socket_id)


def dump_xds_configs() -> bytes:
    """The state of xDS clients: a serialised `ClientStatusResponse`; empty, as there are none."""
    return b""
