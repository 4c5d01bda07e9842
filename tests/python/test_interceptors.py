"""Interceptors, on the client and on the server."""

import collections
import contextvars
import threading

import grpc
import pytest
from peers import LONG


class Everything(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Notes each RPC before and after, whatever its kind."""

    def __init__(self, name, log):
        self.name = name
        self.log = log

    def intercept(self, continuation, client_call_details, request):
        self.log.append(f"{self.name} before {client_call_details.method}")
        call = continuation(client_call_details, request)
        self.log.append(f"{self.name} after")
        return call

    intercept_unary_unary = intercept_unary_stream = intercept
    intercept_stream_unary = intercept_stream_stream = intercept


class Details(
    collections.namedtuple("Details", ("method", "timeout", "metadata", "credentials")), grpc.ClientCallDetails
):
    """Call details as programs make them; some attributes are missing."""


def test_all_kinds_in_order(peer):
    log = []
    channel = grpc.intercept_channel(peer.channel, Everything("outer", log), Everything("inner", log))
    uu, us = channel.unary_unary("/test/echo"), channel.unary_stream("/test/count")
    su, ss = channel.stream_unary("/test/sum"), channel.stream_stream("/test/double")
    calls = [
        ("echo", lambda: uu(b"x", timeout=LONG), b"x"),
        ("echo", lambda: uu.with_call(b"x", timeout=LONG)[0], b"x"),
        ("echo", lambda: uu.future(b"x", timeout=LONG).result(), b"x"),
        ("count", lambda: list(us(b"2", timeout=LONG)), [b"0", b"1"]),
        ("sum", lambda: su(iter([b"1"]), timeout=LONG), b"1"),
        ("sum", lambda: su.with_call(request_iterator=iter([b"1"]), timeout=LONG)[0], b"1"),
        ("sum", lambda: su.future(request_iterator=iter([b"1"]), timeout=LONG).result(), b"1"),
        ("double", lambda: list(ss(request_iterator=iter([b"1"]), timeout=LONG)), [b"2"]),
    ]
    for name, call, expected in calls:
        log.clear()
        assert call() == expected
        assert log == [f"outer before /test/{name}", f"inner before /test/{name}", "inner after", "outer after"]


def test_only_the_kinds_implemented(peer):
    log = []

    class OnlyUnary(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            log.append("unary")
            return continuation(client_call_details, request)

    channel = grpc.intercept_channel(peer.channel, OnlyUnary())
    assert list(channel.unary_stream("/test/count")(b"1", timeout=LONG)) == [b"0"]
    assert log == []
    assert channel.unary_unary("/test/echo")(b"x", timeout=LONG) == b"x"
    assert log == ["unary"]


def test_details_as_given(peer):
    seen = []

    class Look(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            seen.append(client_call_details)
            return continuation(client_call_details, request)

    channel = grpc.intercept_channel(peer.channel, Look())
    metadata = (("k", "v"),)
    channel.unary_unary("/test/echo")(b"x", timeout=LONG, metadata=metadata, wait_for_ready=True)
    (details,) = seen
    assert isinstance(details, grpc.ClientCallDetails)
    assert details.method == "/test/echo"
    assert details.timeout == LONG
    assert details.metadata == metadata
    assert details.credentials is None
    assert details.wait_for_ready is True
    assert details.compression is None


def test_details_changed(serve):
    received = []
    peer = serve(
        one=("uu", lambda request, context: b"one"),
        two=("uu", lambda request, context: (received.extend(context.invocation_metadata()), b"two")[1]),
    )

    class Redirect(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            details = Details("/test/two", LONG, [("added", "1")], None)
            return continuation(details, request)

    channel = grpc.intercept_channel(peer.channel, Redirect())
    assert channel.unary_unary("/test/one")(b"", timeout=0.000001) == b"two"
    assert ("added", "1") in received


def test_request_and_response_changed(peer):
    class Change(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            return Response(continuation(client_call_details, request + b" changed").result() + b" twice")

    class Response:
        def __init__(self, response):
            self.response = response

        def result(self, timeout=None):
            return self.response

    channel = grpc.intercept_channel(peer.channel, Change())
    assert channel.unary_unary("/test/echo")(b"x", timeout=LONG) == b"x changed twice"


def test_continuation_does_not_raise(serve):
    seen = []

    class Look(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            call = continuation(client_call_details, request)
            seen.append(call)
            return call

    def fail(request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "nf")

    channel = grpc.intercept_channel(serve(fail=("uu", fail)).channel, Look())
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test/fail")(b"", timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert seen[0].code() is grpc.StatusCode.NOT_FOUND
    assert isinstance(seen[0], grpc.Call)
    assert isinstance(seen[0], grpc.Future)
    assert seen[0].exception() is seen[0]


def test_retry(serve):
    attempts = []

    def flaky(request, context):
        attempts.append(request)
        if len(attempts) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
        return b"at last"

    class Retry(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            for _ in range(5):
                call = continuation(client_call_details, request)
                if call.code() is not grpc.StatusCode.UNAVAILABLE:
                    return call
            return call

    channel = grpc.intercept_channel(serve(flaky=("uu", flaky)).channel, Retry())
    assert channel.unary_unary("/test/flaky")(b"", timeout=LONG) == b"at last"
    assert len(attempts) == 3


def test_outcome_of_a_blocking_call(peer):
    outcomes = []

    class Look(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            outcomes.append(continuation(client_call_details, request))
            return outcomes[-1]

    channel = grpc.intercept_channel(peer.channel, Look())
    response, call = channel.unary_unary("/test/echo").with_call(b"x", timeout=LONG)
    assert response == b"x"
    (outcome,) = outcomes
    assert call is outcome
    assert outcome.code() is grpc.StatusCode.OK
    assert outcome.details() == ""
    assert outcome.result() == b"x"
    assert outcome.exception() is None
    assert outcome.traceback() is None
    assert outcome.done()
    assert not outcome.running()
    assert not outcome.cancelled()
    assert not outcome.cancel()
    assert not outcome.is_active()
    assert outcome.initial_metadata() == ()
    assert outcome.trailing_metadata() == ()
    got = []
    outcome.add_done_callback(got.append)
    assert got == [outcome]


@pytest.fixture
def broken(peer):
    class Broken(Everything):
        def intercept(self, continuation, client_call_details, request):
            raise KeyError("broken")

        intercept_unary_unary = intercept_unary_stream = intercept
        intercept_stream_unary = intercept_stream_stream = intercept

    return grpc.intercept_channel(peer.channel, Broken("", []))


def test_interceptor_raises(broken):
    with pytest.raises(KeyError):
        broken.unary_unary("/test/echo")(b"", timeout=LONG)
    with pytest.raises(KeyError):
        broken.unary_unary("/test/echo").with_call(b"", timeout=LONG)
    future = broken.unary_unary("/test/echo").future(b"", timeout=LONG)
    stream = broken.unary_stream("/test/count")(b"1", timeout=LONG)
    for call in (future, stream):
        assert isinstance(call, grpc.RpcError)
        assert call.code() is grpc.StatusCode.INTERNAL
        assert call.details() == "Exception raised while intercepting the RPC"
        assert call.done()
        assert isinstance(call.exception(), KeyError)
        assert call.traceback() is not None
        with pytest.raises(KeyError):
            call.result()
        with pytest.raises(KeyError):
            next(call)


def test_what_is_no_interceptor(peer):
    with pytest.raises(TypeError, match=r"interceptor must be grpc\.UnaryUnaryClientInterceptor or"):
        grpc.intercept_channel(peer.channel, object())


def test_no_interceptors(peer):
    assert grpc.intercept_channel(peer.channel) is peer.channel


def test_intercepted_channel_is_a_channel(peer):
    with grpc.intercept_channel(peer.channel, Everything("", [])) as channel:
        assert isinstance(channel, grpc.Channel)
        grpc.channel_ready_future(channel).result(timeout=LONG)
    with pytest.raises(ValueError):
        peer.uu("echo")(b"")


# On the server


class Noting(grpc.ServerInterceptor):
    def __init__(self, name, log):
        self.name = name
        self.log = log

    def intercept_service(self, continuation, handler_call_details):
        self.log.append((self.name, handler_call_details.method))
        return continuation(handler_call_details)


def test_server_interceptors_in_order(serve):
    log = []
    peer = serve(
        server_arguments={"interceptors": (Noting("outer", log), Noting("inner", log))},
        echo=("uu", lambda request, context: request),
    )
    assert peer.uu("echo")(b"x", timeout=LONG) == b"x"
    assert log == [("outer", "/test/echo"), ("inner", "/test/echo")]


def test_server_interceptor_sees_unknown_methods(serve):
    log = []
    peer = serve(server_arguments={"interceptors": (Noting("it", log),)})
    with pytest.raises(grpc.RpcError) as caught:
        peer.uu("nothing")(b"", timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert log == [("it", "/test/nothing")]


def test_server_interceptor_sees_registered_methods(serve):
    log = []
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"registered")
    peer = serve(server_arguments={"interceptors": (Noting("it", log),)}, registered={"registered": handler})
    assert peer.uu("registered")(b"", timeout=LONG) == b"registered"
    assert log == [("it", "/test/registered")]


def test_server_interceptor_answers_itself(serve):
    class Refuse(grpc.ServerInterceptor):
        def intercept_service(self, continuation, handler_call_details):
            if ("token", "secret") in handler_call_details.invocation_metadata:
                return continuation(handler_call_details)
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
            )

    peer = serve(server_arguments={"interceptors": (Refuse(),)}, echo=("uu", lambda request, context: request))
    assert peer.uu("echo")(b"x", metadata=[("token", "secret")], timeout=LONG) == b"x"
    with pytest.raises(grpc.RpcError) as caught:
        peer.uu("echo")(b"x", timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_server_interceptor_wraps_the_handler(serve):
    class Wrap(grpc.ServerInterceptor):
        def intercept_service(self, continuation, handler_call_details):
            handler = continuation(handler_call_details)
            return handler and handler._replace(
                unary_unary=lambda request, context: handler.unary_unary(request, context) + b" wrapped"
            )

    peer = serve(server_arguments={"interceptors": (Wrap(),)}, echo=("uu", lambda request, context: request))
    assert peer.uu("echo")(b"x", timeout=LONG) == b"x wrapped"


def test_server_interceptor_raises(serve):
    class Broken(grpc.ServerInterceptor):
        def intercept_service(self, continuation, handler_call_details):
            raise ValueError("broken")

    peer = serve(server_arguments={"interceptors": (Broken(),)}, echo=("uu", lambda request, context: request))
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            peer.uu("echo")(b"x", timeout=LONG)
        assert caught.value.code() is grpc.StatusCode.UNKNOWN
        assert caught.value.details() == "Error in service handler!"


def test_context_variables_reach_the_handler(serve):
    variable = contextvars.ContextVar("variable", default=b"unset")

    class Set(grpc.ServerInterceptor):
        def intercept_service(self, continuation, handler_call_details):
            assert variable.get() == b"unset"
            variable.set(b"set by the interceptor")
            return continuation(handler_call_details)

    peer = serve(server_arguments={"interceptors": (Set(),)}, look=("uu", lambda request, context: variable.get()))
    for _ in range(3):
        assert peer.uu("look")(b"", timeout=LONG) == b"set by the interceptor"


def test_server_interceptors_run_outside_the_pool(serve):
    threads = []

    class Note(grpc.ServerInterceptor):
        def intercept_service(self, continuation, handler_call_details):
            threads.append(threading.current_thread())
            return continuation(handler_call_details)

    def handler(request, context):
        threads.append(threading.current_thread())
        return request

    peer = serve(server_arguments={"interceptors": (Note(),)}, note=("uu", handler))
    peer.uu("note")(b"", timeout=LONG)
    assert threads[0] is not threads[1]
