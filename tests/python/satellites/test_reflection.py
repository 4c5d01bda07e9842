"""grpc_reflection."""

import importlib

import grpc
import pytest

descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
from google.protobuf import descriptor_pool  # noqa: E402

LONG = 20


@pytest.fixture(params=["v1alpha", "v1"])
def version(request):
    if request.param == "v1":
        pytest.importorskip("grpc_reflection.v1", reason="grpcio has none")
    return request.param


@pytest.fixture
def reflection(version):
    return importlib.import_module(f"grpc_reflection.{version}.reflection")


@pytest.fixture
def reflection_pb2(version):
    return importlib.import_module(f"grpc_reflection.{version}.reflection_pb2")


@pytest.fixture
def pool():
    """One file, with a service, an enum and extensions, and what it imports."""
    file = descriptor_pb2.FileDescriptorProto(name="things.proto", package="things", syntax="proto2")
    file.dependency.append("google/protobuf/descriptor.proto")
    message = file.message_type.add(name="Thing")
    message.extension_range.add(start=100, end=200)
    for number in (150, 120):
        file.extension.add(name=f"e{number}", number=number, label=1, type=5, extendee=".things.Thing")
    method = file.service.add(name="Things").method.add(name="Do")
    method.input_type = method.output_type = ".things.Thing"
    pool = descriptor_pool.DescriptorPool()
    for one in (descriptor_pb2.DESCRIPTOR, None):
        pool.AddSerializedFile(file.SerializeToString() if one is None else one.serialized_pb)
    return pool


@pytest.fixture
def enable(reflection, pool):
    return lambda server: reflection.enable_server_reflection(["things.Things", "another"], server, pool)


@pytest.fixture
def ask(serve, enable, version, reflection_pb2):
    stub = importlib.import_module(f"grpc_reflection.{version}.reflection_pb2_grpc").ServerReflectionStub(serve(enable))

    def ask(**request):
        requests = iter([reflection_pb2.ServerReflectionRequest(**request)])
        return next(stub.ServerReflectionInfo(requests, timeout=LONG))

    return ask


def names(response):
    files = response.file_descriptor_response.file_descriptor_proto
    return [descriptor_pb2.FileDescriptorProto.FromString(file).name for file in files]


def test_services(ask, reflection, version):
    assert [service.name for service in ask(list_services="").list_services_response.service] == [
        "another",
        "things.Things",
    ]
    assert f"grpc.reflection.{version}.ServerReflection" == reflection.SERVICE_NAME


@pytest.mark.parametrize(
    "request_",
    [
        {"file_by_filename": "things.proto"},
        {"file_containing_symbol": "things.Things"},
        {"file_containing_symbol": "things.Thing"},
        {"file_containing_symbol": "things.e120"},
        {"file_containing_extension": {"containing_type": "things.Thing", "extension_number": 150}},
    ],
)
def test_files_come_with_what_they_import(ask, request_):
    response = ask(**request_)
    assert names(response) == ["things.proto", "google/protobuf/descriptor.proto"]
    assert response.HasField("original_request")


@pytest.mark.parametrize(
    "request_",
    [
        {"file_by_filename": "no.proto"},
        {"file_containing_symbol": "things.Nothing"},
        {"file_containing_symbol": ""},
        {"file_containing_extension": {"containing_type": "things.Thing", "extension_number": 199}},
        {"file_containing_extension": {"containing_type": "things.Nothing", "extension_number": 1}},
        {"all_extension_numbers_of_type": "things.Nothing"},
    ],
)
def test_what_is_not_there(ask, request_):
    assert ask(**request_).error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_extension_numbers(ask):
    response = ask(all_extension_numbers_of_type="things.Thing").all_extension_numbers_response
    assert (response.base_type_name, list(response.extension_number)) == ("things.Thing", [120, 150])


def test_no_question(ask):
    assert ask(host="here").error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_database(serve, enable, version):
    module = importlib.import_module(f"grpc_reflection.{version}.proto_reflection_descriptor_database")
    database = module.ProtoReflectionDescriptorDatabase(serve(enable))
    assert sorted(database.get_services()) == ["another", "things.Things"]
    pool = descriptor_pool.DescriptorPool(database)
    method = pool.FindServiceByName("things.Things").methods_by_name["Do"]
    assert method.input_type.full_name == "things.Thing"
    assert database.FindFileByName("things.proto").package == "things"
    assert list(database.FindAllExtensionNumbers("things.Thing")) == [120, 150]
    with pytest.raises(KeyError):
        database.FindFileContainingSymbol("things.Nothing")
    with pytest.raises(KeyError):
        database.FindFileByName("no.proto")


def test_on_asyncio(on_a_loop, reflection_pb2, version, enable):
    grpc_module = importlib.import_module(f"grpc_reflection.{version}.reflection_pb2_grpc")

    async def test(channel):
        requests = [reflection_pb2.ServerReflectionRequest(file_by_filename="things.proto")]
        requests.append(reflection_pb2.ServerReflectionRequest(list_services=""))
        call = grpc_module.ServerReflectionStub(channel).ServerReflectionInfo(requests)
        responses = [response async for response in call]
        assert names(responses[0])[0] == "things.proto"
        assert len(responses[1].list_services_response.service) == 2

    on_a_loop(test, enable)
