"""Interceptors of both sides, and the calls a client gets when interceptors stand around it."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import Any, ClassVar, NamedTuple

import grpc
from grpc._cython.cygrpc import EOF
from grpc.aio import _base_call
from grpc.aio._intercepted_streams import _RPC_ALREADY_FINISHED_DETAILS, LateResponses, WrittenRequests
from grpc.aio._metadata import Metadata
from grpc.aio._typing import (
    DeserializingFunction,
    DoneCallbackType,
    RequestIterableType,
    RequestType,
    ResponseIterableType,
    ResponseType,
    SerializingFunction,
)
from grpc.aio._utils import _timeout_to_deadline

_LOCAL_CANCELLATION_DETAILS = "Locally cancelled by application!"

UnaryUnaryCall = _base_call.UnaryUnaryCall[RequestType, ResponseType]
UnaryStreamCall = _base_call.UnaryStreamCall[RequestType, ResponseType]
StreamUnaryCall = _base_call.StreamUnaryCall[RequestType, ResponseType]
StreamStreamCall = _base_call.StreamStreamCall[RequestType, ResponseType]


class ServerInterceptor(metaclass=ABCMeta):
    """Stands around the choice of the handler of an RPC, on the server."""

    @abstractmethod
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Chooses the handler of an RPC.

        Args:
          continuation: `await continuation(handler_call_details)` goes on with the next interceptor, or the lookup.
          handler_call_details: the RPC's path and metadata.

        Returns:
          The handler, usually what `continuation` answered; None if there is none.
        """


class ClientCallDetails(  # type: ignore[misc]  # The path is bytes here, and text there.
    NamedTuple(
        "ClientCallDetails",
        [
            ("method", bytes),
            ("timeout", float | None),
            ("metadata", Metadata | None),
            ("credentials", grpc.CallCredentials | None),
            ("wait_for_ready", bool | None),
        ],
    ),
    grpc.ClientCallDetails,
):
    """What an interceptor sees of an RPC: a named tuple, so `_replace` makes variations.

    Attributes:
      method: the path, b"/package.Service/Method".
      timeout: seconds, or None.
      metadata: a Metadata.
      credentials: CallCredentials, or None.
      wait_for_ready: True, False, or None for the default.
    """


class ClientInterceptor(metaclass=ABCMeta):  # noqa: B024
    """What the client's interceptors have in common; implement one of the four kinds."""


class UnaryUnaryClientInterceptor(ClientInterceptor, metaclass=ABCMeta):
    """Stands around RPCs of one request and one response."""

    @abstractmethod
    async def intercept_unary_unary(
        self,
        continuation: Callable[[ClientCallDetails, RequestType], Awaitable[UnaryUnaryCall[RequestType, ResponseType]]],
        client_call_details: ClientCallDetails,
        request: RequestType,
    ) -> UnaryUnaryCall[RequestType, ResponseType] | ResponseType:
        """Handles one RPC.

        Args:
          continuation: `await continuation(client_call_details, request)` goes on with the RPC and answers its call,
            which may be awaited for the response.
          client_call_details: what the RPC is.
          request: the request message.

        Returns:
          The call, usually what `continuation` answered, or a response.
        """


class UnaryStreamClientInterceptor(ClientInterceptor, metaclass=ABCMeta):
    """Stands around RPCs of one request and a stream of responses."""

    @abstractmethod
    async def intercept_unary_stream(
        self,
        continuation: Callable[[ClientCallDetails, RequestType], Awaitable[UnaryStreamCall[RequestType, ResponseType]]],
        client_call_details: ClientCallDetails,
        request: RequestType,
    ) -> ResponseIterableType[ResponseType] | UnaryStreamCall[RequestType, ResponseType]:
        """Handles one RPC; answers the call, or an async iterator of responses."""


class StreamUnaryClientInterceptor(ClientInterceptor, metaclass=ABCMeta):
    """Stands around RPCs of a stream of requests and one response."""

    @abstractmethod
    async def intercept_stream_unary(
        self,
        continuation: Callable[
            [ClientCallDetails, RequestIterableType[RequestType]], Awaitable[StreamUnaryCall[RequestType, ResponseType]]
        ],
        client_call_details: ClientCallDetails,
        request_iterator: RequestIterableType[RequestType],
    ) -> StreamUnaryCall[RequestType, ResponseType]:
        """Handles one RPC; answers the call."""


class StreamStreamClientInterceptor(ClientInterceptor, metaclass=ABCMeta):
    """Stands around RPCs of a stream of requests and a stream of responses."""

    @abstractmethod
    async def intercept_stream_stream(
        self,
        continuation: Callable[
            [ClientCallDetails, RequestIterableType[RequestType]],
            Awaitable[StreamStreamCall[RequestType, ResponseType]],
        ],
        client_call_details: ClientCallDetails,
        request_iterator: RequestIterableType[RequestType],
    ) -> ResponseIterableType[ResponseType] | StreamStreamCall[RequestType, ResponseType]:
        """Handles one RPC; answers the call, or an async iterator of responses."""


class InterceptedCall:
    """A call with interceptors around it: what the four kinds have in common.

    The interceptors run in a task, whose result is the call they answer. Once that is there, all questions go to it.
    """

    #: The method of the interceptors for this kind.
    _intercept: ClassVar[str]
    #: The class in `grpc.aio._call` for this kind without interceptors.
    _plain_call: ClassVar[str]

    def __init__(
        self,
        interceptors: Sequence[Any],
        request: Any,
        timeout: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: Any,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._loop = loop
        self._channel = channel
        self._codec = (request_serializer, response_deserializer)
        self._deadline = _timeout_to_deadline(timeout)
        self._pending_add_done_callbacks: list[tuple[contextvars.Context, DoneCallbackType]] = []
        details = ClientCallDetails(method, timeout, metadata, credentials, wait_for_ready)
        self._interceptors_task = loop.create_task(self._run(tuple(interceptors), details, self._requests(request)))
        self._interceptors_task.add_done_callback(self._interceptors_are_done)

    def _requests(self, request: Any) -> Any:
        """What the interceptors are told to be the request."""
        return request

    async def _run(self, interceptors: tuple[Any, ...], details: ClientCallDetails, request: Any) -> Any:
        """Goes on with the first of the interceptors, or with the call itself when there are no more."""
        if not interceptors:
            return self._as_call(self._call(details, request))
        intercept = getattr(interceptors[0], self._intercept)
        return self._as_call(await intercept(functools.partial(self._run, interceptors[1:]), details, request))

    def _call(self, details: ClientCallDetails, request: Any) -> Any:
        """The call without interceptors."""
        from grpc.aio import _call

        make = getattr(_call, self._plain_call)
        return make(
            request,
            _timeout_to_deadline(details.timeout),
            Metadata._create(details.metadata),
            details.credentials,
            details.wait_for_ready,
            self._channel,
            details.method.encode() if isinstance(details.method, str) else details.method,
            *self._codec,
            self._loop,
        )

    def _as_call(self, answer: Any) -> Any:
        """The call that what an interceptor answered stands for."""
        raise NotImplementedError()

    def _interceptors_are_done(self, task: asyncio.Task[Any]) -> None:
        callbacks, self._pending_add_done_callbacks = self._pending_add_done_callbacks, []
        if not task.cancelled():
            task.exception()  # Whoever awaits the call learns of it; if nobody does, asyncio need not complain.
        for context, callback in callbacks:
            context.run(self.add_done_callback, callback)

    def _answered(self) -> Any:
        """The call the interceptors answered; None if there is none, not yet or never."""
        task = self._interceptors_task
        if not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()

    async def _ask(self, question: str, when_cancelled: Any) -> Any:
        """What the call answers to a question, or what its error does. To stop asking does not stop the RPC."""
        task = self._interceptors_task
        if not task.done():
            await asyncio.wait((task,))
        if task.cancelled():
            return when_cancelled
        error = task.exception()
        if error is None:
            return await getattr(task.result(), question)()
        if isinstance(error, grpc.RpcError) and hasattr(error, question):
            return getattr(error, question)()
        raise error

    def cancel(self) -> bool:
        """Cancels the RPC, or its interceptors while they run; False if it had ended before."""
        task = self._interceptors_task
        if not task.done():
            return task.cancel()
        call = self._answered()
        return call is not None and bool(call.cancel())

    def cancelled(self) -> bool:
        """Whether the RPC was cancelled, or its interceptors were."""
        task = self._interceptors_task
        if not task.done():
            return False
        if task.cancelled():
            return True
        error = task.exception()
        if error is not None:
            code = getattr(error, "code", None)
            return isinstance(error, grpc.RpcError) and code is not None and code() is grpc.StatusCode.CANCELLED
        return bool(task.result().cancelled())

    def done(self) -> bool:
        """Whether the RPC has ended."""
        if not self._interceptors_task.done():
            return False
        call = self._answered()
        return call is None or bool(call.done())

    def add_done_callback(self, callback: DoneCallbackType) -> None:
        """Has `callback(call)` called when the RPC ends; at once if it has ended."""
        if not self._interceptors_task.done():
            self._pending_add_done_callbacks.append((contextvars.copy_context(), callback))
        elif self.done():
            callback(self)
        else:
            self._answered().add_done_callback(lambda _: callback(self))

    def time_remaining(self) -> float | None:
        """The seconds until the RPC's deadline; None if it has none."""
        call = self._answered()
        if call is not None:
            remaining: float | None = call.time_remaining()
            return remaining
        now = _timeout_to_deadline(0.0)
        return None if self._deadline is None or now is None else max(0.0, self._deadline - now)

    async def initial_metadata(self) -> Metadata:
        """The server's initial metadata; None if the RPC was cancelled while interceptors ran."""
        metadata: Metadata = await self._ask("initial_metadata", None)
        return metadata

    async def trailing_metadata(self) -> Metadata:
        """The server's trailing metadata; None if the RPC was cancelled while interceptors ran."""
        metadata: Metadata = await self._ask("trailing_metadata", None)
        return metadata

    async def code(self) -> grpc.StatusCode:
        """The status the RPC has ended with."""
        code: grpc.StatusCode = await self._ask("code", grpc.StatusCode.CANCELLED)
        return code

    async def details(self) -> str:
        """What the server, or whatever else ended the RPC, said of the status."""
        details: str = await self._ask("details", _LOCAL_CANCELLATION_DETAILS)
        return details

    async def debug_error_string(self) -> str | None:
        """What was said about the error for those who look for its cause; empty if there was none."""
        text: str | None = await self._ask("debug_error_string", "")
        return text

    async def wait_for_connection(self) -> None:
        """Waits until the RPC has a connection.

        Raises:
          AioRpcError: it has ended without one.
        """
        call = await self._interceptors_task
        await call.wait_for_connection()

    def __repr__(self) -> str:
        call = self._answered()
        if call is not None:
            return f"<{type(self).__name__} around {call!r}>"
        state = "interceptors have ended it" if self._interceptors_task.done() else "interceptors run"
        return f"<{type(self).__name__}: {state}>"


class _InterceptedUnaryResponseMixin:
    """The kinds with one response."""

    _interceptors_task: asyncio.Task[Any]

    def __await__(self) -> Generator[Any, None, Any]:
        call = yield from self._interceptors_task.__await__()
        response = yield from call.__await__()
        return response


class _InterceptedStreamResponseMixin:
    """The kinds with a stream of responses. Iteration and `read` take from the same stream."""

    _interceptors_task: asyncio.Task[Any]
    _response_aiter: LateResponses | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._response_aiter is None:
            self._response_aiter = LateResponses(self._interceptors_task)
        return self._response_aiter

    async def read(self) -> Any:
        """The next response; `grpc.aio.EOF` when there are no more."""
        try:
            return await self.__aiter__().__anext__()
        except StopAsyncIteration:
            return EOF

    def _as_stream(self, answer: Any, plain: type, wrapper: Callable[[Any, Any], Any]) -> Any:
        if isinstance(answer, plain):
            self._last_call = answer
        elif hasattr(answer, "__aiter__"):
            self._last_call = wrapper(self._last_call, answer)
        else:
            raise TypeError(
                f"an interceptor of a stream of responses must return a call or an async iterator, not {answer!r}"
            )
        return self._last_call

    # What an iterator of responses is made of: the call that an interceptor further in has answered.
    _last_call: Any = None


class _InterceptedStreamRequestMixin:
    """The kinds with a stream of requests: from an iterator, or written."""

    _interceptors_task: asyncio.Task[Any]
    _written: WrittenRequests | None = None

    def _requests(self, request: RequestIterableType[Any] | None) -> RequestIterableType[Any]:
        if request is not None:
            return request
        self._written = WrittenRequests()
        return self._written

    async def write(self, request: Any) -> None:
        """Sends a request; waits until there is room for it."""
        await WrittenRequests.of(self._written).write(request, self._interceptors_task)

    async def done_writing(self) -> None:
        """Says that there are no more requests. Doing so again changes nothing."""
        await WrittenRequests.of(self._written).finish(self._interceptors_task)


class InterceptedUnaryUnaryCall(
    _InterceptedUnaryResponseMixin, InterceptedCall, _base_call.UnaryUnaryCall[RequestType, ResponseType]
):
    """The call of a channel with interceptors: one request, one response.

    Used just as a call without interceptors. What an interceptor raises, awaiting the call raises.
    """

    _intercept = "intercept_unary_unary"
    _plain_call = "UnaryUnaryCall"

    def _as_call(self, answer: Any) -> Any:
        return answer if isinstance(answer, _base_call.UnaryUnaryCall) else UnaryUnaryCallResponse(answer)


class InterceptedUnaryStreamCall(
    _InterceptedStreamResponseMixin, InterceptedCall, _base_call.UnaryStreamCall[RequestType, ResponseType]
):
    """The call of a channel with interceptors: one request, a stream of responses."""

    _intercept = "intercept_unary_stream"
    _plain_call = "UnaryStreamCall"

    def _as_call(self, answer: Any) -> Any:
        return self._as_stream(answer, _base_call.UnaryStreamCall, UnaryStreamCallResponseIterator)


class InterceptedStreamUnaryCall(
    _InterceptedUnaryResponseMixin,
    _InterceptedStreamRequestMixin,
    InterceptedCall,
    _base_call.StreamUnaryCall[RequestType, ResponseType],
):
    """The call of a channel with interceptors: a stream of requests, one response."""

    _intercept = "intercept_stream_unary"
    _plain_call = "StreamUnaryCall"

    def _as_call(self, answer: Any) -> Any:
        if isinstance(answer, _base_call.StreamUnaryCall):
            return answer
        raise TypeError(f"an interceptor of a stream of requests and one response must return a call, not {answer!r}")


class InterceptedStreamStreamCall(
    _InterceptedStreamResponseMixin,
    _InterceptedStreamRequestMixin,
    InterceptedCall,
    _base_call.StreamStreamCall[RequestType, ResponseType],
):
    """The call of a channel with interceptors: a stream of requests, a stream of responses."""

    _intercept = "intercept_stream_stream"
    _plain_call = "StreamStreamCall"

    def _as_call(self, answer: Any) -> Any:
        return self._as_stream(answer, _base_call.StreamStreamCall, StreamStreamCallResponseIterator)


class UnaryUnaryCallResponse(_base_call.UnaryUnaryCall[RequestType, ResponseType]):
    """The call for a response that an interceptor gave itself: it is over, and has ended with OK."""

    def __init__(self, response: ResponseType) -> None:
        self._response = response

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def add_done_callback(self, callback: DoneCallbackType) -> None:
        callback(self)

    def time_remaining(self) -> float | None:
        return None

    async def initial_metadata(self) -> Metadata | None:  # type: ignore[override]
        return None

    async def trailing_metadata(self) -> Metadata | None:  # type: ignore[override]
        return None

    async def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK

    async def details(self) -> str:
        return ""

    async def debug_error_string(self) -> str | None:
        return None

    async def wait_for_connection(self) -> None:
        pass

    def __await__(self) -> Generator[Any, None, ResponseType]:
        return self._response
        yield  # What makes this a generator.


class _StreamCallResponseIterator:
    """The call whose responses an interceptor replaced by an iterator of its own.

    What is asked of it goes to the call further in; if there is none, the RPC never went out, and it ended with OK.
    """

    def __init__(self, call: Any, response_iterator: AsyncIterable[Any]) -> None:
        self._call: Any = UnaryUnaryCallResponse(None) if call is None else call
        self._response_iterator = response_iterator.__aiter__()

    def cancel(self) -> bool:
        return bool(self._call.cancel())

    def cancelled(self) -> bool:
        return bool(self._call.cancelled())

    def done(self) -> bool:
        return bool(self._call.done())

    def add_done_callback(self, callback: DoneCallbackType) -> None:
        self._call.add_done_callback(lambda _: callback(self))

    def time_remaining(self) -> float | None:
        remaining: float | None = self._call.time_remaining()
        return remaining

    async def initial_metadata(self) -> Metadata:
        metadata: Metadata = await self._call.initial_metadata()
        return metadata

    async def trailing_metadata(self) -> Metadata:
        metadata: Metadata = await self._call.trailing_metadata()
        return metadata

    async def code(self) -> grpc.StatusCode:
        code: grpc.StatusCode = await self._call.code()
        return code

    async def details(self) -> str:
        details: str = await self._call.details()
        return details

    async def debug_error_string(self) -> str | None:
        text: str | None = await self._call.debug_error_string()
        return text

    async def wait_for_connection(self) -> None:
        await self._call.wait_for_connection()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._response_iterator

    async def read(self) -> Any:
        try:
            return await self._response_iterator.__anext__()
        except StopAsyncIteration:
            return EOF


class UnaryStreamCallResponseIterator(
    _StreamCallResponseIterator, _base_call.UnaryStreamCall[RequestType, ResponseType]
):
    """As its base, for one request."""


class StreamStreamCallResponseIterator(
    _StreamCallResponseIterator, _base_call.StreamStreamCall[RequestType, ResponseType]
):
    """As its base, for a stream of requests, which go to the call further in."""

    async def write(self, request: RequestType) -> None:
        if self._call.done():
            raise asyncio.InvalidStateError(_RPC_ALREADY_FINISHED_DETAILS)
        await self._call.write(request)

    async def done_writing(self) -> None:
        if not self._call.done():
            await self._call.done_writing()
