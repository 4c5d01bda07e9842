"""Names of grpcio's native module that are other things here, or are not here at all.

Programs and packages import private names of `cygrpc`, to annotate, to ask `isinstance`, to build a call by hand.
A name whose object exists here leads to it. One that only a C core can have is a class that may be named and asked
for with `isinstance`, and that raises NotImplementedError, with what to use instead, when it is called.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

# Where the object lives that does here what the name does in grpcio.
_ELSEWHERE = {
    "CompositeCallCredentials": ("grpc._credentials", "_Composite"),
    "CompositeChannelCredentials": ("grpc._credentials", "_CompositeChannel"),
    "MetadataPluginCallCredentials": ("grpc._credentials", "_MetadataPlugin"),
    "_ServicerContext": ("grpc.aio._context", "Context"),
    "insecure_server_credentials": ("grpc", "insecure_server_credentials"),
    "init_grpc_aio": ("grpc.aio", "init_grpc_aio"),
    "init_grpc_gevent": ("grpc.experimental.gevent", "init_gevent"),
    "peer_identities": ("grpc._credentials", "peer_identities"),
    "peer_identity_key": ("grpc._credentials", "peer_identity_key"),
    "shutdown_grpc_aio": ("grpc.aio", "shutdown_grpc_aio"),
}

_CHANNEL = "make channels with grpc.insecure_channel or grpc.secure_channel, and calls with stubs"
_SERVER = "make servers with grpc.server or grpc.aio.server"
_CREDENTIALS = "make credentials with grpc.ssl_channel_credentials, grpc.composite_channel_credentials and their like"
_TRACING = "for traces and metrics use the interceptors of opentelemetry-instrumentation-grpc"
_LOOP = "call grpc.aio from a coroutine: it needs no engine of its own"

# What is not here, and what to do instead.
_WAYS_OUT = {
    **dict.fromkeys(
        (
            "AioChannel",
            "BaseCompletionQueue",
            "BaseEvent",
            "BatchOperationEvent",
            "Call",
            "CallDetails",
            "CallHandle",
            "Channel",
            "CompletionQueue",
            "CompressionOptions",
            "ConnectivityEvent",
            "GrpcCallWrapper",
            "IntegratedCall",
            "Operation",
            "ReceiveCloseOnServerOperation",
            "ReceiveInitialMetadataOperation",
            "ReceiveMessageOperation",
            "ReceiveStatusOnClientOperation",
            "SegregatedCall",
            "SendCloseFromClientOperation",
            "SendInitialMetadataOperation",
            "SendMessageOperation",
            "SendStatusFromServerOperation",
            "_AioCall",
            "_event_handler",
            "_handle_event",
            "auth_context",
            "execute_batch",
        ),
        _CHANNEL,
    ),
    **dict.fromkeys(
        (
            "AioServer",
            "RPCState",
            "RegisteredMethod",
            "RequestCallEvent",
            "Server",
            "ServerShutdownEvent",
            "_HandlerCallDetails",
            "_MessageReceiver",
            "_SyncServicerContext",
        ),
        _SERVER,
    ),
    **dict.fromkeys(
        (
            "ALTSChannelCredentials",
            "CallCredentials",
            "ChannelCredentials",
            "ComputeEngineChannelCredentials",
            "InsecureChannelCredentials",
            "LocalChannelCredentials",
            "SSLChannelCredentials",
            "SSLSessionCacheLRU",
            "ServerCertificateConfig",
            "ServerCredentials",
            "SslPemKeyCertPair",
            "XDSChannelCredentials",
            "channel_credentials_alts",
            "channel_credentials_compute_engine",
            "channel_credentials_insecure",
            "channel_credentials_local",
            "server_certificate_config_ssl",
            "server_credentials_alts",
            "server_credentials_local",
            "server_credentials_ssl",
            "server_credentials_ssl_dynamic_cert_config",
            "xds_server_credentials",
        ),
        _CREDENTIALS,
    ),
    **dict.fromkeys(
        (
            "CensusContext",
            "build_census_context",
            "get_server_call_tracer_factory_address",
            "maybe_save_server_trace_context",
            "set_census_context_on_call",
            "set_instrumentation_context_on_call_aio",
        ),
        _TRACING,
    ),
    **dict.fromkeys(
        (
            "AsyncIOEngine",
            "CallbackFailureHandler",
            "CallbackWrapper",
            "ForkManagedThread",
            "PollerCompletionQueue",
            "async_generator_to_generator",
            "generator_to_async_generator",
            "get_working_loop",
            "schedule_coro_threadsafe",
        ),
        _LOOP,
    ),
}

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


def get_fork_epoch() -> int:
    """How often this process and those before it have forked since this module was loaded."""
    return _forks


def is_fork_support_enabled() -> bool:
    """True: a child that forks while calls go on dials again."""
    return True


def get_deadline_from_context() -> None:
    """None, as in grpcio: an RPC made by a handler does not take over the handler's deadline."""


def _nothing(*_: object) -> None:
    """Does nothing: there is no C core to prepare."""


_HERE: dict[str, Any] = {
    "block_if_fork_in_progress": _nothing,
    "clear_server_call_tracer_factory": _nothing,
    "fork_handlers_and_grpc_init": _nothing,
    "fork_register_channel": _nothing,
    "fork_unregister_channel": _nothing,
    "get_deadline_from_context": get_deadline_from_context,
    "get_fork_epoch": get_fork_epoch,
    "is_fork_support_enabled": is_fork_support_enabled,
    "reset_grpc_config_vars": _nothing,
}

#: Every name that `named` knows.
NAMES = frozenset((*_ELSEWHERE, *_WAYS_OUT, *_HERE))


class _OfTheCore:
    """A name of grpcio's C core."""

    _way_out = ""

    def __new__(cls, *_: object, **__: object) -> NoReturn:
        raise NotImplementedError(
            f"{cls.__module__}.{cls.__qualname__} belongs to grpcio's C core, which is not in Farcall: {cls._way_out}. "
            "If a package needs the core itself, FARCALL=0 in the environment runs the program on grpcio."
        )


def absent(module: str, name: str) -> type[_OfTheCore]:
    """A class that stands where the module of grpcio has something that is not here."""
    return type(name, (_OfTheCore,), {"__module__": module, "__qualname__": name, "_way_out": _WAYS_OUT[name]})


def named(name: str) -> Any:
    """What the name of `cygrpc` means here.

    Raises:
      AttributeError: nothing.
    """
    if name in _HERE:
        return _HERE[name]
    if name in _ELSEWHERE:
        import importlib

        module, there = _ELSEWHERE[name]
        return getattr(importlib.import_module(module), there)
    if name not in _WAYS_OUT:
        raise AttributeError(f"module 'grpc._cython.cygrpc' has no attribute {name!r}")
    # The same class at every look, so that `isinstance` and `is` mean something.
    return _HERE.setdefault(name, absent("grpc._cython.cygrpc", name))
