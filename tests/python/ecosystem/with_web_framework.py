"""FastAPI under uvicorn calls our asyncio server from the loop that serves HTTP, many requests at once."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import httpx
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

REQUESTS = 200


async def look_up(request, context):
    if request == b"none":
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    return request.upper()


async def count(request, context):
    for number in range(int(request)):
        yield b"%d," % number


@asynccontextmanager
async def lifespan(app):
    server = grpc.aio.server()
    handlers = {
        "LookUp": grpc.unary_unary_rpc_method_handler(look_up),
        "Count": grpc.unary_stream_rpc_method_handler(count),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Things", handlers),))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        app.state.look_up = channel.unary_unary("/test.Things/LookUp")
        app.state.count = channel.unary_stream("/test.Things/Count")
        yield
    await server.stop(None)


app = FastAPI(lifespan=lifespan)


@app.get("/things/{name}")
async def get_thing(name: str):
    try:
        return {"thing": (await app.state.look_up(name.encode(), timeout=30)).decode()}
    except grpc.RpcError as error:
        raise HTTPException(404, error.details()) from error


@app.get("/count/{end}")
async def get_count(end: int):
    async def numbers():
        async for number in app.state.count(b"%d" % end):
            yield number

    return StreamingResponse(numbers())


async def main():
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), "uvicorn did not start"
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        answers = await asyncio.gather(*[client.get(f"/things/a{number}") for number in range(REQUESTS)])
        assert [answer.json()["thing"] for answer in answers] == [f"A{number}" for number in range(REQUESTS)]
        missing = await client.get("/things/none")
        assert (missing.status_code, missing.json()["detail"]) == (404, "no such thing"), missing.text
        assert (await client.get("/count/5")).text == "0,1,2,3,4,"
    server.should_exit = True
    await serving


asyncio.run(main())
print("done")
