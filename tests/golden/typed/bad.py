"""Every line with a comment is wrong, and mypy must say so; the comment is the code of its error."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import grpc.aio
from kinds_pb2 import Answer, Question
from kinds_pb2_grpc import Oracle, OracleServicer, OracleStub, add_OracleServicer_to_server


def blocking(stub: OracleStub) -> None:
    stub.One(Answer())  # arg-type
    stub.One(Question(), timeout="soon")  # arg-type
    stub.Sum([Question()])  # arg-type
    print(stub.One(Question()).txt)  # attr-defined
    stub.Three(Question())  # attr-defined
    Oracle.One(Answer(), "localhost:1")  # arg-type


async def asynchronous() -> None:
    stub = OracleStub(grpc.aio.insecure_channel("localhost:1"))
    stub.One(Answer())  # arg-type
    print(stub.One(Question()).text)  # attr-defined
    await stub.Several(Question())  # misc
    blocking(stub)  # arg-type
    OracleStub("localhost:1")  # type-var


class Wrong(OracleServicer):
    def One(self, request: Answer, context: grpc.ServicerContext) -> Answer:  # override
        return Answer()

    def Several(self, request: Question, context: grpc.ServicerContext) -> Iterator[Question]:  # override
        yield request


add_OracleServicer_to_server(Wrong(), grpc.aio.server())  # abstract
add_OracleServicer_to_server(object(), grpc.aio.server())  # arg-type
