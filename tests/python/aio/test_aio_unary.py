"""One request, one response, on asyncio."""

import asyncio
import gc

import grpc
import grpc.aio
import pytest
from aio_peers import LONG, Peer, Watched, echo, four_kinds, soon


def test_echo(run):
    async def test():
        async with four_kinds() as peer:
            assert await peer.uu("echo")(b"hello") == b"hello"
            assert await peer.uu("echo")(b"") == b""

    run(test())


def test_coders(run):
    async def test():
        async with four_kinds() as peer:
            call = peer.uu("echo", lambda text: text.encode(), lambda data: data.decode())
            assert await call("hé") == "hé"

    run(test())


@pytest.mark.parametrize("size", [1 << 10, 1 << 17, 3 << 20])
def test_size(run, size):
    async def test():
        async with four_kinds() as peer:
            assert await soon(peer.uu("echo")(b"x" * size)) == b"x" * size

    run(test())


def test_many_at_once(run):
    async def test():
        async with four_kinds() as peer:
            method = peer.uu("echo")
            sent = [b"%d" % number for number in range(500)]
            assert await soon(asyncio.gather(*[method(message) for message in sent])) == sent

    run(test())


def test_metadata(run):
    async def handler(request, context):
        received = dict(context.invocation_metadata())
        await context.send_initial_metadata((("initial", received["key"]), ("initial-bin", b"\x00\xff")))
        context.set_trailing_metadata((("trailing", "end"),))
        return received["key-bin"]

    async def test():
        async with Peer(method=("uu", handler)) as peer:
            call = peer.uu("method")(b"", metadata=(("key", "value"), ("key-bin", b"\x01\x02")))
            assert await call.initial_metadata() == grpc.aio.Metadata(
                ("initial", "value"), ("initial-bin", b"\x00\xff")
            )
            assert await call == b"\x01\x02"
            assert await call.trailing_metadata() == grpc.aio.Metadata(("trailing", "end"))
            assert await call.code() is grpc.StatusCode.OK
            assert await call.details() == ""
            assert call.done() and not call.cancelled()

    run(test())


def test_error(run):
    async def handler(request, context):
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing", (("why", "because"),))

    async def test():
        async with Peer(method=("uu", handler)) as peer:
            call = peer.uu("method")(b"")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            error = caught.value
            assert error.code() is grpc.StatusCode.NOT_FOUND
            assert error.details() == "no such thing"
            assert error.trailing_metadata() == grpc.aio.Metadata(("why", "because"))
            assert "no such thing" in repr(error)
            assert await call.code() is grpc.StatusCode.NOT_FOUND
            # Each time.
            with pytest.raises(grpc.aio.AioRpcError):
                await call

    run(test())


def test_unknown_method(run):
    async def test():
        async with four_kinds() as peer:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await peer.uu("nothing")(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert caught.value.details() == "Method not found!"

    run(test())


def test_awaited_more_than_once(run):
    async def wait(call):
        return await call

    async def test():
        async with four_kinds() as peer:
            call = peer.uu("echo")(b"once")
            assert await asyncio.gather(wait(call), wait(call)) == [b"once", b"once"]
            assert await call == b"once"

    run(test())


def test_done_callbacks(run):
    async def test():
        async with four_kinds() as peer:
            called = asyncio.get_running_loop().create_future()
            call = peer.uu("echo")(b"")
            call.add_done_callback(called.set_result)
            assert await soon(called) is call
            late = []
            call.add_done_callback(late.append)
            assert late == [call]

    run(test())


def test_deadline(run):
    async def test():
        watched = Watched()
        async with Peer(method=("uu", watched.__call__)) as peer:
            call = peer.uu("method")(b"", timeout=0.2)
            assert 0 < call.time_remaining() <= 0.2
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await soon(call)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            await soon(watched.ended.wait())

    run(test())


def test_deadline_past_already(run):
    async def test():
        async with four_kinds() as peer:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await peer.uu("echo")(b"", timeout=-1)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    run(test())


def test_cancelled_by_the_call(run):
    async def test():
        watched = Watched()
        async with Peer(method=("uu", watched.__call__)) as peer:
            call = peer.uu("method")(b"")
            await soon(watched.begun.wait())
            assert call.cancel() is True
            assert call.cancelled() and call.done()
            assert call.cancel() is False
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await call.code() is grpc.StatusCode.CANCELLED
            assert await call.details() == "Locally cancelled by application!"
            await soon(watched.ended.wait())

    run(test())


def test_cancelled_by_the_task(run):
    async def test():
        watched = Watched()
        async with Peer(method=("uu", watched.__call__)) as peer:
            call = peer.uu("method")(b"")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(call, 0.2)
            assert call.cancelled()
            await soon(watched.ended.wait())

    run(test())


def test_dropped(run):
    async def test():
        watched = Watched()
        async with Peer(method=("uu", watched.__call__)) as peer:
            call = peer.uu("method")(b"")
            await soon(watched.begun.wait())
            del call
            gc.collect()
            await soon(watched.ended.wait())

    run(test())


def test_server_gone(run):
    async def test():
        watched = Watched()
        async with Peer(method=("uu", watched.__call__)) as peer:
            call = peer.uu("method")(b"")
            await soon(watched.begun.wait())
            await peer.server.stop(None)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await soon(call)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    run(test())


def test_nobody_listens(run, unused_port):
    async def test():
        async with grpc.aio.insecure_channel(f"127.0.0.1:{unused_port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await soon(channel.unary_unary("/test/echo")(b""))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "Connection refused" in caught.value.details()

    run(test())


def test_waits_for_a_server(run, unused_port):
    async def test():
        options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.so_reuseport", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{unused_port}", options=options) as channel:
            call = channel.unary_unary("/test/echo")(b"there?", wait_for_ready=True)
            while channel.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                await channel.wait_for_state_change(channel.get_state())
            assert not call.done()
            call.cancel()

    run(test())


def test_a_name(run):
    async def test():
        async with four_kinds() as peer, grpc.aio.insecure_channel(f"dns:///localhost:{peer.port}") as channel:
            assert await soon(channel.unary_unary("/test/echo")(b"by name")) == b"by name"

    run(test())


def test_an_unknown_name(run):
    async def test():
        async with grpc.aio.insecure_channel("nobody.invalid:1") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await soon(channel.unary_unary("/test/echo")(b""))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    run(test())


def test_unix_socket(run, tmp_path):
    async def test():
        server = grpc.aio.server()
        handler = {"echo": grpc.unary_unary_rpc_method_handler(echo)}
        server.add_registered_method_handlers("test", handler)
        assert server.add_insecure_port(f"unix:{tmp_path}/socket") == 1
        await server.start()
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/socket") as channel:
            assert await soon(channel.unary_unary("/test/echo")(b"file")) == b"file"
        await server.stop(None)

    run(test())


def test_too_large(run):
    async def test():
        options = [("grpc.max_receive_message_length", 100)]
        async with Peer(channel_options=options, echo=("uu", echo)) as peer:
            assert await peer.uu("echo")(b"x" * 100) == b"x" * 100
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await soon(peer.uu("echo")(b"x" * 101))
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    run(test())


def fail(_):
    raise ValueError("no")


def test_serializer_that_fails(run):
    async def test():
        async with four_kinds() as peer:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await peer.uu("echo", fail)(b"")
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert caught.value.details() == "Exception serializing request!"

    run(test())


def test_deserializer_that_fails(run):
    async def test():
        async with four_kinds() as peer:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await peer.uu("echo", None, fail)(b"")
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert caught.value.details() == "Exception deserializing response!"

    run(test())


def test_misuse(run):
    async def test():
        async with four_kinds() as peer:
            method = peer.uu("echo")
            with pytest.raises(TypeError):
                method(b"", 1.0)
            with pytest.raises(ValueError):
                method(b"", metadata={"key": "value"})
            with pytest.raises(grpc.aio.UsageError):
                method(b"", credentials=grpc.access_token_call_credentials("token"))
            with pytest.raises(grpc.aio.InternalError):
                await method(b"", metadata=(("key", "é"),))
            with pytest.raises(ValueError):
                await peer.channel.close(-1)
            await peer.channel.close()
            with pytest.raises(grpc.aio.UsageError):
                method(b"")
            assert peer.channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN

    run(test())


def test_channel_closes_with_grace(run):
    async def slow(request, context):
        await asyncio.sleep(0.2)
        return b"done"

    async def test():
        async with Peer(slow=("uu", slow)) as peer:
            call = peer.uu("slow")(b"")
            await peer.channel.close(grace=LONG)
            assert call.done()
            assert await call == b"done"

    run(test())


def test_channel_closes_at_once(run):
    async def test():
        watched = Watched()
        async with Peer(method=("uu", watched.__call__)) as peer:
            call = peer.uu("method")(b"")
            await soon(watched.begun.wait())
            await peer.channel.close()
            with pytest.raises(asyncio.CancelledError):
                await call

    run(test())


def test_compression(run):
    async def test():
        async with four_kinds() as peer:
            for compression in grpc.Compression:
                call = peer.uu("echo")(b"x" * 5000, compression=compression)
                assert await call == b"x" * 5000

    run(test())
