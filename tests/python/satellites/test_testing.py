"""grpc_testing."""

from concurrent import futures

import grpc
import pytest

grpc_testing = pytest.importorskip("grpc_testing")
descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
from google.protobuf import descriptor_pool, wrappers_pb2  # noqa: E402

LONG = 20
Text = wrappers_pb2.StringValue


def _service():
    file = descriptor_pb2.FileDescriptorProto(name="testing_things.proto", package="testing", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    service = file.service.add(name="Things")
    for name, streams in (("UU", (0, 0)), ("US", (0, 1)), ("SU", (1, 0)), ("SS", (1, 1))):
        method = service.method.add(name=name, client_streaming=streams[0], server_streaming=streams[1])
        method.input_type = method.output_type = ".google.protobuf.StringValue"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName("testing.Things")


SERVICE = _service()
METHODS = SERVICE.methods_by_name


@pytest.fixture
def pool():
    with futures.ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(params=["real", "fake"])
def time(request):
    return grpc_testing.strict_real_time() if request.param == "real" else grpc_testing.strict_fake_time(1000.0)


class TestTime:
    def test_calls_come_in_order_and_before_time_goes_on(self, time):
        called = []
        start = time.time()
        for delay in (0.03, 0.01, 0.02):
            time.call_in(lambda delay=delay: called.append(delay), delay)
        cancelled = time.call_in(lambda: called.append("cancelled"), 0.015)
        assert cancelled.cancel() and cancelled.cancelled()
        time.sleep_until(start + 0.05)
        assert called == [0.01, 0.02, 0.03]
        assert not cancelled.cancel() or cancelled.cancelled()
        assert time.time() >= start + 0.05

    def test_fake_time_stands_still(self):
        time = grpc_testing.strict_fake_time(5)
        assert time.time() == time.time() == 5
        time.sleep_for(2)
        assert time.time() == 7


class TestChannel:
    @pytest.fixture
    def channel(self, time):
        return grpc_testing.channel([SERVICE], time)

    def test_unary_unary(self, channel, pool):
        call = pool.submit(channel.unary_unary("/testing.Things/UU"), Text(value="q"), metadata=(("k", "v"),))
        metadata, request, rpc = channel.take_unary_unary(METHODS["UU"])
        assert request == Text(value="q") and ("k", "v") in metadata
        rpc.send_initial_metadata(())
        rpc.terminate(Text(value="a"), (("t", "u"),), grpc.StatusCode.OK, "")
        assert call.result(LONG) == Text(value="a")

    def test_error(self, channel, pool):
        call = pool.submit(channel.unary_unary("/testing.Things/UU"), Text())
        channel.take_unary_unary(METHODS["UU"])[2].terminate(None, (), grpc.StatusCode.NOT_FOUND, "no such thing")
        with pytest.raises(grpc.RpcError) as caught:
            call.result(LONG)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing")

    def test_future_and_cancel(self, channel):
        future = channel.unary_unary("/testing.Things/UU").future(Text())
        rpc = channel.take_unary_unary(METHODS["UU"])[2]
        assert future.cancel() and future.cancelled()
        rpc.cancelled()
        assert future.code() is grpc.StatusCode.CANCELLED

    def test_unary_stream(self, channel):
        responses = channel.unary_stream("/testing.Things/US")(Text(value="q"))
        _, _, rpc = channel.take_unary_stream(METHODS["US"])
        rpc.send_response(Text(value="1"))
        assert next(responses) == Text(value="1")
        rpc.terminate((), grpc.StatusCode.OK, "")
        assert list(responses) == []

    def test_stream_unary(self, channel):
        future = channel.stream_unary("/testing.Things/SU").future(iter([Text(value="1"), Text(value="2")]))
        _, rpc = channel.take_stream_unary(METHODS["SU"])
        assert [rpc.take_request().value, rpc.take_request().value] == ["1", "2"]
        rpc.requests_closed()
        rpc.terminate(Text(value="done"), (), grpc.StatusCode.OK, "")
        assert future.result() == Text(value="done")

    def test_stream_stream(self, channel):
        responses = channel.stream_stream("/testing.Things/SS")(iter([Text(value="1")]))
        _, rpc = channel.take_stream_stream(METHODS["SS"])
        rpc.send_response(rpc.take_request())
        assert next(responses) == Text(value="1")
        rpc.requests_closed()
        rpc.terminate((), grpc.StatusCode.ABORTED, "enough")
        with pytest.raises(grpc.RpcError):
            next(responses)
        assert responses.code() is grpc.StatusCode.ABORTED


class Servicer:
    def UU(self, request, context):
        if request.value == "raise":
            raise ValueError("boom")
        if request.value == "abort":
            context.abort(grpc.StatusCode.ABORTED, "enough")
        context.send_initial_metadata((("i", "j"),))
        context.set_trailing_metadata((("t", "u"),))
        return Text(value=request.value.upper())

    def US(self, request, context):
        for letter in request.value:
            yield Text(value=letter)

    def SU(self, requests, context):
        return Text(value="".join(request.value for request in requests))

    def SS(self, requests, context):
        context.send_initial_metadata(())
        response = Text()
        for request in requests:
            response.value = request.value.upper()
            yield response


class TestServer:
    @pytest.fixture
    def server(self, time):
        return grpc_testing.server_from_dictionary({SERVICE: Servicer()}, time)

    def test_unary_unary(self, server):
        rpc = server.invoke_unary_unary(METHODS["UU"], (), Text(value="a"), None)
        assert ("i", "j") in rpc.initial_metadata()
        response, trailing, code, details = rpc.termination()
        assert (response, code, details) == (Text(value="A"), grpc.StatusCode.OK, "")
        assert ("t", "u") in trailing

    @pytest.mark.parametrize(
        ("request_", "code", "details"),
        [
            ("raise", grpc.StatusCode.UNKNOWN, "Exception calling application: boom"),
            ("abort", grpc.StatusCode.ABORTED, "enough"),
        ],
    )
    def test_failing(self, server, request_, code, details):
        rpc = server.invoke_unary_unary(METHODS["UU"], (), Text(value=request_), None)
        assert rpc.termination()[2:] == (code, details)

    def test_unary_stream(self, server):
        rpc = server.invoke_unary_stream(METHODS["US"], (), Text(value="ab"), None)
        assert [rpc.take_response().value, rpc.take_response().value] == ["a", "b"]
        assert rpc.termination()[1] is grpc.StatusCode.OK
        with pytest.raises(ValueError, match="No more responses!"):
            rpc.take_response()

    def test_stream_unary(self, server):
        rpc = server.invoke_stream_unary(METHODS["SU"], (), None)
        for letter in "abc":
            rpc.send_request(Text(value=letter))
        rpc.requests_closed()
        assert rpc.termination()[0] == Text(value="abc")

    def test_stream_stream_with_one_message_changed(self, server):
        rpc = server.invoke_stream_stream(METHODS["SS"], (), None)
        rpc.send_request(Text(value="a"))
        rpc.send_request(Text(value="b"))
        assert [rpc.take_response().value, rpc.take_response().value] == ["A", "B"]
        rpc.requests_closed()
        assert rpc.termination()[1] is grpc.StatusCode.OK

    def test_time_runs_out(self, server, time):
        rpc = server.invoke_stream_stream(METHODS["SS"], (), 0.05)
        rpc.initial_metadata()
        time.sleep_for(0.1)
        assert rpc.termination()[1] is grpc.StatusCode.DEADLINE_EXCEEDED
