"""grpc_status."""

import grpc
import pytest

status_pb2 = pytest.importorskip("google.rpc.status_pb2", reason="needs googleapis-common-protos")
from google.rpc import error_details_pb2  # noqa: E402
from grpc_status import rpc_status  # noqa: E402

LONG = 20


def rich(code=grpc.StatusCode.RESOURCE_EXHAUSTED, message="too much"):
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="QUOTA"))
    return status


def fail(request, context):
    if request == b"rich":
        context.abort_with_status(rpc_status.to_status(rich()))
    if request == b"plain":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    context.set_code(grpc.StatusCode.ABORTED)
    context.set_details("something else")
    context.set_trailing_metadata(rpc_status.to_status(rich()).trailing_metadata)
    return b""


async def fail_async(request, context):
    await context.abort_with_status(rpc_status.to_status(rich()))


def handling(behavior):
    handler = grpc.unary_unary_rpc_method_handler(behavior)
    generic = grpc.method_handlers_generic_handler("test.Things", {"Fail": handler})
    return lambda server: server.add_generic_rpc_handlers((generic,))


@pytest.fixture
def error(serve):
    call = serve(handling(fail)).unary_unary("/test.Things/Fail")

    def error(request):
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=LONG)
        return caught.value

    return error


def test_rich(error):
    status = rpc_status.from_call(error(b"rich"))
    assert status == rich()


def test_without(error):
    assert rpc_status.from_call(error(b"plain")) is None


def test_in_disagreement(error):
    with pytest.raises(ValueError, match="doesn't match status code"):
        rpc_status.from_call(error(b"other"))


def test_to_status():
    status = rpc_status.to_status(rich(grpc.StatusCode.DATA_LOSS, "gone"))
    assert isinstance(status, grpc.Status)
    assert (status.code, status.details) == (grpc.StatusCode.DATA_LOSS, "gone")
    with pytest.raises(ValueError, match="Invalid status code 77"):
        rpc_status.to_status(status_pb2.Status(code=77))


def test_on_asyncio(on_a_loop):
    async def test(channel):
        call = channel.unary_unary("/test.Things/Fail")(b"")
        assert await rpc_status.aio.from_call(call) == rich()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert rpc_status.from_call(caught.value) == rich()

    on_a_loop(test, handling(fail_async))
