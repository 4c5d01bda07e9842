"""Constants and interfaces of the beta API."""

from __future__ import annotations

import abc
from typing import Any

import grpc

ChannelConnectivity = grpc.ChannelConnectivity
# The beta API's name for it.
ChannelConnectivity.FATAL_FAILURE = ChannelConnectivity.SHUTDOWN  # type: ignore[attr-defined]

StatusCode = grpc.StatusCode

GRPCAuthMetadataContext = grpc.AuthMetadataContext
GRPCAuthMetadataPluginCallback = grpc.AuthMetadataPluginCallback
GRPCAuthMetadataPlugin = grpc.AuthMetadataPlugin


class GRPCCallOptions:
    """Options of one RPC that are special to gRPC. `grpc_call_options` makes them."""

    def __init__(self, disable_compression: bool, subcall_of: Any, credentials: grpc.CallCredentials | None) -> None:
        self.disable_compression = disable_compression
        self.subcall_of = subcall_of
        self.credentials = credentials


def grpc_call_options(
    disable_compression: bool = False, credentials: grpc.CallCredentials | None = None
) -> GRPCCallOptions:
    """Options for an RPC's `protocol_options`.

    Args:
      disable_compression: whether its messages are sent uncompressed.
      credentials: call credentials.
    """
    return GRPCCallOptions(disable_compression, None, credentials)


class GRPCServicerContext(abc.ABC):
    """What is special to gRPC in the context of a handler."""

    @abc.abstractmethod
    def peer(self) -> str:
        """The client's address."""
        raise NotImplementedError()

    @abc.abstractmethod
    def disable_next_response_compression(self) -> None:
        """Sends the next response uncompressed."""
        raise NotImplementedError()


class GRPCInvocationContext(abc.ABC):
    """What is special to gRPC in a client's RPC."""

    @abc.abstractmethod
    def disable_next_request_compression(self) -> None:
        """Sends the next request uncompressed."""
        raise NotImplementedError()


class Server(abc.ABC):
    """Serves RPCs. `with` starts and stops it."""

    @abc.abstractmethod
    def add_insecure_port(self, address: str) -> int:
        """Opens a port for plain text; answers its number. Before the server is started."""
        raise NotImplementedError()

    @abc.abstractmethod
    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """As `add_insecure_port`, with credentials."""
        raise NotImplementedError()

    @abc.abstractmethod
    def start(self) -> None:
        """Begins to serve."""
        raise NotImplementedError()

    @abc.abstractmethod
    def stop(self, grace: float | None) -> Any:
        """Stops serving, after some seconds at most; answers a threading.Event that is set then."""
        raise NotImplementedError()
