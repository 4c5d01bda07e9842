"""qdrant-client, blocking and asyncio, over gRPC against a local server that answers with generated messages."""

import asyncio
from concurrent import futures

import grpc
from qdrant_client import AsyncQdrantClient, QdrantClient
from qdrant_client import grpc as messages

keys = []


class Collections(messages.CollectionsServicer):
    def List(self, request, context):
        keys.append(dict(context.invocation_metadata()).get("api-key"))
        return messages.ListCollectionsResponse(collections=[messages.CollectionDescription(name="things")])

    def CollectionExists(self, request, context):
        exists = messages.CollectionExists(exists=request.collection_name == "things")
        return messages.CollectionExistsResponse(result=exists)


class Points(messages.PointsServicer):
    def Count(self, request, context):
        if request.collection_name != "things":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such collection")
        return messages.CountResponse(result=messages.CountResult(count=42))


server = grpc.server(futures.ThreadPoolExecutor(4))
messages.add_CollectionsServicer_to_server(Collections(), server)
messages.add_PointsServicer_to_server(Points(), server)
port = server.add_insecure_port("localhost:0")
server.start()
where = {
    "host": "localhost",
    "grpc_port": port,
    "prefer_grpc": True,
    "https": False,
    "check_compatibility": False,
    "timeout": 30,
}

client = QdrantClient(**where)
assert client.collection_exists("things") and not client.collection_exists("others")
assert client.count("things").count == 42
try:
    client.count("others")
    raise AssertionError("no error")
except grpc.RpcError as error:
    assert error.code() is grpc.StatusCode.NOT_FOUND
client.close()


async def on_a_loop():
    client = AsyncQdrantClient(**where)
    assert await client.collection_exists("things")
    assert (await client.count("things")).count == 42
    try:
        await client.count("others")
        raise AssertionError("no error")
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
    await client.close()


asyncio.run(on_a_loop())
server.stop(None)
print("done")
