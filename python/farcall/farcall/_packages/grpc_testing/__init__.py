"""Doubles of channels, servers and time, to test what makes or serves RPCs without a network.

To test a client, give it a `channel` and play the server:

    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    call = pool.submit(code_under_test, channel)
    metadata, request, rpc = channel.take_unary_unary(SERVICE.methods_by_name["SayHello"])
    rpc.terminate(HelloReply(message="hello"), (), grpc.StatusCode.OK, "")

To test a servicer, make a server of it and play the client:

    server = grpc_testing.server_from_dictionary({SERVICE: Greeter()}, grpc_testing.strict_real_time())
    rpc = server.invoke_unary_unary(SERVICE.methods_by_name["SayHello"], (), HelloRequest(name="you"), None)
    response, trailing_metadata, code, details = rpc.termination()

SERVICE is a descriptor, as `helloworld_pb2.DESCRIPTOR.services_by_name["Greeter"]`. Metadata arrive with one more pair
than was sent, which programs must be ready for.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc


class UnaryUnaryChannelRpc(abc.ABC):
    """An RPC that the system under test has made: the test plays the server."""

    @abc.abstractmethod
    def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Sends the initial metadata."""

    @abc.abstractmethod
    def cancelled(self) -> None:
        """Waits until the system under test has cancelled the RPC. ValueError when it ends otherwise."""

    @abc.abstractmethod
    def terminate(self, response: Any, trailing_metadata: Any, code: grpc.StatusCode, details: str) -> None:
        """Ends the RPC with a response (None for none) and a status."""


class UnaryStreamChannelRpc(abc.ABC):
    """An RPC that the system under test has made, with a stream of responses: the test plays the server."""

    @abc.abstractmethod
    def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Sends the initial metadata."""

    @abc.abstractmethod
    def send_response(self, response: Any) -> None:
        """Sends a response."""

    @abc.abstractmethod
    def cancelled(self) -> None:
        """Waits until the system under test has cancelled the RPC. ValueError when it ends otherwise."""

    @abc.abstractmethod
    def terminate(self, trailing_metadata: Any, code: grpc.StatusCode, details: str) -> None:
        """Ends the RPC with a status."""


class StreamUnaryChannelRpc(abc.ABC):
    """An RPC that the system under test has made, with a stream of requests: the test plays the server."""

    @abc.abstractmethod
    def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Sends the initial metadata."""

    @abc.abstractmethod
    def take_request(self) -> Any:
        """Takes the next request; waits for it. ValueError when there are no more."""

    @abc.abstractmethod
    def requests_closed(self) -> None:
        """Waits until the system under test has no more requests. ValueError when the RPC ends first."""

    @abc.abstractmethod
    def cancelled(self) -> None:
        """Waits until the system under test has cancelled the RPC. ValueError when it ends otherwise."""

    @abc.abstractmethod
    def terminate(self, response: Any, trailing_metadata: Any, code: grpc.StatusCode, details: str) -> None:
        """Ends the RPC with a response (None for none) and a status."""


class StreamStreamChannelRpc(abc.ABC):
    """An RPC that the system under test has made, with streams both ways: the test plays the server."""

    @abc.abstractmethod
    def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Sends the initial metadata."""

    @abc.abstractmethod
    def take_request(self) -> Any:
        """Takes the next request; waits for it. ValueError when there are no more."""

    @abc.abstractmethod
    def send_response(self, response: Any) -> None:
        """Sends a response."""

    @abc.abstractmethod
    def requests_closed(self) -> None:
        """Waits until the system under test has no more requests. ValueError when the RPC ends first."""

    @abc.abstractmethod
    def cancelled(self) -> None:
        """Waits until the system under test has cancelled the RPC. ValueError when it ends otherwise."""

    @abc.abstractmethod
    def terminate(self, trailing_metadata: Any, code: grpc.StatusCode, details: str) -> None:
        """Ends the RPC with a status."""


class Channel(grpc.Channel, abc.ABC):
    """The double of a channel, for a system under test that makes RPCs."""

    @abc.abstractmethod
    def take_unary_unary(self, method_descriptor: Any) -> tuple[Any, Any, UnaryUnaryChannelRpc]:
        """Takes an RPC of a method; waits until the system under test makes one.

        Args:
          method_descriptor: the method, by its descriptor.

        Returns:
          Its invocation metadata, its request, and the RPC to play the server with.
        """

    @abc.abstractmethod
    def take_unary_stream(self, method_descriptor: Any) -> tuple[Any, Any, UnaryStreamChannelRpc]:
        """Takes an RPC of a method; waits until the system under test makes one.

        Args:
          method_descriptor: the method, by its descriptor.

        Returns:
          Its invocation metadata, its request, and the RPC to play the server with.
        """

    @abc.abstractmethod
    def take_stream_unary(self, method_descriptor: Any) -> tuple[Any, StreamUnaryChannelRpc]:
        """Takes an RPC of a method; waits until the system under test makes one.

        Args:
          method_descriptor: the method, by its descriptor.

        Returns:
          Its invocation metadata, and the RPC to play the server with.
        """

    @abc.abstractmethod
    def take_stream_stream(self, method_descriptor: Any) -> tuple[Any, StreamStreamChannelRpc]:
        """Takes an RPC of a method; waits until the system under test makes one.

        Args:
          method_descriptor: the method, by its descriptor.

        Returns:
          Its invocation metadata, and the RPC to play the server with.
        """


class UnaryUnaryServerRpc(abc.ABC):
    """An RPC that the system under test serves: the test plays the client."""

    @abc.abstractmethod
    def initial_metadata(self) -> Any:
        """The initial metadata; waits until they are there, which they are when the RPC ends at the latest."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Cancels the RPC."""

    @abc.abstractmethod
    def termination(self) -> tuple[Any, Any, grpc.StatusCode, str]:
        """Waits for the end: the response or None, the trailing metadata, the code and the details."""


class UnaryStreamServerRpc(abc.ABC):
    """An RPC that the system under test serves, with a stream of responses: the test plays the client."""

    @abc.abstractmethod
    def initial_metadata(self) -> Any:
        """The initial metadata; waits until they are there, which they are when the RPC ends at the latest."""

    @abc.abstractmethod
    def take_response(self) -> Any:
        """Takes the next response; waits for it. ValueError when there are no more."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Cancels the RPC."""

    @abc.abstractmethod
    def termination(self) -> tuple[Any, grpc.StatusCode, str]:
        """Waits for the end: the trailing metadata, the code and the details."""


class StreamUnaryServerRpc(abc.ABC):
    """An RPC that the system under test serves, with a stream of requests: the test plays the client."""

    @abc.abstractmethod
    def initial_metadata(self) -> Any:
        """The initial metadata; waits until they are there, which they are when the RPC ends at the latest."""

    @abc.abstractmethod
    def send_request(self, request: Any) -> None:
        """Sends a request. If the RPC has ended, nobody gets it."""

    @abc.abstractmethod
    def requests_closed(self) -> None:
        """Says that there are no more requests."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Cancels the RPC."""

    @abc.abstractmethod
    def termination(self) -> tuple[Any, Any, grpc.StatusCode, str]:
        """Waits for the end: the response or None, the trailing metadata, the code and the details."""


class StreamStreamServerRpc(abc.ABC):
    """An RPC that the system under test serves, with streams both ways: the test plays the client."""

    @abc.abstractmethod
    def initial_metadata(self) -> Any:
        """The initial metadata; waits until they are there, which they are when the RPC ends at the latest."""

    @abc.abstractmethod
    def send_request(self, request: Any) -> None:
        """Sends a request. If the RPC has ended, nobody gets it."""

    @abc.abstractmethod
    def requests_closed(self) -> None:
        """Says that there are no more requests."""

    @abc.abstractmethod
    def take_response(self) -> Any:
        """Takes the next response; waits for it. ValueError when there are no more."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Cancels the RPC."""

    @abc.abstractmethod
    def termination(self) -> tuple[Any, grpc.StatusCode, str]:
        """Waits for the end: the trailing metadata, the code and the details."""


class Server(abc.ABC):
    """The double of a server, for a system under test that serves RPCs."""

    @abc.abstractmethod
    def invoke_unary_unary(
        self, method_descriptor: Any, invocation_metadata: Any, request: Any, timeout: float | None
    ) -> UnaryUnaryServerRpc:
        """Invokes an RPC.

        Args:
          method_descriptor: the method, by its descriptor.
          invocation_metadata: what the handler gets, as it is.
          request: the request.
          timeout: seconds of the server's time; None for no limit.

        Returns:
          The RPC to play the client with.
        """

    @abc.abstractmethod
    def invoke_unary_stream(
        self, method_descriptor: Any, invocation_metadata: Any, request: Any, timeout: float | None
    ) -> UnaryStreamServerRpc:
        """Invokes an RPC with a stream of responses.

        Args:
          method_descriptor: the method, by its descriptor.
          invocation_metadata: what the handler gets, as it is.
          request: the request.
          timeout: seconds of the server's time; None for no limit.

        Returns:
          The RPC to play the client with.
        """

    @abc.abstractmethod
    def invoke_stream_unary(
        self, method_descriptor: Any, invocation_metadata: Any, timeout: float | None
    ) -> StreamUnaryServerRpc:
        """Invokes an RPC with a stream of requests.

        Args:
          method_descriptor: the method, by its descriptor.
          invocation_metadata: what the handler gets, as it is.
          timeout: seconds of the server's time; None for no limit.

        Returns:
          The RPC to play the client with.
        """

    @abc.abstractmethod
    def invoke_stream_stream(
        self, method_descriptor: Any, invocation_metadata: Any, timeout: float | None
    ) -> StreamStreamServerRpc:
        """Invokes an RPC with streams both ways.

        Args:
          method_descriptor: the method, by its descriptor.
          invocation_metadata: what the handler gets, as it is.
          timeout: seconds of the server's time; None for no limit.

        Returns:
          The RPC to play the client with.
        """


class Time(abc.ABC):
    """A time that deadlines of the doubles go by."""

    @abc.abstractmethod
    def time(self) -> float:
        """The time now, in seconds."""

    @abc.abstractmethod
    def call_in(self, behavior: Callable[[], Any], delay: float) -> grpc.Future:
        """Has `behavior()` called after some seconds. The future can cancel that, and has its result afterwards."""

    @abc.abstractmethod
    def call_at(self, behavior: Callable[[], Any], time: float) -> grpc.Future:
        """As `call_in`, at a time."""

    @abc.abstractmethod
    def sleep_for(self, duration: float) -> None:
        """Waits some seconds of this time."""

    @abc.abstractmethod
    def sleep_until(self, time: float) -> None:
        """Waits until a time."""


def strict_real_time() -> Time:
    """The time of the interpreter. It is strict: what is to be called at a time has been called when it is later."""
    from grpc_testing import _time

    return _time.StrictRealTime()


def strict_fake_time(now: float) -> Time:
    """A time that starts at `now` and only moves, at once, when somebody sleeps. It is strict as the real one."""
    from grpc_testing import _time

    return _time.StrictFakeTime(now)


def channel(service_descriptors: Iterable[Any], time: Time) -> Channel:
    """The double of a channel, to test what makes RPCs.

    Args:
      service_descriptors: the services, by their descriptors.
      time: what deadlines go by.
    """
    from grpc_testing import _channel

    return _channel.TestingChannel(service_descriptors, time)


def server_from_dictionary(descriptors_to_servicers: Mapping[Any, Any], time: Time) -> Server:
    """The double of a server, to test what serves RPCs.

    Args:
      descriptors_to_servicers: the servicers, by the descriptors of their services.
      time: what deadlines go by.
    """
    from grpc_testing import _server

    return _server.TestingServer(descriptors_to_servicers, time)
