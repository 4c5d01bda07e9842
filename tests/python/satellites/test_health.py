"""grpc_health."""

from concurrent import futures

import grpc
import pytest

health_pb2 = pytest.importorskip("grpc_health.v1.health_pb2")
from grpc_health.v1 import health, health_pb2_grpc  # noqa: E402

LONG = 20
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def adding(servicer):
    return lambda server: health_pb2_grpc.add_HealthServicer_to_server(servicer, server)


def asked(service=""):
    return health_pb2.HealthCheckRequest(service=service)


def test_names():
    assert health.SERVICE_NAME == "grpc.health.v1.Health"
    assert health.OVERALL_HEALTH == ""


@pytest.mark.parametrize("non_blocking", [True, False])
class TestBlocking:
    @pytest.fixture
    def servicer(self, non_blocking):
        with futures.ThreadPoolExecutor(4) as pool:
            yield health.HealthServicer(non_blocking, pool if non_blocking else None)

    @pytest.fixture
    def stub(self, servicer, serve):
        return health_pb2_grpc.HealthStub(serve(adding(servicer)))

    def test_check(self, servicer, stub):
        assert stub.Check(asked(), timeout=LONG).status == SERVING
        servicer.set("a", NOT_SERVING)
        assert stub.Check(asked("a"), timeout=LONG).status == NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(asked("b"), timeout=LONG)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    def test_watch(self, servicer, stub):
        watching = stub.Watch(asked("a"), timeout=LONG)
        assert next(watching).status == SERVICE_UNKNOWN
        servicer.set("b", SERVING)
        servicer.set("a", SERVING)
        assert next(watching).status == SERVING
        servicer.set("a", NOT_SERVING)
        assert next(watching).status == NOT_SERVING
        watching.cancel()

    def test_several_watch(self, servicer, stub):
        watching = [stub.Watch(asked("a"), timeout=LONG) for _ in range(3)]
        assert [next(one).status for one in watching] == [SERVICE_UNKNOWN] * 3
        servicer.set("a", SERVING)
        assert [next(one).status for one in watching] == [SERVING] * 3
        for one in watching:
            one.cancel()

    def test_graceful_shutdown(self, servicer, stub):
        servicer.set("a", SERVING)
        watching = stub.Watch(asked("a"), timeout=LONG)
        assert next(watching).status == SERVING
        servicer.enter_graceful_shutdown()
        assert next(watching).status == NOT_SERVING
        servicer.set("a", SERVING)
        assert stub.Check(asked("a"), timeout=LONG).status == NOT_SERVING
        assert stub.Check(asked(), timeout=LONG).status == NOT_SERVING
        watching.cancel()


def test_on_asyncio(on_a_loop):
    servicer = health.aio.HealthServicer()

    async def test(channel):
        stub = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(asked())).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(asked("a"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watching = stub.Watch(asked("a"))
        assert (await watching.read()).status == SERVICE_UNKNOWN
        await servicer.set("a", SERVING)
        assert (await watching.read()).status == SERVING
        await servicer.enter_graceful_shutdown()
        assert (await watching.read()).status == NOT_SERVING
        await servicer.set("a", SERVING)
        assert (await stub.Check(asked("a"))).status == NOT_SERVING
        watching.cancel()

    on_a_loop(test, adding(servicer))
