"""A generated Google client, google-cloud-secret-manager, blocking and asyncio, reads secrets from a local server."""

import asyncio
from concurrent import futures

import grpc
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import secretmanager_v1
from google.cloud.secretmanager_v1.services.secret_manager_service import transports

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"

seen = []


def access(request, context):
    seen.append(dict(context.invocation_metadata()))
    if request.name.endswith("none"):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
    return secretmanager_v1.AccessSecretVersionResponse(name=request.name, payload={"data": b"hush"})


def list_secrets(request, context):
    first = not request.page_token
    names = ["a", "b"] if first else ["c"]
    return secretmanager_v1.ListSecretsResponse(
        secrets=[{"name": f"{request.parent}/secrets/{name}"} for name in names],
        next_page_token="more" if first else "",
    )


def handler(behavior, request, response):
    return grpc.unary_unary_rpc_method_handler(behavior, request.deserialize, response.serialize)


server = grpc.server(futures.ThreadPoolExecutor(4))
handlers = {
    "AccessSecretVersion": handler(
        access, secretmanager_v1.AccessSecretVersionRequest, secretmanager_v1.AccessSecretVersionResponse
    ),
    "ListSecrets": handler(list_secrets, secretmanager_v1.ListSecretsRequest, secretmanager_v1.ListSecretsResponse),
}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
port = server.add_insecure_port("localhost:0")
server.start()

# Blocking.
transport = transports.SecretManagerServiceGrpcTransport(channel=grpc.insecure_channel(f"localhost:{port}"))
client = secretmanager_v1.SecretManagerServiceClient(transport=transport)
assert client.access_secret_version(name="secrets/a/versions/1").payload.data == b"hush"
assert [secret.name[-1] for secret in client.list_secrets(parent="projects/p")] == ["a", "b", "c"]
try:
    client.access_secret_version(name="none")
    raise AssertionError("no error")
except exceptions.NotFound as error:
    assert error.message == "no such secret"
assert any("gapic" in metadata.get("x-goog-api-client", "") for metadata in seen), seen


# Asyncio: over a channel that is given, and over one that the client makes.
async def on_a_loop():
    transport = transports.SecretManagerServiceGrpcAsyncIOTransport(
        channel=grpc.aio.insecure_channel(f"localhost:{port}")
    )
    client = secretmanager_v1.SecretManagerServiceAsyncClient(transport=transport)
    answer = await client.access_secret_version(name="secrets/a/versions/1")
    assert answer.payload.data == b"hush"
    pages = await client.list_secrets(parent="projects/p")
    assert [secret.name[-1] async for secret in pages] == ["a", "b", "c"]
    try:
        await client.access_secret_version(name="none")
        raise AssertionError("no error")
    except exceptions.NotFound as error:
        assert error.message == "no such secret"
    await transport.close()

    options = ClientOptions(api_endpoint=f"localhost:{port}")
    made = secretmanager_v1.SecretManagerServiceAsyncClient(credentials=AnonymousCredentials(), client_options=options)
    try:
        # The server does not speak TLS, which the client insists on.
        await made.access_secret_version(name="a", timeout=5, retry=None)
        raise AssertionError("no error")
    except exceptions.ServiceUnavailable:
        pass
    await made.transport.close()


asyncio.run(on_a_loop())
client.transport.close()
server.stop(None)
print("done")
