"""What `import grpc` does and does not."""

import logging
import subprocess
import sys

import grpc
import pytest


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


def test_version():
    assert grpc.__version__ == "1.85.1"
    from grpc import _grpcio_metadata

    assert _grpcio_metadata.__version__ == "1.85.1"


def test_log_goes_nowhere_by_itself():
    handlers = logging.getLogger("grpc").handlers
    assert [type(handler) for handler in handlers].count(logging.NullHandler) == 1
    assert run("import grpc, logging; print(len(logging.getLogger().handlers))") == "0\n"


def test_modules_are_there_without_an_import_of_their_own():
    program = """
import grpc
channel = grpc.insecure_channel("localhost:1")
print(grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, grpc._channel._InactiveRpcError.__name__)
"""
    assert run(program) == "SingleThreadedUnaryStream _InactiveRpcError\n"


@pytest.mark.better_than_grpcio("imports it all")
def test_import_is_light():
    """Nothing slow is loaded that a program might not need."""
    program = "import sys, grpc; print([name for name in {!r} if name in sys.modules])"
    heavy = ["asyncio", "concurrent.futures", "google.protobuf", "inspect", "ssl", "farcall._native"]
    assert run(program.format(heavy)) == "[]\n"


@pytest.mark.better_than_grpcio("is not farcall")
def test_version_of_the_engine():
    import importlib.metadata

    import farcall

    assert farcall.__version__ == importlib.metadata.version("farcall")


@pytest.mark.parametrize(
    ("first", "second", "lower"),
    [
        ("1.2.3", "1.2.3", False),
        ("1.2.3", "1.10.0", True),
        ("1.10.0", "1.2.3", False),
        ("1.85.1", "1.85.0", False),
        ("1.84.9", "1.85.1", True),
        ("2.0.0", "1.85.1", False),
        ("1.84.0.dev0", "1.85.1", True),
        ("1.85.1.dev0", "1.85.1", False),
    ],
)
def test_comparing_versions(first, second, lower):
    from grpc._utilities import first_version_is_lower

    assert first_version_is_lower(first, second) is lower


def test_names_that_programs_import():
    """Private ones, in fact."""
    from grpc import _common, _interceptor, _utilities
    from grpc._channel import Channel, _InactiveRpcError, _MultiThreadedRendezvous, _Rendezvous
    from grpc._cython import cygrpc
    from grpc._server import _Context, _Server, _ServerStage

    assert issubclass(Channel, grpc.Channel)
    assert issubclass(_InactiveRpcError, grpc.RpcError)
    assert issubclass(_MultiThreadedRendezvous, _Rendezvous)
    assert issubclass(_Server, grpc.Server)
    assert issubclass(_Context, grpc.ServicerContext)
    assert _ServerStage.STARTED
    assert issubclass(_interceptor._ClientCallDetails, grpc.ClientCallDetails)
    assert issubclass(_utilities.RpcMethodHandler, grpc.RpcMethodHandler)
    assert _common.STATUS_CODE_TO_CYGRPC_STATUS_CODE[grpc.StatusCode.NOT_FOUND] == 5
    assert _common.CYGRPC_STATUS_CODE_TO_STATUS_CODE[5] is grpc.StatusCode.NOT_FOUND
    assert cygrpc.StatusCode.not_found == 5
    assert cygrpc.CompressionAlgorithm.gzip == 2
    assert cygrpc._Metadatum("k", "v").key == "k"
    assert not cygrpc.EOF
