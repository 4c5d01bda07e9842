"""What our grpc_health does and grpcio's does not."""

from concurrent import futures

import grpc
import pytest

health_pb2 = pytest.importorskip("grpc_health.v1.health_pb2")
from grpc_health.v1 import health, health_pb2_grpc  # noqa: E402

if not hasattr(health, "Statuses"):
    pytest.skip("these are grpcio's packages", allow_module_level=True)
from grpc_health.v1._statuses import MOST_LISTED  # noqa: E402

LONG = 20
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def servicer():
    return health.HealthServicer()


@pytest.fixture
def stub(servicer, serve):
    return health_pb2_grpc.HealthStub(
        serve(lambda server: health_pb2_grpc.add_HealthServicer_to_server(servicer, server))
    )


def test_only_changes_are_told(servicer, stub):
    watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=LONG)
    assert next(watching).status == SERVING
    servicer.set("", SERVING)
    servicer.set("", NOT_SERVING)
    assert next(watching).status == NOT_SERVING
    watching.cancel()


def test_list_up_to_its_limit(servicer, stub):
    for number in range(MOST_LISTED - 1):
        servicer.set(f"service {number}", NOT_SERVING)
    listed = stub.List(health_pb2.HealthListRequest(), timeout=LONG).statuses
    assert len(listed) == MOST_LISTED and listed[""].status == SERVING and listed["service 0"].status == NOT_SERVING
    servicer.set("one more", SERVING)
    with pytest.raises(grpc.RpcError) as caught:
        stub.List(health_pb2.HealthListRequest(), timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_list_on_asyncio(on_a_loop):
    async def test(channel):
        listed = await health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest())
        assert dict(listed.statuses) == {"": health_pb2.HealthCheckResponse(status=SERVING)}

    on_a_loop(test, lambda server: health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server))


def test_servicers_differ_in_how_they_watch():
    with futures.ThreadPoolExecutor(1) as pool:
        one, other = health.HealthServicer(True, pool), health.HealthServicer(False)
        assert one.Watch.experimental_non_blocking and one.Watch.experimental_thread_pool is pool
        assert not other.Watch.experimental_non_blocking and other.Watch.experimental_thread_pool is None


def test_what_is_no_status(servicer):
    with pytest.raises((TypeError, ValueError)):
        servicer.set("", "fine")
