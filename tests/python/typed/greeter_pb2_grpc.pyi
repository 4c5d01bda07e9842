# Stubs as mypy-protobuf writes them: callables with types, one stub for each face, servicers for both.
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import TypeVar, overload, type_check_only

import grpc
import grpc.aio
from greeter_pb2 import HelloReply, HelloRequest

_T = TypeVar("_T")

class _MaybeAsyncIterator(AsyncIterator[_T], Iterator[_T], metaclass=ABCMeta): ...
class _ServicerContext(grpc.ServicerContext, grpc.aio.ServicerContext): ...  # type: ignore

class GreeterStub:
    @overload
    def __new__(cls, channel: grpc.Channel) -> GreeterStub: ...
    @overload
    def __new__(cls, channel: grpc.aio.Channel) -> GreeterAsyncStub: ...
    SayHello: grpc.UnaryUnaryMultiCallable[HelloRequest, HelloReply]
    SayHellos: grpc.UnaryStreamMultiCallable[HelloRequest, HelloReply]
    HearHellos: grpc.StreamUnaryMultiCallable[HelloRequest, HelloReply]
    Chat: grpc.StreamStreamMultiCallable[HelloRequest, HelloReply]

@type_check_only
class GreeterAsyncStub(GreeterStub):
    SayHello: grpc.aio.UnaryUnaryMultiCallable[HelloRequest, HelloReply]  # type: ignore
    SayHellos: grpc.aio.UnaryStreamMultiCallable[HelloRequest, HelloReply]  # type: ignore
    HearHellos: grpc.aio.StreamUnaryMultiCallable[HelloRequest, HelloReply]  # type: ignore
    Chat: grpc.aio.StreamStreamMultiCallable[HelloRequest, HelloReply]  # type: ignore

class GreeterServicer(metaclass=ABCMeta):
    @abstractmethod
    def SayHello(self, request: HelloRequest, context: _ServicerContext) -> HelloReply | Awaitable[HelloReply]: ...

def add_GreeterServicer_to_server(servicer: GreeterServicer, server: grpc.Server | grpc.aio.Server) -> None: ...
