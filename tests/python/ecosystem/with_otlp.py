"""OpenTelemetry's OTLP exporter sends spans to our server."""

from concurrent import futures

import grpc
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self):
        self.names = []
        self.metadata = {}
        self.unready = 1

    def Export(self, request, context):
        self.metadata = dict(context.invocation_metadata())
        if self.unready:
            self.unready -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.names += [span.name for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


collector = Collector()
server = grpc.server(futures.ThreadPoolExecutor(2))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
port = server.add_insecure_port("localhost:0")
server.start()

exporter = OTLPSpanExporter(
    endpoint=f"http://localhost:{port}",
    insecure=True,
    headers=(("tenant", "me"),),
    compression=grpc.Compression.Gzip,
    timeout=20,
)
results = []
export = exporter.export
exporter.export = lambda spans: results.append(export(spans))
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("test")
with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
    assert trace.get_current_span().is_recording()
provider.shutdown()
server.stop(None)

assert results == [SpanExportResult.SUCCESS] * 2, results
assert collector.names == ["inner", "outer"], collector.names
assert collector.metadata["tenant"] == "me", collector.metadata
print("done")
