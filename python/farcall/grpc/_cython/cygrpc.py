"""The few names of grpcio's native module that programs import. The engine is `farcall._native`."""

from __future__ import annotations

import enum

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


def __getattr__(name: str) -> type:
    # What handlers of grpc.aio are handed: the name by which programs annotate it.
    if name == "_ServicerContext":
        from grpc.aio._context import Context

        return Context
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Fork support may be switched by tests after import; farcall needs no switch.
_GRPC_ENABLE_FORK_SUPPORT = False


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
