"""gRPC for Python: call methods of programs elsewhere, and serve such calls.

A client makes a channel and calls through it, usually by the stubs that the compiler generates:

    with grpc.insecure_channel("localhost:50051") as channel:
        stub = helloworld_pb2_grpc.GreeterStub(channel)
        print(stub.SayHello(helloworld_pb2.HelloRequest(name="you")).message)

A server is made with a pool of threads for its handlers:

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    helloworld_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server)
    server.add_insecure_port("[::]:50051")
    server.start()
    server.wait_for_termination()

This package has the API of grpcio and another engine, `farcall`.
"""

from __future__ import annotations

import os
import sys

from grpc import _grpcio_metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent import futures
    from typing import Any

    from grpc import aio as aio
    from grpc import experimental as experimental
    from grpc._client_api import (
        Call,
        Channel,
        ClientCallDetails,
        Future,
        RpcContext,
        StreamStreamClientInterceptor,
        StreamStreamMultiCallable,
        StreamUnaryClientInterceptor,
        StreamUnaryMultiCallable,
        UnaryStreamClientInterceptor,
        UnaryStreamMultiCallable,
        UnaryUnaryClientInterceptor,
        UnaryUnaryMultiCallable,
    )
    from grpc._credentials import (
        AuthMetadataContext,
        AuthMetadataPlugin,
        AuthMetadataPluginCallback,
        CallCredentials,
        ChannelCredentials,
        ServerCertificateConfiguration,
        ServerCredentials,
        access_token_call_credentials,
        alts_channel_credentials,
        alts_server_credentials,
        composite_call_credentials,
        composite_channel_credentials,
        compute_engine_channel_credentials,
        dynamic_ssl_server_credentials,
        insecure_server_credentials,
        local_channel_credentials,
        local_server_credentials,
        metadata_call_credentials,
        ssl_channel_credentials,
        ssl_server_certificate_configuration,
        ssl_server_credentials,
        xds_channel_credentials,
        xds_server_credentials,
    )
    from grpc._runtime_protos import protos, protos_and_services, services
    from grpc._server_api import (
        GenericRpcHandler,
        HandlerCallDetails,
        RpcMethodHandler,
        Server,
        ServerInterceptor,
        ServicerContext,
        ServiceRpcHandler,
    )
    from grpc._typing import DeserializingFunction, Options, SerializingFunction
    from grpc._vocabulary import (
        ChannelConnectivity,
        Compression,
        FutureCancelledError,
        FutureTimeoutError,
        LocalConnectionType,
        RpcError,
        Status,
        StatusCode,
    )

__version__ = _grpcio_metadata.__version__

if "GRPC_VERBOSITY" in os.environ or "GRPC_TRACE" in os.environ:
    from grpc import _verbosity

    _verbosity.apply(os.environ)
if "logging" in sys.modules:
    from grpc import _log as _log

# `import grpc` is to be quick, so a name's module is loaded when the name is first used. `TYPE_CHECKING` above tells
# the same to checkers, and a test that neither forgets one.
_HOMES = {
    "_client_api": (
        "Call",
        "Channel",
        "ClientCallDetails",
        "Future",
        "RpcContext",
        "StreamStreamClientInterceptor",
        "StreamStreamMultiCallable",
        "StreamUnaryClientInterceptor",
        "StreamUnaryMultiCallable",
        "UnaryStreamClientInterceptor",
        "UnaryStreamMultiCallable",
        "UnaryUnaryClientInterceptor",
        "UnaryUnaryMultiCallable",
    ),
    "_credentials": (
        "AuthMetadataContext",
        "AuthMetadataPlugin",
        "AuthMetadataPluginCallback",
        "CallCredentials",
        "ChannelCredentials",
        "ServerCertificateConfiguration",
        "ServerCredentials",
        "access_token_call_credentials",
        "alts_channel_credentials",
        "alts_server_credentials",
        "composite_call_credentials",
        "composite_channel_credentials",
        "compute_engine_channel_credentials",
        "dynamic_ssl_server_credentials",
        "insecure_server_credentials",
        "local_channel_credentials",
        "local_server_credentials",
        "metadata_call_credentials",
        "ssl_channel_credentials",
        "ssl_server_certificate_configuration",
        "ssl_server_credentials",
        "xds_channel_credentials",
        "xds_server_credentials",
    ),
    "_runtime_protos": (
        "protos",
        "protos_and_services",
        "services",
    ),
    "_server_api": (
        "GenericRpcHandler",
        "HandlerCallDetails",
        "RpcMethodHandler",
        "Server",
        "ServerInterceptor",
        "ServicerContext",
        "ServiceRpcHandler",
    ),
    "_vocabulary": (
        "ChannelConnectivity",
        "Compression",
        "FutureCancelledError",
        "FutureTimeoutError",
        "LocalConnectionType",
        "RpcError",
        "Status",
        "StatusCode",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

# Reached as attributes without an import of their own.
_LAZY_MODULES = frozenset(
    (
        "_auth",
        "_channel",
        "_common",
        "_compression",
        "_credentials",
        "_cython",
        "_interceptor",
        "_observability",
        "_plugin_wrapping",
        "_runtime_protos",
        "_server",
        "_simple_stubs",
        "_typing",
        "_utilities",
        "aio",
        "experimental",
    )
)


def __getattr__(name: str) -> Any:
    if name not in _HOME and name not in _LAZY_MODULES and name != "_cygrpc":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if name == "_cygrpc":
        return importlib.import_module(f"{__name__}._cython.cygrpc")
    if name in _LAZY_MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


# What this file needs and nobody looks for in `grpc`.
_OWN = frozenset(("TYPE_CHECKING", "_HOME", "_HOMES", "_LAZY_MODULES", "_OWN", "annotations", "os", "sys"))


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, "aio", "experimental"} - _OWN)


def insecure_channel(target: str, options: Options | None = None, compression: Compression | None = None) -> Channel:
    """A channel in plain text. It connects when it is first used.

    Args:
      target: where to, for example "localhost:50051", "dns:///name:443", "[::1]:50051", "unix:/path".
      options: (key, value) pairs, for example ("grpc.max_receive_message_length", -1).
      compression: the default for all calls of the channel.

    Raises:
      ValueError: an option is not a pair.
      TypeError: an option's key or value is of a wrong type.
    """
    from grpc import _channel

    return _channel.Channel(target, () if options is None else options, None, compression)  # type: ignore[arg-type]


def secure_channel(
    target: str,
    credentials: ChannelCredentials,
    options: Options | None = None,
    compression: Compression | None = None,
) -> Channel:
    """As `insecure_channel`, with credentials."""
    from grpc import _channel

    return _channel.Channel(
        target,
        () if options is None else options,  # type: ignore[arg-type]
        credentials._credentials,
        compression,
    )


def channel_ready_future(channel: Channel) -> Future:
    """A Future that is done when the channel is connected, which this makes it try.

    `result()` then answers None. Cancelling the future leaves the channel alone.
    """
    from grpc import _utilities

    return _utilities.channel_ready_future(channel)


def intercept_channel(
    channel: Channel,
    *interceptors: UnaryUnaryClientInterceptor
    | UnaryStreamClientInterceptor
    | StreamUnaryClientInterceptor
    | StreamStreamClientInterceptor,
) -> Channel:
    """The channel with interceptors around its calls, the first outermost.

    Each stands around the kinds of calls whose abstract classes it implements.

    Raises:
      TypeError: one of them implements none.
    """
    from grpc import _interceptor

    return _interceptor.intercept_channel(channel, *interceptors)


def server(
    thread_pool: futures.Executor,
    handlers: Sequence[GenericRpcHandler] | None = None,
    interceptors: Sequence[ServerInterceptor] | None = None,
    options: Options | None = None,
    maximum_concurrent_rpcs: int | None = None,
    compression: Compression | None = None,
    xds: bool = False,
) -> Server:
    """A server, not started.

    Args:
      thread_pool: a futures.ThreadPoolExecutor that runs the handlers, one thread for each RPC in progress.
      handlers: the first generic handlers.
      interceptors: stand around the choice of handlers, the first outermost.
      options: (key, value) pairs, for example ("grpc.so_reuseport", 0).
      maximum_concurrent_rpcs: how many RPCs may be in the pool; those beyond end with RESOURCE_EXHAUSTED.
        None for no limit.
      compression: the default for all responses.
      xds: whether the xDS control plane configures the server.
    """
    from grpc import _server

    return _server.create_server(
        thread_pool,
        () if handlers is None else handlers,
        interceptors,
        options,  # type: ignore[arg-type]
        maximum_concurrent_rpcs,
        compression,
        xds,
    )


def unary_unary_rpc_method_handler(
    behavior: Callable[[Any, ServicerContext], Any],
    request_deserializer: DeserializingFunction | None = None,
    response_serializer: SerializingFunction | None = None,
) -> RpcMethodHandler:
    """A handler for a method of one request and one response.

    Args:
      behavior: `behavior(request, context)` answers the response.
      request_deserializer: makes a request of bytes; None to get bytes.
      response_serializer: makes bytes of a response; None when responses are bytes.
    """
    from grpc import _utilities

    return _utilities.RpcMethodHandler(
        False, False, request_deserializer, response_serializer, behavior, None, None, None
    )


def unary_stream_rpc_method_handler(
    behavior: Callable[[Any, ServicerContext], Iterator[Any]],
    request_deserializer: DeserializingFunction | None = None,
    response_serializer: SerializingFunction | None = None,
) -> RpcMethodHandler:
    """A handler for a method of one request and a stream of responses.

    `behavior(request, context)` answers an iterator of responses. The other arguments are those of
    `unary_unary_rpc_method_handler`.
    """
    from grpc import _utilities

    return _utilities.RpcMethodHandler(
        False, True, request_deserializer, response_serializer, None, behavior, None, None
    )


def stream_unary_rpc_method_handler(
    behavior: Callable[[Iterator[Any], ServicerContext], Any],
    request_deserializer: DeserializingFunction | None = None,
    response_serializer: SerializingFunction | None = None,
) -> RpcMethodHandler:
    """A handler for a method of a stream of requests and one response.

    `behavior(request_iterator, context)` answers the response. The other arguments are those of
    `unary_unary_rpc_method_handler`.
    """
    from grpc import _utilities

    return _utilities.RpcMethodHandler(
        True, False, request_deserializer, response_serializer, None, None, behavior, None
    )


def stream_stream_rpc_method_handler(
    behavior: Callable[[Iterator[Any], ServicerContext], Iterator[Any]],
    request_deserializer: DeserializingFunction | None = None,
    response_serializer: SerializingFunction | None = None,
) -> RpcMethodHandler:
    """A handler for a method of streams both ways.

    `behavior(request_iterator, context)` answers an iterator of responses. The other arguments are those of
    `unary_unary_rpc_method_handler`.
    """
    from grpc import _utilities

    return _utilities.RpcMethodHandler(
        True, True, request_deserializer, response_serializer, None, None, None, behavior
    )


def method_handlers_generic_handler(service: str, method_handlers: Mapping[str, RpcMethodHandler]) -> GenericRpcHandler:
    """A GenericRpcHandler for one service.

    Args:
      service: its full name, "package.Service".
      method_handlers: a handler for each method, by the method's bare name.
    """
    from grpc import _utilities

    return _utilities.DictionaryGenericHandler(service, method_handlers)


__all__ = (
    "AuthMetadataContext",
    "AuthMetadataPlugin",
    "AuthMetadataPluginCallback",
    "Call",
    "CallCredentials",
    "Channel",
    "ChannelConnectivity",
    "ChannelCredentials",
    "ClientCallDetails",
    "Compression",
    "Future",
    "FutureCancelledError",
    "FutureTimeoutError",
    "GenericRpcHandler",
    "HandlerCallDetails",
    "LocalConnectionType",
    "RpcContext",
    "RpcError",
    "RpcMethodHandler",
    "Server",
    "ServerCertificateConfiguration",
    "ServerCredentials",
    "ServerInterceptor",
    "ServiceRpcHandler",
    "ServicerContext",
    "Status",
    "StatusCode",
    "StreamStreamClientInterceptor",
    "StreamStreamMultiCallable",
    "StreamUnaryClientInterceptor",
    "StreamUnaryMultiCallable",
    "UnaryStreamClientInterceptor",
    "UnaryStreamMultiCallable",
    "UnaryUnaryClientInterceptor",
    "UnaryUnaryMultiCallable",
    "access_token_call_credentials",
    "alts_channel_credentials",
    "alts_server_credentials",
    "channel_ready_future",
    "composite_call_credentials",
    "composite_channel_credentials",
    "compute_engine_channel_credentials",
    "dynamic_ssl_server_credentials",
    "insecure_channel",
    "insecure_server_credentials",
    "intercept_channel",
    "local_channel_credentials",
    "local_server_credentials",
    "metadata_call_credentials",
    "method_handlers_generic_handler",
    "protos",
    "protos_and_services",
    "secure_channel",
    "server",
    "services",
    "ssl_channel_credentials",
    "ssl_server_certificate_configuration",
    "ssl_server_credentials",
    "stream_stream_rpc_method_handler",
    "stream_unary_rpc_method_handler",
    "unary_stream_rpc_method_handler",
    "unary_unary_rpc_method_handler",
    "xds_channel_credentials",
    "xds_server_credentials",
)
