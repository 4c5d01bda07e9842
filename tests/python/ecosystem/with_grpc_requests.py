"""grpc-requests finds a server's methods by reflection and calls them with dictionaries, blocking and asyncio."""

import asyncio
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_requests import AsyncClient, Client

NAMES = (health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)

server = grpc.server(futures.ThreadPoolExecutor(4))
servicer = health.HealthServicer()
servicer.set("thing", health_pb2.HealthCheckResponse.NOT_SERVING)
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
reflection.enable_server_reflection(NAMES, server)
port = server.add_insecure_port("localhost:0")
server.start()

client = Client.get_by_endpoint(f"localhost:{port}")
assert "grpc.health.v1.Health" in client.service_names, client.service_names
answer = client.request("grpc.health.v1.Health", "Check", {"service": "thing"})
assert answer["status"] == "NOT_SERVING", answer
watched = client.unary_stream("grpc.health.v1.Health", "Watch", {"service": "thing"})
assert next(iter(watched))["status"] == "NOT_SERVING"


async def on_a_loop():
    client = AsyncClient(f"localhost:{port}")
    health = await client.service("grpc.health.v1.Health")
    answer = await health.Check({"service": "thing"})
    assert answer["status"] == "NOT_SERVING", answer


asyncio.run(on_a_loop())
server.stop(None)
print("done")
