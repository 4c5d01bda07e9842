"""What `import grpc` does and does not."""

import logging
import subprocess
import sys

import grpc
import pytest
from peers import ON_GRPCIO


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


def test_version():
    import importlib.metadata

    from grpc import _grpcio_metadata

    assert grpc.__version__ == _grpcio_metadata.__version__
    assert grpc.__version__ == (importlib.metadata.version("grpcio") if ON_GRPCIO else "1.85.3")


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


# What costs much of a start, for a program that may not need it.
HEAVY = {"asyncio", "collections", "concurrent.futures", "contextvars", "enum", "google.protobuf", "importlib",
         "inspect", "logging", "re", "ssl", "threading", "typing", "farcall", "farcall._native"}  # fmt: skip


def loaded_by(program):
    """The modules that a program loads, beside those of an interpreter in this environment."""
    before = "import sys; before = set(sys.modules)"
    return set(run(f"{before}\n{program}\nprint(*(set(sys.modules) - before))").split())


@pytest.mark.better_than_grpcio("imports it all")
def test_import_is_light():
    loaded = loaded_by("import grpc")
    assert not loaded & HEAVY
    assert len(loaded) <= 4


@pytest.mark.better_than_grpcio("imports it all")
def test_a_channel_loads_nothing_of_the_rest():
    """Neither asyncio nor what serves."""
    # What logging loads is the interpreter's own affair: with 3.14 it is `inspect`.
    loaded = loaded_by("import grpc; grpc.insecure_channel('localhost:1').close()")
    loaded -= loaded_by("import logging")
    assert not loaded & {"asyncio", "concurrent.futures", "inspect", "ssl", "typing", "grpc._server_api", "grpc.aio"}


def test_every_public_name_is_there():
    program = """
import grpc, pickle
missing = [name for name in grpc.__all__ if not hasattr(grpc, name) or name not in dir(grpc)]
names = {}
exec("from grpc import *", names)
print(missing, set(grpc.__all__) - set(names), pickle.loads(pickle.dumps(grpc.StatusCode.ABORTED)).name)
print("aio" in dir(grpc), grpc.aio.__name__, hasattr(grpc, "nothing_of_the_kind"))
"""
    assert run(program) == "[] set() ABORTED\nTrue grpc.aio False\n"


@pytest.mark.better_than_grpcio("has no such table")
def test_checkers_are_told_of_the_same_names_as_the_interpreter():
    """What `grpc` loads late stands in its source twice: for mypy, and for the import."""
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(grpc))
    (checking,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for node in checking.body if isinstance(node, ast.ImportFrom)]
    told = {alias.name: node.module for node in imports for alias in node.names if alias.name in grpc.__all__}
    assert told == {name: f"grpc.{module}" for name, module in grpc._HOME.items()}


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


def test_import_alone_brings_the_names_below_grpc():
    program = """
import grpc
grpc._cython.cygrpc._ServicerContext, grpc._observability.get_plugin, grpc.aio.Metadata, grpc._typing.Options
"""
    assert run(program if ON_GRPCIO else program + "grpc._cygrpc.EOF, grpc._plugin_wrapping.CallSecurity") == ""


@pytest.mark.parametrize("old", ["tools", "health", "reflection"])
def test_old_names_of_the_packages_beside_grpc(old):
    pytest.importorskip(f"grpc_{old}")
    program = f"import sys, grpc, grpc.{old}, grpc_{old}; print(sys.modules['grpc.{old}'] is grpc_{old})"
    assert run(program) == "True\n"


@pytest.mark.better_than_grpcio("shows what it imports")
def test_dir_shows_no_innards():
    names = {name for name in dir(grpc) if not name.startswith("_")}
    assert names - set(grpc.__all__) <= {"aio", "beta", "experimental", "framework", "health", "reflection", "tools"}


CORE_NAMES = [
    "CompositeChannelCredentials",
    "CompositeCallCredentials",
    "MetadataPluginCallCredentials",
    "CallCredentials",
    "Channel",
    "ChannelCredentials",
    "CompletionQueue",
    "IntegratedCall",
    "OperationType",
    "ReceiveMessageOperation",
    "SSLChannelCredentials",
    "SendMessageOperation",
    "Server",
    "get_fork_epoch",
    "is_fork_support_enabled",
    "peer_identities",
    "WriteFlag",
]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *(("grpc._cython.cygrpc", name) for name in CORE_NAMES),
        ("grpc._channel", "_EMPTY_FLAGS"),
        ("grpc._channel", "_event_handler"),
        ("grpc._channel", "_handle_event"),
        ("grpc.aio._call", "_StreamRequestMixin"),
        ("grpc.aio._call", "_StreamResponseMixin"),
        ("grpc.aio._call", "_UnaryResponseMixin"),
    ],
)
def test_private_names_that_packages_import(module, name):
    import importlib

    module = importlib.import_module(module)
    assert getattr(module, name) is getattr(module, name)


@pytest.mark.better_than_grpcio("has the core")
@pytest.mark.parametrize(
    ("module", "name", "way_out"),
    [
        ("grpc._cython.cygrpc", "Channel", "grpc.insecure_channel"),
        ("grpc._cython.cygrpc", "ReceiveMessageOperation", "grpc.insecure_channel"),
        ("grpc._cython.cygrpc", "SSLChannelCredentials", "grpc.ssl_channel_credentials"),
        ("grpc._channel", "_handle_event", "grpc.insecure_channel"),
    ],
)
def test_what_only_a_c_core_has_says_so(module, name, way_out):
    import importlib

    thing = getattr(importlib.import_module(module), name)
    assert not isinstance(object(), thing)
    with pytest.raises(NotImplementedError, match=way_out) as raised:
        thing(1, two=2)
    assert f"{module}.{name} belongs to grpcio's C core" in str(raised.value)


def test_an_observability_plugin():
    """It has no core to trace here, which is better said than left out."""
    from grpc import _observability

    class Plugin(_observability.ObservabilityPlugin):
        create_client_call_tracer = save_trace_context = None
        create_server_call_tracer_factory = record_rpc_latency = None

    with _observability.get_plugin() as plugin:
        assert plugin is None
    if not ON_GRPCIO:
        with pytest.raises(NotImplementedError, match="opentelemetry-instrumentation-grpc"):
            _observability.observability_init(Plugin())


def test_credentials_can_be_looked_into():
    """As packages for tests do, to ask the plugins themselves."""
    from grpc._cython import cygrpc

    def plugin(context, callback):
        callback((("key", "value"),), None)

    call = grpc.metadata_call_credentials(plugin)
    both = grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), call)._credentials
    assert isinstance(both, cygrpc.CompositeChannelCredentials)
    (inside,) = both._call_credentialses
    assert isinstance(inside, cygrpc.MetadataPluginCallCredentials)
    assert inside._name == b"plugin"
    answers = []
    inside._metadata_plugin._metadata_plugin(None, lambda metadata, error: answers.append(metadata))
    assert answers == [(("key", "value"),)]
    two = grpc.composite_call_credentials(call, call)._credentials
    assert isinstance(two, cygrpc.CompositeCallCredentials)
    assert len(two._call_credentialses) == 2
