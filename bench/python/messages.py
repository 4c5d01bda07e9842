"""What messages are in a measurement: bytes without a serializer, or those of generated stubs."""

import sys

import grpc

SERVICE = "bench.Bench"


class Bytes:
    """Bytes without a serializer, so that the library is measured and not protobuf."""

    class Stub:
        def __init__(self, channel):
            self.Echo = channel.unary_unary(f"/{SERVICE}/Echo")
            self.Feed = channel.unary_stream(f"/{SERVICE}/Feed")
            self.Drain = channel.stream_unary(f"/{SERVICE}/Drain")
            self.PingPong = channel.stream_stream(f"/{SERVICE}/PingPong")

    length = staticmethod(len)
    number = staticmethod(int)

    @staticmethod
    def of(payload):
        return payload

    @staticmethod
    def of_number(number):
        return b"%d" % number

    @staticmethod
    def serve(servicer, server):
        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(servicer.Echo),
            "Feed": grpc.unary_stream_rpc_method_handler(servicer.Feed),
            "Drain": grpc.stream_unary_rpc_method_handler(servicer.Drain),
            "PingPong": grpc.stream_stream_rpc_method_handler(servicer.PingPong),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


class Generated:
    """Messages and stubs that the contender's own tools have generated from bench.proto, as a user has them."""

    def __init__(self, directory):
        sys.path.insert(0, directory)
        import bench_pb2
        import bench_pb2_grpc

        self._message = bench_pb2.Message
        self.Stub = bench_pb2_grpc.BenchStub
        self.serve = bench_pb2_grpc.add_BenchServicer_to_server

    def of(self, payload):
        return self._message(payload=payload)

    def of_number(self, number):
        return self._message(number=number)

    @staticmethod
    def number(message):
        return message.number

    @staticmethod
    def length(message):
        return message.ByteSize()


def kind(directory):
    """Those generated into `directory`; bytes where it is `None`."""
    return Generated(directory) if directory else Bytes()
