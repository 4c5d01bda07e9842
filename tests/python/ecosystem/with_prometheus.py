"""py-grpc-prometheus's interceptors count calls of all kinds at our client and our server."""

from concurrent import futures

import grpc
from prometheus_client import CollectorRegistry
from py_grpc_prometheus.prometheus_client_interceptor import PromClientInterceptor
from py_grpc_prometheus.prometheus_server_interceptor import PromServerInterceptor

at_server, at_client = CollectorRegistry(), CollectorRegistry()


def look_up(request, context):
    if request == b"none":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    return request


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def add(requests, context):
    return b"%d" % sum(int(request) for request in requests)


def double(requests, context):
    for request in requests:
        yield request * 2


server = grpc.server(
    futures.ThreadPoolExecutor(4),
    interceptors=[PromServerInterceptor(registry=at_server, enable_handling_time_histogram=True)],
)
methods = {
    "LookUp": grpc.unary_unary_rpc_method_handler(look_up),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Add": grpc.stream_unary_rpc_method_handler(add),
    "Double": grpc.stream_stream_rpc_method_handler(double),
}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Things", methods),))
port = server.add_insecure_port("localhost:0")
server.start()
channel = grpc.intercept_channel(grpc.insecure_channel(f"localhost:{port}"), PromClientInterceptor(registry=at_client))
look = channel.unary_unary("/test.Things/LookUp")
assert look(b"a") == b"a"
try:
    look(b"none")
    raise AssertionError("no error")
except grpc.RpcError as error:
    assert error.code() is grpc.StatusCode.NOT_FOUND
assert list(channel.unary_stream("/test.Things/Count")(b"3")) == [b"0", b"1", b"2"]
assert channel.stream_unary("/test.Things/Add")(iter([b"1", b"2"])) == b"3"
assert list(channel.stream_stream("/test.Things/Double")(iter([b"1", b"2"]))) == [b"11", b"22"]
channel.close()
server.stop(None).wait()


def value(registry, name, kind, method, **labels):
    labels = {"grpc_type": kind, "grpc_service": "test.Things", "grpc_method": method, **labels}
    return registry.get_sample_value(name, labels)


# What the package counts on grpcio: of streams with many requests, messages and not calls.
for kind, method, calls in (("UNARY", "LookUp", 2), ("SERVER_STREAMING", "Count", 1)):
    assert value(at_server, "grpc_server_started_total", kind, method) == calls, (kind, method)
for kind, method, calls in (("CLIENT_STREAMING", "Add", 2), ("BIDI_STREAMING", "Double", 2)):
    assert value(at_server, "grpc_server_msg_received_total", kind, method) == calls, (kind, method)
for code in ("OK", "NOT_FOUND"):
    assert value(at_server, "grpc_server_handled_total", "UNARY", "LookUp", grpc_code=code) == 1, code
assert value(at_client, "grpc_client_started_total", "UNARY", "LookUp") == 2
print("done")
