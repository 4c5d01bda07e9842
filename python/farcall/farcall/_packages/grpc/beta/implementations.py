"""Entry points of the beta API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import grpc
from grpc import (
    CallCredentials,
    ChannelCredentials,
    ServerCredentials,
    access_token_call_credentials,
    composite_call_credentials,
    composite_channel_credentials,
    ssl_channel_credentials,
    ssl_server_credentials,
)
from grpc.beta import _client, _metadata, _server, interfaces
from grpc.framework.common import cardinality
from grpc.framework.interfaces.face import face

__all__ = [
    "CallCredentials",
    "Channel",
    "ChannelCredentials",
    "ServerCredentials",
    "ServerOptions",
    "StubOptions",
    "access_token_call_credentials",
    "composite_call_credentials",
    "composite_channel_credentials",
    "dynamic_stub",
    "generic_stub",
    "google_call_credentials",
    "insecure_channel",
    "metadata_call_credentials",
    "secure_channel",
    "server",
    "server_options",
    "ssl_channel_credentials",
    "ssl_server_credentials",
    "stub_options",
]


def metadata_call_credentials(
    metadata_plugin: Callable[[Any, Any], None], name: str | None = None
) -> grpc.CallCredentials:
    """Call credentials of a plugin, whose metadata may be of bytes.

    Args:
      metadata_plugin: `metadata_plugin(context, callback)` has `callback(metadata, error)` called.
      name: what it is called in logs.
    """

    def plugin(context: Any, callback: Any) -> None:
        def wrapped_callback(beta_metadata: Any, error: Exception | None) -> None:
            callback(_metadata.unbeta(beta_metadata), error)

        metadata_plugin(context, wrapped_callback)

    return grpc.metadata_call_credentials(plugin, name=name)


def google_call_credentials(credentials: Any) -> grpc.CallCredentials:
    """Call credentials of a GoogleCredentials object of oauth2client or google-auth."""
    from grpc import _auth

    return metadata_call_credentials(_auth.GoogleCallCredentials(credentials))


class Channel:
    """The way to a host. `insecure_channel` and `secure_channel` make them."""

    def __init__(self, channel: grpc.Channel) -> None:
        """Wraps a channel of `grpc`."""
        self._channel = channel

    def subscribe(
        self, callback: Callable[[interfaces.ChannelConnectivity], Any], try_to_connect: bool | None = None
    ) -> None:
        """Has `callback(connectivity)` called now and at each change of it.

        Args:
          callback: called from a thread of the library.
          try_to_connect: whether an idle channel shall connect.
        """
        self._channel.subscribe(callback, try_to_connect=try_to_connect)

    def unsubscribe(self, callback: Callable[[interfaces.ChannelConnectivity], Any]) -> None:
        """Ends what `subscribe` began."""
        self._channel.unsubscribe(callback)


def _target(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"


def insecure_channel(host: str, port: int | None) -> Channel:
    """A channel in plain text.

    Args:
      host: the host's name, or the whole target.
      port: the port; None if `host` is the whole target.
    """
    return Channel(grpc.insecure_channel(_target(host, port)))


def secure_channel(host: str, port: int | None, channel_credentials: grpc.ChannelCredentials) -> Channel:
    """As `insecure_channel`, with credentials."""
    return Channel(grpc.secure_channel(_target(host, port), channel_credentials))


class StubOptions:
    """Options of a stub. `stub_options` makes them."""

    def __init__(
        self,
        host: str | None,
        request_serializers: Any,
        response_deserializers: Any,
        metadata_transformer: Callable[[Any], Any] | None,
        thread_pool: futures.Executor | None,
        thread_pool_size: int | None,
    ) -> None:
        self.host = host
        self.request_serializers = request_serializers
        self.response_deserializers = response_deserializers
        self.metadata_transformer = metadata_transformer
        self.thread_pool = thread_pool
        self.thread_pool_size = thread_pool_size


def stub_options(
    host: str | None = None,
    request_serializers: Mapping[tuple[str, str], Callable[[Any], bytes]] | None = None,
    response_deserializers: Mapping[tuple[str, str], Callable[[bytes], Any]] | None = None,
    metadata_transformer: Callable[[Any], Any] | None = None,
    thread_pool: futures.Executor | None = None,
    thread_pool_size: int | None = None,
) -> StubOptions:
    """Options of a stub.

    Args:
      host: has no effect.
      request_serializers: what makes bytes of requests, by (group, method).
      response_deserializers: what makes responses of bytes, by (group, method).
      metadata_transformer: answers the metadata to send instead of those given for an RPC.
      thread_pool: has no effect.
      thread_pool_size: has no effect.
    """
    return StubOptions(
        host, request_serializers, response_deserializers, metadata_transformer, thread_pool, thread_pool_size
    )


def generic_stub(channel: Channel, options: StubOptions | None = None) -> face.GenericStub:
    """A stub that calls any method of a channel."""
    chosen = options or stub_options()
    return _client.generic_stub(
        channel._channel, chosen.metadata_transformer, chosen.request_serializers, chosen.response_deserializers
    )


def dynamic_stub(
    channel: Channel,
    service: str,
    cardinalities: Mapping[str, cardinality.Cardinality],
    options: StubOptions | None = None,
) -> face.DynamicStub:
    """A stub whose attributes call the methods of a service.

    Args:
      channel: the channel.
      service: the service's full name.
      cardinalities: the kind of each method, by its name.
      options: what `stub_options` makes.
    """
    chosen = options or stub_options()
    return _client.dynamic_stub(
        channel._channel,
        service,
        cardinalities,
        chosen.metadata_transformer,
        chosen.request_serializers,
        chosen.response_deserializers,
    )


class ServerOptions:
    """Options of a server. `server_options` makes them."""

    def __init__(
        self,
        multi_method_implementation: face.MultiMethodImplementation | None,
        request_deserializers: Any,
        response_serializers: Any,
        thread_pool: futures.Executor | None,
        thread_pool_size: int | None,
        default_timeout: float | None,
        maximum_timeout: float | None,
    ) -> None:
        self.multi_method_implementation = multi_method_implementation
        self.request_deserializers = request_deserializers
        self.response_serializers = response_serializers
        self.thread_pool = thread_pool
        self.thread_pool_size = thread_pool_size
        self.default_timeout = default_timeout
        self.maximum_timeout = maximum_timeout


def server_options(
    multi_method_implementation: face.MultiMethodImplementation | None = None,
    request_deserializers: Mapping[tuple[str, str], Callable[[bytes], Any]] | None = None,
    response_serializers: Mapping[tuple[str, str], Callable[[Any], bytes]] | None = None,
    thread_pool: futures.Executor | None = None,
    thread_pool_size: int | None = None,
    default_timeout: float | None = None,
    maximum_timeout: float | None = None,
) -> ServerOptions:
    """Options of a server.

    Args:
      multi_method_implementation: has no effect, as ever.
      request_deserializers: what makes requests of bytes, by (group, method).
      response_serializers: what makes bytes of responses, by (group, method).
      thread_pool: runs the handlers.
      thread_pool_size: how many threads run handlers at most, if there is no `thread_pool`.
      default_timeout: has no effect.
      maximum_timeout: has no effect.
    """
    return ServerOptions(
        multi_method_implementation,
        request_deserializers,
        response_serializers,
        thread_pool,
        thread_pool_size,
        default_timeout,
        maximum_timeout,
    )


def server(
    service_implementations: Mapping[tuple[str, str], face.MethodImplementation], options: ServerOptions | None = None
) -> interfaces.Server:
    """A server, not started.

    Args:
      service_implementations: method implementations, by (group, method).
      options: what `server_options` makes.
    """
    chosen = options or server_options()
    return _server.server(
        service_implementations,
        chosen.request_deserializers,
        chosen.response_serializers,
        chosen.thread_pool,
        chosen.thread_pool_size,
    )
