"""Servers on asyncio: kinds of handlers, contexts, interceptors, and how they stop."""

import asyncio
import contextvars
import gc
import threading
from concurrent import futures

import grpc
import grpc.aio
import pytest
from aio_peers import LONG, Peer, Watched, echo, soon


async def raised(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await soon(call)
    return caught.value.code(), caught.value.details()


def plain(request, context):
    assert threading.current_thread() is not threading.main_thread()
    return request * 2


def plain_generator(request, context):
    for byte in request:
        yield bytes([byte])


def plain_sum(requests, context):
    return b"".join(requests)


def plain_stream(requests, context):
    for request in requests:
        yield request + b"!"


@pytest.mark.parametrize("own_pool", [True, False])
def test_plain_functions(run, own_pool):
    async def test():
        pool = futures.ThreadPoolExecutor(max_workers=4) if own_pool else None
        handlers = {
            "uu": ("uu", plain),
            "us": ("us", plain_generator),
            "su": ("su", plain_sum),
            "ss": ("ss", plain_stream),
        }
        async with Peer(server_arguments={"migration_thread_pool": pool}, **handlers) as peer:
            assert await soon(peer.uu("uu")(b"ab")) == b"abab"
            assert [response async for response in peer.us("us")(b"ab")] == [b"a", b"b"]
            assert await soon(peer.su("su")([b"a", b"b"])) == b"ab"
            assert [response async for response in peer.ss("ss")([b"a", b"b"])] == [b"a!", b"b!"]

    run(test())


def test_context_of_plain_functions(run):
    def method(request, context):
        assert dict(context.invocation_metadata())["key"] == "value"
        assert context.peer().startswith("ipv4:127.0.0.1:")
        assert 0 < context.time_remaining() <= LONG
        context.send_initial_metadata((("initial", "1"),))
        context.set_trailing_metadata((("trailing", "2"),))
        context.abort(grpc.StatusCode.ABORTED, "plainly")

    async def test():
        async with Peer(method=("uu", method)) as peer:
            call = peer.uu("method")(b"", timeout=LONG, metadata=(("key", "value"),))
            assert await call.initial_metadata() == grpc.aio.Metadata(("initial", "1"))
            assert await raised(call) == (grpc.StatusCode.ABORTED, "plainly")
            assert await call.trailing_metadata() == grpc.aio.Metadata(("trailing", "2"))

    run(test())


class Callable:
    async def __call__(self, request, context):
        return b"called"


def test_objects_that_are_called(run):
    async def test():
        async with Peer(method=("uu", Callable())) as peer:
            assert await peer.uu("method")(b"") == b"called"

    run(test())


def test_context(run):
    async def method(request, context):
        assert context.peer().startswith("ipv4:127.0.0.1:")
        assert context.peer_identities() is None
        assert context.auth_context() == {
            "transport_security_type": [b"insecure"],
            "security_level": [b"TSI_SECURITY_NONE"],
        }
        assert context.time_remaining() is None
        assert context.code() is None and context.details() == "" and context.trailing_metadata() == ()
        assert not context.done() and not context.cancelled()
        context.set_code(grpc.StatusCode.ALREADY_EXISTS)
        context.set_details("twice")
        assert context.code() is grpc.StatusCode.ALREADY_EXISTS and context.details() == "twice"
        with pytest.raises(TypeError):
            context.set_trailing_metadata({"key": "value"})
        await context.send_initial_metadata(())
        with pytest.raises(grpc.aio.UsageError):
            await context.send_initial_metadata(())
        with pytest.raises(RuntimeError):
            context.set_compression(grpc.Compression.Gzip)
        return b""

    async def test():
        async with Peer(method=("uu", method)) as peer:
            assert await raised(peer.uu("method")(b"")) == (grpc.StatusCode.ALREADY_EXISTS, "twice")

    run(test())


def test_done_callbacks(run):
    async def test():
        done = asyncio.get_running_loop().create_future()

        async def method(request, context):
            context.add_done_callback(done.set_result)
            return b""

        async with Peer(method=("uu", method)) as peer:
            await peer.uu("method")(b"")
            assert (await soon(done)).done()

    run(test())


def test_abort(run):
    async def swallowing(request, context):
        try:
            await context.abort(grpc.StatusCode.DATA_LOSS, "gone")
        except grpc.aio.AbortError:
            with pytest.raises(grpc.aio.UsageError):
                await context.abort(grpc.StatusCode.OK)
        return b"anything"

    async def test():
        async with Peer(method=("uu", swallowing)) as peer:
            assert await raised(peer.uu("method")(b"")) == (grpc.StatusCode.DATA_LOSS, "gone")

    run(test())


class Stranger(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError("boom"), Stranger("boom")])
def test_handlers_that_raise(run, error):
    async def method(request, context):
        raise error

    async def test():
        async with Peer(method=("uu", method), echo=("uu", echo)) as peer:
            code, details = await raised(peer.uu("method")(b""))
            assert code is grpc.StatusCode.UNKNOWN
            assert details == f"Unexpected {type(error)}: boom"
            assert await peer.uu("echo")(b"still here") == b"still here"

    run(test())


@pytest.mark.parametrize("response", [None, 5, "text"])
def test_wrong_responses(run, response):
    async def method(request, context):
        return response

    async def test():
        async with Peer(method=("uu", method)) as peer:
            if response is None:
                assert await peer.uu("method")(b"") == b""
            else:
                assert (await raised(peer.uu("method")(b"")))[0] is grpc.StatusCode.UNKNOWN

    run(test())


def test_a_handler_that_ignores_its_cancellation(run):
    async def test():
        ended = asyncio.Event()

        async def stubborn(request, context):
            begun.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                pass
            ended.set()
            yield b"too late"

        begun = asyncio.Event()
        async with Peer(method=("us", stubborn), echo=("uu", echo)) as peer:
            call = peer.us("method")(b"")
            await soon(begun.wait())
            call.cancel()
            await soon(ended.wait())
            assert await peer.uu("echo")(b"fine") == b"fine"

    run(test())


def test_maximum_of_concurrent_rpcs(run):
    async def test():
        watched = Watched()
        arguments = {"maximum_concurrent_rpcs": 1}
        async with Peer(server_arguments=arguments, method=("uu", watched.__call__), echo=("uu", echo)) as peer:
            call = peer.uu("method")(b"")
            await soon(watched.begun.wait())
            code, details = await raised(peer.uu("echo")(b""))
            assert (code, details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
            assert (await raised(peer.uu("nothing")(b"")))[0] is grpc.StatusCode.UNIMPLEMENTED
            call.cancel()
            await soon(watched.ended.wait())
            assert await peer.uu("echo")(b"again") == b"again"

    run(test())


WHO = contextvars.ContextVar("WHO", default="nobody")


class Naming(grpc.aio.ServerInterceptor):
    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    async def intercept_service(self, continuation, handler_call_details):
        self.seen.append((self.name, handler_call_details.method))
        WHO.set(self.name)
        return await continuation(handler_call_details)


def test_interceptors(run):
    async def who(request, context):
        return WHO.get().encode()

    async def test():
        seen = []
        interceptors = [Naming("outer", seen), Naming("inner", seen)]
        async with Peer(server_arguments={"interceptors": interceptors}, who=("uu", who)) as peer:
            assert await peer.uu("who")(b"") == b"inner"
            assert seen == [("outer", "/test/who"), ("inner", "/test/who")]
        with pytest.raises(ValueError):
            grpc.aio.server(interceptors=[object()])

    run(test())


def test_context_variables_do_not_leak_into_the_next_rpc(run):
    async def who(request, context):
        before = WHO.get()
        WHO.set("somebody")
        return before.encode()

    async def test():
        async with Peer(who=("uu", who)) as peer:
            for _ in range(50):
                assert await peer.uu("who")(b"") == b"nobody"

    run(test())


def test_each_rpc_has_a_task_of_its_own(run):
    async def test():
        tasks = []

        async def method(request, context):
            tasks.append(asyncio.current_task())
            return b""

        async with Peer(method=("uu", method)) as peer:
            for _ in range(40):
                await peer.uu("method")(b"")
        assert len(set(tasks)) == 40

    run(test())


def test_stop_waits_for_rpcs(run):
    async def slow(request, context):
        begun.set()
        await asyncio.sleep(0.2)
        return b"done"

    async def test():
        global begun
        begun = asyncio.Event()
        async with Peer(slow=("uu", slow)) as peer:
            call = peer.uu("slow")(b"")
            await soon(begun.wait())
            stopping = asyncio.ensure_future(peer.server.stop(LONG))
            await soon(peer.channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
            assert (await raised(peer.uu("slow")(b"")))[0] is grpc.StatusCode.UNAVAILABLE
            assert await soon(call) == b"done"
            await soon(stopping)
            assert await peer.server.wait_for_termination() is False

    run(test())


def test_stop_does_not_wait_for_ever(run):
    async def test():
        watched = Watched()
        async with Peer(method=("uu", watched.__call__)) as peer:
            call = peer.uu("method")(b"")
            await soon(watched.begun.wait())
            assert await peer.server.wait_for_termination(0.05) is True
            await soon(peer.server.stop(0.1))
            assert (await raised(call))[0] is grpc.StatusCode.UNAVAILABLE
            await soon(watched.ended.wait())
            with pytest.raises(grpc.aio.UsageError):
                await peer.server.start()

    run(test())


def test_no_task_is_left_after_stop(run):
    async def test():
        before = asyncio.all_tasks()
        async with Peer(echo=("uu", echo)) as peer:
            await asyncio.gather(*[peer.uu("echo")(b"") for _ in range(50)])
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    run(test())


def test_dropped_server(run):
    async def test():
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert (await raised(channel.unary_unary("/no/method")(b"")))[0] is grpc.StatusCode.UNIMPLEMENTED
            del server
            gc.collect()
            assert (await raised(channel.unary_unary("/no/method")(b"")))[0] is grpc.StatusCode.UNAVAILABLE

    run(test())


def test_ports(run):
    async def test():
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        port = server.add_insecure_port("127.0.0.1:0")
        with pytest.raises(RuntimeError):
            server.add_insecure_port(f"127.0.0.1:{port}")
        with pytest.raises(RuntimeError):
            server.add_insecure_port("ipv4:127.0.0.1:0")
        await server.stop(None)
        with pytest.raises(ValueError):
            grpc.aio.server(maximum_concurrent_rpcs=0)

    run(test())
