from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from kinds_pb2 import Answer, Question
from kinds_pb2_grpc import Oracle, OracleServicer, OracleStub, add_OracleServicer_to_server
from typing_extensions import assert_type

if TYPE_CHECKING:
    from kinds_pb2_grpc import OracleAsyncStub


def blocking(stub: OracleStub) -> None:
    assert_type(stub.One(Question(text="why"), timeout=1, metadata=[("a", "b")]), Answer)
    answer, call = stub.One.with_call(Question())
    assert_type(answer, Answer)
    assert_type(call, grpc.Call)
    assert_type(stub.One.future(Question()).result(timeout=1), Answer)
    assert_type(stub.Sum(iter([Question()])), Answer)
    responses = stub.Several(Question())
    assert_type(next(responses), Answer)
    responses.cancel()
    for each in stub.Chat(iter([Question()])):
        assert_type(each, Answer)
    assert_type(Oracle.One(Question(), "localhost:1", insecure=True), Answer)


async def asynchronous(stub: OracleAsyncStub) -> None:
    assert_type(await stub.One(Question(), timeout=1), Answer)
    assert_type(await stub.Sum([Question()]), Answer)
    async for each in stub.Several(Question()):
        assert_type(each, Answer)
    call = stub.Chat()
    await call.write(Question())


async def both() -> None:
    with grpc.insecure_channel("localhost:1") as channel:
        blocking(OracleStub(channel))
        assert_type(OracleStub(channel).One(Question()), Answer)
    async with grpc.aio.insecure_channel("localhost:1") as async_channel:
        await asynchronous(OracleStub(async_channel))
        assert_type(await OracleStub(async_channel).One(Question()), Answer)
    add_OracleServicer_to_server(Blocking(), grpc.server(ThreadPoolExecutor()))
    add_OracleServicer_to_server(Asynchronous(), grpc.aio.server())


class Blocking(OracleServicer):
    def One(self, request: Question, context: grpc.ServicerContext) -> Answer:
        context.abort(grpc.StatusCode.INTERNAL, request.text)

    def Several(self, request: Question, context: grpc.ServicerContext) -> Iterator[Answer]:
        yield Answer(text=request.text)

    def Sum(self, request_iterator: Iterator[Question], context: grpc.ServicerContext) -> Answer:
        return Answer(text=next(request_iterator).text)

    def Chat(self, request_iterator: Iterator[Question], context: grpc.ServicerContext) -> Iterator[Answer]:
        for request in request_iterator:
            yield Answer(text=request.text)


class Asynchronous(OracleServicer):
    async def One(self, request: Question, context: grpc.aio.ServicerContext[Question, Answer]) -> Answer:
        await context.abort(grpc.StatusCode.INTERNAL, request.text)

    async def Several(
        self, request: Question, context: grpc.aio.ServicerContext[Question, Answer]
    ) -> AsyncIterator[Answer]:
        yield Answer(text=request.text)

    async def Sum(
        self, request_iterator: AsyncIterator[Question], context: grpc.aio.ServicerContext[Question, Answer]
    ) -> Answer:
        return Answer(text=" ".join([request.text async for request in request_iterator]))

    async def Chat(
        self, request_iterator: AsyncIterator[Question], context: grpc.aio.ServicerContext[Question, Answer]
    ) -> None:
        async for request in request_iterator:
            await context.write(Answer(text=request.text))
