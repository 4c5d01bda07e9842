"""pytest with pytest-grpc and pytest-asyncio, which it loads by itself, tests a servicer and a coroutine."""

import pathlib
import subprocess
import sys
import tempfile

TESTS = """
import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


# What pytest-grpc asks for.
@pytest.fixture(scope="module")
def grpc_add_to_server():
    return health_pb2_grpc.add_HealthServicer_to_server


@pytest.fixture(scope="module")
def grpc_servicer():
    servicer = health.HealthServicer()
    servicer.set("thing", health_pb2.HealthCheckResponse.SERVING)
    return servicer


@pytest.fixture(scope="module")
def grpc_stub_cls(grpc_channel):
    return health_pb2_grpc.HealthStub


def test_with_a_stub(grpc_stub):
    answer = grpc_stub.Check(health_pb2.HealthCheckRequest(service="thing"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_an_error(grpc_stub):
    with pytest.raises(grpc.RpcError) as caught:
        grpc_stub.Check(health_pb2.HealthCheckRequest(service="other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest_asyncio.fixture
async def channel():
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.mark.asyncio
async def test_a_coroutine(channel):
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
"""

with tempfile.TemporaryDirectory() as directory:
    pathlib.Path(directory, "test_things.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=50)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
print("done")
