"""What real programs do with calls of `grpc.aio`, over the four kinds, plain and with an interceptor around them."""

import asyncio
import contextvars
import copy
import gc
import pickle
import re

import grpc
import grpc.aio
import pytest
from aio_peers import Peer, echo, soon
from peers import ON_GRPCIO

KINDS = ("uu", "us", "su", "ss")
#: Those with a stream of responses.
STREAMS = ("us", "ss")
#: Those with a stream of requests.
REQUESTS = ("su", "ss")
MESSAGES = [b"0", b"1", b"2"]
NAMES = {"uu": "unary_unary", "us": "unary_stream", "su": "stream_unary", "ss": "stream_stream"}


def through(kind, seen=None):
    """An interceptor of one kind that changes nothing."""

    async def intercept(self, continuation, details, request):
        if seen is not None:
            seen.append(details.method)
        return await continuation(details, request)

    base = {
        "uu": grpc.aio.UnaryUnaryClientInterceptor,
        "us": grpc.aio.UnaryStreamClientInterceptor,
        "su": grpc.aio.StreamUnaryClientInterceptor,
        "ss": grpc.aio.StreamStreamClientInterceptor,
    }[kind]
    return type("Through", (base,), {"intercept_" + NAMES[kind]: intercept})()


@pytest.fixture(params=["plain", "intercepted"])
def interceptors(request):
    return [] if request.param == "plain" else [through(kind) for kind in KINDS]


def start(channel, kind, requests=None, deserializer=None, **arguments):
    """The call."""
    invoke = getattr(channel, NAMES[kind])("/test/" + kind, None, deserializer)
    argument = b"" if kind not in REQUESTS else requests or iter([b""])
    return invoke(argument, **arguments)


async def responses(call, kind):
    return [response async for response in call] if kind in STREAMS else [await call]


def dropped(address, interceptors):
    """A channel that nobody will hold but its calls."""
    if ON_GRPCIO and interceptors:
        pytest.skip("grpcio: a channel that nobody holds is closed before its interceptors have run")
    return grpc.aio.insecure_channel(address, interceptors=interceptors)


def expected(kind):
    return MESSAGES if kind in STREAMS else [b"ok"]


class Served:
    """A peer with handlers of the four kinds, which answer once the gate is open."""

    def __init__(self, interceptors=(), code=None, gated=False, read=True):
        self.code = code
        self.read = read
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        if not gated:
            self.open.set()
        self.over = asyncio.Event()
        self.peer = Peer(
            interceptors=interceptors,
            echo=("uu", echo),
            uu=("uu", self.one),
            us=("us", self.many),
            su=("su", self.one),
            ss=("ss", self.many),
        )

    async def __aenter__(self):
        await self.peer.__aenter__()
        self.address, self.channel = self.peer.address, self.peer.channel
        return self

    async def __aexit__(self, *_):
        self.open.set()
        await self.peer.__aexit__()

    async def _begin(self, request, context):
        context.add_done_callback(lambda _: self.over.set())
        if not isinstance(request, bytes) and self.read:
            async for _ in request:
                pass
        self.entered.set()
        await self.open.wait()

    async def one(self, request, context):
        await self._begin(request, context)
        if self.code is not None:
            await context.abort(self.code, "moved")
        return b"ok"

    async def many(self, request, context):
        await self._begin(request, context)
        for message in MESSAGES:
            yield message
        if self.code is not None:
            await context.abort(self.code, "moved")

    async def settle(self):
        """Waits until the client has all."""
        await soon(self.over.wait())
        assert await soon(self.peer.uu("echo")(b"x")) == b"x"


# A call outlives the names of its channel and of its stub.


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_outlives_its_channel(run, interceptors, kind):
    async def test():
        async with Served(gated=True) as served:
            call = start(dropped(served.address, interceptors), kind)
            await soon(served.entered.wait())
            gc.collect()
            served.open.set()
            assert await soon(responses(call, kind)) == expected(kind)
            assert await soon(call.code()) is grpc.StatusCode.OK

    run(test())


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_outlives_everybody(run, interceptors, kind):
    """Nothing has a name but what is awaited."""

    async def test():
        async with Served() as served:
            got = responses(start(dropped(served.address, interceptors), kind), kind)
            assert await soon(got) == expected(kind)

    run(test())


@pytest.mark.parametrize("kind", ("uu", "su"))
def test_a_callback_outlives_call_and_channel(run, interceptors, kind):
    async def test():
        async with Served(gated=True) as served:
            called = asyncio.get_running_loop().create_future()
            start(dropped(served.address, interceptors), kind).add_done_callback(called.set_result)
            await soon(served.entered.wait())
            gc.collect()
            served.open.set()
            assert await (await soon(called)).code() is grpc.StatusCode.OK

    run(test())


@pytest.mark.skipif(ON_GRPCIO, reason="looks at what the native module holds")
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_call_closes_its_channel(run, interceptors, kind):
    from farcall import _native

    def channels():
        gc.collect()
        return sum(row[1] == "channel" for row in _native.channelz())

    async def test():
        async with Served() as served:
            floor = channels()
            call = start(dropped(served.address, interceptors), kind)
            assert await soon(responses(call, kind)) == expected(kind)
            assert channels() == floor + 1
            del call

            async def closed():
                while channels() != floor:
                    await asyncio.sleep(0.01)

            await soon(closed())

    run(test())


# The lists of interceptors, which clients of other packages change.


@pytest.mark.parametrize("kind", KINDS)
def test_interceptors_can_be_added_and_replaced(run, kind):
    async def test():
        async with Served() as served:
            seen = []
            channel = served.channel
            name = f"_{NAMES[kind]}_interceptors"
            early = getattr(channel, NAMES[kind])("/test/" + kind)
            lists = [getattr(channel, f"_{other}_interceptors") for other in NAMES.values()]
            assert [type(those) for those in lists] == [list] * 4

            async def call(invoke=None):
                invoke = invoke or getattr(channel, NAMES[kind])("/test/" + kind)
                got = await soon(responses(invoke(b"" if kind not in REQUESTS else iter([b""])), kind))
                assert got == expected(kind)
                return len(seen)

            assert await call() == 0
            getattr(channel, name).append(through(kind, seen))
            assert await call() == 1
            assert await call(early) == 2
            getattr(channel, name).insert(0, through(kind, seen))
            assert await call() == 4
            setattr(channel, name, [])
            assert await call() == 4

    run(test())


# Callbacks.


@pytest.mark.parametrize("code", [None, grpc.StatusCode.UNAVAILABLE])
@pytest.mark.parametrize("kind", STREAMS)
def test_callbacks_wait_for_the_reader(run, interceptors, kind, code):
    async def test():
        async with Served(interceptors, code) as served:
            call = start(served.channel, kind)
            read, at = [], []
            call.add_done_callback(lambda _: at.append(len(read)))
            await soon(call.initial_metadata())
            await served.settle()
            call.add_done_callback(lambda _: at.append(len(read)))
            assert at == []
            assert not call.done()
            try:
                async for response in call:
                    read.append(response)
            except grpc.RpcError as error:
                assert error.code() is code
            assert read == MESSAGES
            assert len(at) == 2
            assert min(at) >= len(MESSAGES) - 1
            assert call.done()

    run(test())


@pytest.mark.parametrize("kind", STREAMS)
def test_callbacks_come_when_the_last_response_is_read(run, interceptors, kind):
    """Nobody asks whether there is another."""

    async def test():
        async with Served(interceptors) as served:
            call = start(served.channel, kind)
            called = asyncio.Event()
            call.add_done_callback(lambda _: called.set())
            for message in MESSAGES:
                assert await soon(call.read()) == message
            await soon(called.wait())

    run(test())


@pytest.mark.parametrize("kind", STREAMS)
def test_cancelling_what_is_left_unread_calls_back(run, interceptors, kind):
    async def test():
        async with Served(interceptors) as served:
            call = start(served.channel, kind)
            called = asyncio.Event()
            call.add_done_callback(lambda _: called.set())
            await soon(call.initial_metadata())
            await served.settle()
            assert call.cancel()
            await soon(called.wait())
            assert call.cancelled()
            assert await call.code() is grpc.StatusCode.CANCELLED

    run(test())


@pytest.mark.parametrize("code", [None, grpc.StatusCode.UNAVAILABLE])
@pytest.mark.parametrize("kind", KINDS)
def test_callbacks_come_before_the_end_is_seen(run, interceptors, kind, code):
    async def test():
        async with Served(interceptors, code) as served:
            call = start(served.channel, kind)
            called = []
            call.add_done_callback(called.append)
            try:
                await soon(responses(call, kind))
            except grpc.RpcError as error:
                assert error.code() is code
            assert called == [call]

    run(test())


#: Whose request it is.
whose = contextvars.ContextVar("whose", default="nobody's")


@pytest.mark.parametrize("kind", KINDS)
def test_callbacks_run_in_the_context_they_were_added_in(run, interceptors, kind):
    async def test():
        async with Served(interceptors) as served:
            seen = {}

            async def request(name):
                whose.set(name)
                call = start(served.channel, kind)
                call.add_done_callback(lambda _: seen.setdefault(name, whose.get()))
                # Another comes later, when it goes out and on.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                call.add_done_callback(lambda _: seen.setdefault(name + " later", whose.get()))
                assert await soon(responses(call, kind)) == expected(kind)

            for name in "abc":
                await asyncio.create_task(request(name))
            await asyncio.gather(*(request(name) for name in "def"))
            assert seen == {name + later: name for name in "abcdef" for later in ("", " later")}

    run(test())


@pytest.mark.better_than_grpcio("the server calls back only when an RPC was cancelled")
@pytest.mark.parametrize("kind", KINDS)
def test_server_callbacks_run_in_the_context_they_were_added_in(run, kind):
    async def test():
        seen = []

        def add(request, context):
            whose.set("the handler's")
            context.add_done_callback(lambda _: seen.append(whose.get()))

        async def one(request, context):
            add(request, context)
            return b"ok"

        async def many(request, context):
            add(request, context)
            for message in MESSAGES:
                yield message

        async with Peer(uu=("uu", one), us=("us", many), su=("su", one), ss=("ss", many)) as peer:
            assert await soon(responses(start(peer.channel, kind), kind)) == expected(kind)

            async def called():
                while not seen:
                    await asyncio.sleep(0.01)

            await soon(called())
            assert seen == ["the handler's"]

    run(test())


# A call that the server ends while requests are still being made.


@pytest.mark.parametrize("code", [None, grpc.StatusCode.UNAVAILABLE])
@pytest.mark.parametrize("kind", REQUESTS)
def test_the_server_ends_a_call_whose_requests_are_being_made(run, interceptors, kind, code):
    async def test():
        stopped = asyncio.Event()

        async def requests():
            try:
                yield b"r"
                await asyncio.get_running_loop().create_future()
            finally:
                stopped.set()

        async with Served(interceptors, code, read=False) as served:
            call = start(served.channel, kind, requests())
            await soon(call.initial_metadata())
            await served.settle()
            got = []
            try:
                if kind == "su":
                    got.append(await soon(call))
                else:
                    async for message in call:
                        got.append(message)
            except grpc.RpcError as error:
                assert error.code() is code
            assert got == ([] if kind == "su" and code else expected(kind))
            assert await soon(call.code()) is (code or grpc.StatusCode.OK)
            if not ON_GRPCIO:
                # There it waits for ever.
                await soon(stopped.wait())

    run(test())


@pytest.mark.better_than_grpcio("the call is cancelled")
@pytest.mark.parametrize("kind", REQUESTS)
def test_the_server_ends_a_call_whose_requests_then_fail(run, interceptors, kind):
    async def test():
        failing = asyncio.Event()

        async def requests():
            yield b"r"
            try:
                await failing.wait()
            finally:
                raise ValueError("too late")

        async with Served(interceptors, read=False) as served:
            call = start(served.channel, kind, requests())
            await soon(call.initial_metadata())
            await served.settle()
            failing.set()
            await asyncio.sleep(0)
            assert await soon(responses(call, kind)) == expected(kind)
            assert await soon(call.code()) is grpc.StatusCode.OK

    run(test())


# One call, one status.


def unreadable(data):
    raise ValueError("unreadable")


@pytest.mark.better_than_grpcio("await raises INTERNAL, code() says OK")
@pytest.mark.parametrize("first", ["await", "code"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_response_that_cannot_be_read_is_the_status_of_its_call(run, interceptors, kind, first):
    async def test():
        async with Served(interceptors) as served:
            call = start(served.channel, kind, deserializer=unreadable)
            if first == "code" and kind not in STREAMS:
                assert await soon(call.code()) is grpc.StatusCode.INTERNAL
            for _ in range(2):
                with pytest.raises(grpc.RpcError) as raised:
                    await soon(responses(call, kind))
                assert raised.value.code() is grpc.StatusCode.INTERNAL
                assert raised.value.details() == await call.details()
            assert await call.code() is grpc.StatusCode.INTERNAL
            assert call.done()
            assert not call.cancelled()

    run(test())


# Errors travel.


async def broken(served, kind):
    call = start(served.channel, kind)
    with pytest.raises(grpc.RpcError) as raised:
        await soon(responses(call, kind))
    return raised.value


@pytest.mark.parametrize("kind", KINDS)
def test_errors_travel(run, interceptors, kind):
    async def test():
        async with Served(interceptors, grpc.StatusCode.UNAVAILABLE) as served:
            error = await broken(served, kind)
            for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
                assert isinstance(other, grpc.aio.AioRpcError)
                assert other.code() is grpc.StatusCode.UNAVAILABLE
                assert other.details() == "moved"
                assert str(other) == str(error)

    run(test())


@pytest.mark.better_than_grpcio("the text becomes the code")
def test_the_class_of_an_error_makes_errors_of_a_text(run):
    async def test():
        async with Served(code=grpc.StatusCode.UNAVAILABLE) as served:
            made = type(await broken(served, "uu"))("another text")
            assert made.code() is grpc.StatusCode.UNKNOWN
            assert made.details() == "another text"
            assert "another text" in str(made)

    run(test())


# Metadata in whatever holds pairs.

PAIRS = [("k", "v"), ("k-bin", b"\x00")]
SHAPES = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "dict_items": lambda pairs: dict(pairs).items(),
    "Metadata": lambda pairs: grpc.aio.Metadata(*pairs),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_metadata_of_any_shape(run, interceptors, kind, shape):
    if ON_GRPCIO and shape not in ("tuple", "Metadata"):
        pytest.skip("grpcio takes tuples")

    async def test():
        seen = []

        async def note(context):
            seen.extend(item for item in context.invocation_metadata() if item[0].startswith("k"))
            await context.send_initial_metadata(SHAPES[shape](PAIRS))
            context.set_trailing_metadata(SHAPES[shape](PAIRS))

        async def one(request, context):
            await note(context)
            return b"ok"

        async def many(request, context):
            await note(context)
            for message in MESSAGES:
                yield message

        handlers = {"uu": ("uu", one), "us": ("us", many), "su": ("su", one), "ss": ("ss", many)}
        async with Peer(interceptors=interceptors, **handlers) as peer:
            call = start(peer.channel, kind, metadata=SHAPES[shape](PAIRS))
            assert await soon(responses(call, kind)) == expected(kind)
            for found in (seen, await call.initial_metadata(), await call.trailing_metadata()):
                assert [tuple(item) for item in found if item[0].startswith("k")] == PAIRS

    run(test())


@pytest.mark.better_than_grpcio("trailing metadata must be a tuple")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_trailing_metadata_of_abort_of_any_shape(run, kind, shape):
    async def test():
        async def abort(request, context):
            await context.abort(grpc.StatusCode.ABORTED, "gone", SHAPES[shape](PAIRS))

        async def many(request, context):
            await abort(request, context)
            yield b""

        async with Peer(uu=("uu", abort), us=("us", many), su=("su", abort), ss=("ss", many)) as peer:
            call = start(peer.channel, kind)
            with pytest.raises(grpc.RpcError) as raised:
                await soon(responses(call, kind))
            assert raised.value.code() is grpc.StatusCode.ABORTED
            found = raised.value.trailing_metadata()
            assert [tuple(item) for item in found if item[0].startswith("k")] == PAIRS

    run(test())


@pytest.mark.parametrize("details", ["moved", "", 'with "quotes"'])
@pytest.mark.parametrize("kind", KINDS)
def test_errors_describe_themselves_as_blocking_ones_do(run, kind, details):
    async def test():
        async def one(request, context):
            await context.abort(grpc.StatusCode.NOT_FOUND, details)

        async def many(request, context):
            await one(request, context)
            yield b""

        async with Peer(uu=("uu", one), us=("us", many), su=("su", one), ss=("ss", many)) as peer:
            call = start(peer.channel, kind)
            with pytest.raises(grpc.RpcError) as raised:
                await soon(responses(call, kind))
            described = f"NOT_FOUND:{details}" if details else "NOT_FOUND"
            assert raised.value.debug_error_string() == await call.debug_error_string() == described

    run(test())


@pytest.mark.better_than_grpcio("says neither")
def test_a_channel_says_where_to_and_in_which_state(run):
    async def test():
        async with Served() as served:
            channel = grpc.aio.insecure_channel(served.address)
            assert f"to '{served.address}', IDLE" in repr(channel)
            assert await soon(responses(start(channel, "uu"), "uu")) == [b"ok"]
            assert f"to '{served.address}', READY" in repr(channel)
            await channel.close()
            assert f"to '{served.address}', SHUTDOWN" in repr(channel)
            return channel, served.address

    channel, address = run(test())
    # Without a loop it has no state.
    assert repr(channel).endswith(f"to '{address}'>")


def test_user_agents_name_each_part_once(run):
    async def test():
        async def see(request, context):
            return dict(context.invocation_metadata())["user-agent"].encode()

        async with Peer(see=("uu", see)) as peer:
            agent = (await soon(peer.uu("see")(b""))).decode()
        assert re.fullmatch(r"grpc-python-asyncio/[\d.]+ (farcall|grpc-c)/[\d.]+ \(.*\)", agent), agent

    run(test())
