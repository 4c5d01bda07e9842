"""What goes wrong, and what it is called."""

import logging
import pickle

import grpc
import pytest
from peers import LONG


def error_of(call, *arguments, **named):
    named.setdefault("timeout", LONG)
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **named)
    return caught.value


def status_of(call, *arguments, **named):
    error = error_of(call, *arguments, **named)
    return error.code(), error.details()


# The exception itself


@pytest.fixture
def not_found(serve):
    def fail(request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "nf")

    return error_of(serve(fail=("uu", fail)).uu("fail"), b"")


def test_error_is_everything_at_once(not_found):
    assert isinstance(not_found, grpc.Call)
    assert isinstance(not_found, grpc.Future)
    assert type(not_found).__name__ == "_InactiveRpcError"
    assert type(not_found) is grpc._channel._InactiveRpcError
    assert not_found.code() is grpc.StatusCode.NOT_FOUND
    assert not_found.details() == "nf"
    assert not_found.initial_metadata() == ()
    assert not_found.trailing_metadata() == ()
    assert not_found.done()
    assert not not_found.running()
    assert not not_found.cancelled()
    assert not not_found.cancel()
    assert not_found.exception() is not_found
    with pytest.raises(grpc.RpcError):
        not_found.result()
    assert not_found.traceback() is not None
    got = []
    not_found.add_done_callback(got.append)
    assert got == [not_found]


def test_repr(not_found):
    expected = (
        "<_InactiveRpcError of RPC that terminated with:\n\tstatus = StatusCode.NOT_FOUND\n"
        '\tdetails = "nf"\n\tdebug_error_string = "NOT_FOUND:nf"\n>'
    )
    assert repr(not_found) == expected
    assert str(not_found) == expected


@pytest.mark.better_than_grpcio("cannot be unpickled")
def test_error_can_be_pickled(not_found):
    copy = pickle.loads(pickle.dumps(not_found))
    assert copy.code() is grpc.StatusCode.NOT_FOUND
    assert copy.details() == "nf"
    assert repr(copy) == repr(not_found)


def test_error_made_by_hand():
    """As programs' own tests do."""
    state = grpc._channel._RPCState((), (), (), grpc.StatusCode.UNAVAILABLE, "by hand")
    error = grpc._channel._InactiveRpcError(state)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details() == "by hand"


# Handlers


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_code_arrives(serve, code):
    def fail(request, context):
        context.abort(code, "because")

    error = error_of(serve(fail=("uu", fail)).uu("fail"), b"")
    assert error.code() is code
    assert error.details() == "because"
    assert error.debug_error_string() == f"{code.name}:because"


@pytest.mark.parametrize("details", ["", "é ☃ 100%", "two\nlines", "%41", "a" * 2000])
def test_details_arrive_as_they_are(serve, details):
    def fail(request, context):
        context.abort(grpc.StatusCode.ABORTED, details)

    assert status_of(serve(fail=("uu", fail)).uu("fail"), b"") == (grpc.StatusCode.ABORTED, details)


def boom(request, context):
    raise ValueError("boom")


def boom_stream(request, context):
    yield b"one"
    raise ValueError("boom")


def test_handler_raises(serve, caplog):
    peer = serve(fail=("uu", boom))
    expected = (grpc.StatusCode.UNKNOWN, "Exception calling application: boom")
    assert status_of(peer.uu("fail"), b"") == expected
    records = [record for record in caplog.records if record.name == "grpc._server"]
    assert records[0].levelno == logging.ERROR
    assert records[0].exc_info[0] is ValueError
    assert status_of(peer.uu("fail"), b"") == expected


def test_handler_of_request_stream_raises(serve):
    peer = serve(fail=("su", boom))
    expected = (grpc.StatusCode.UNKNOWN, "Exception calling application: boom")
    assert status_of(peer.su("fail"), iter([])) == expected


def test_response_iterator_raises(serve):
    call = serve(fail=("us", boom_stream)).us("fail")(b"", timeout=LONG)
    assert next(call) == b"one"
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() is grpc.StatusCode.UNKNOWN
    assert call.details() == "Exception iterating responses: boom"


def test_streaming_handler_that_is_no_generator_raises(serve):
    expected = (grpc.StatusCode.UNKNOWN, "Exception calling application: boom")
    assert status_of(lambda **named: next(serve(fail=("us", boom)).us("fail")(b"", **named))) == expected


def test_streaming_handler_returns_no_iterator(serve):
    peer = serve(fail=("us", lambda request, context: 5))
    expected = (grpc.StatusCode.UNKNOWN, "Exception iterating responses: 'int' object is not an iterator")
    assert status_of(lambda **named: next(peer.us("fail")(b"", **named))) == expected


def test_handler_raises_after_setting_a_code(serve):
    def fail(request, context):
        context.set_code(grpc.StatusCode.NOT_FOUND)
        raise ValueError("boom")

    def fail_with_details(request, context):
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("mine")
        raise ValueError("boom")

    peer = serve(fail=("uu", fail), details=("uu", fail_with_details))
    assert status_of(peer.uu("fail"), b"") == (
        grpc.StatusCode.NOT_FOUND,
        "Exception calling application: boom",
    )
    assert status_of(peer.uu("details"), b"") == (grpc.StatusCode.NOT_FOUND, "mine")


@pytest.mark.better_than_grpcio("the client gets OK and None")
def test_handler_raises_after_setting_ok(serve):
    def fail(request, context):
        context.set_code(grpc.StatusCode.OK)
        raise ValueError("boom")

    assert status_of(serve(fail=("uu", fail)).uu("fail"), b"")[0] is grpc.StatusCode.UNKNOWN


@pytest.mark.better_than_grpcio("the client waits for its deadline")
@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_handler_raises_what_is_no_exception(serve, exception):
    def fail(request, context):
        raise exception()

    def fail_stream(request, context):
        yield b"1"
        raise exception()

    peer = serve(
        workers=1, fail=("uu", fail), fail_stream=("us", fail_stream), ok=("uu", lambda request, context: request)
    )
    assert status_of(peer.uu("fail"), b"")[0] is grpc.StatusCode.UNKNOWN
    assert status_of(lambda **named: list(peer.us("fail_stream")(b"", **named)))[0] is grpc.StatusCode.UNKNOWN
    assert peer.uu("ok")(b"on", timeout=LONG) == b"on"


def test_handler_raises_what_cannot_be_printed(serve):
    class Unprintable(Exception):
        def __str__(self):
            raise ValueError("no")

    def fail(request, context):
        raise Unprintable()

    assert status_of(serve(fail=("uu", fail)).uu("fail"), b"")[0] is grpc.StatusCode.UNKNOWN


def test_handler_answers_none(serve):
    expected = (grpc.StatusCode.INTERNAL, "Failed to serialize response!")
    assert status_of(serve(none=("uu", lambda request, context: None)).uu("none"), b"") == expected


@pytest.mark.better_than_grpcio("the client waits for its deadline")
def test_handler_answers_no_bytes(serve):
    expected = (grpc.StatusCode.INTERNAL, "Failed to serialize response!")
    peer = serve(text=("uu", lambda request, context: "text"), texts=("us", lambda request, context: iter(["text"])))
    assert status_of(peer.uu("text"), b"") == expected
    assert status_of(lambda **named: next(peer.us("texts")(b"", **named))) == expected


def raising(message):
    raise ValueError("no")


@pytest.mark.parametrize("coder", [raising, lambda message: None])
def test_handlers_serializers_fail(serve, coder):
    peer = serve()
    peer.add("in", grpc.unary_unary_rpc_method_handler(lambda request, context: request, coder))
    peer.add("out", grpc.unary_unary_rpc_method_handler(lambda request, context: request, None, coder))
    peer.add("outs", grpc.unary_stream_rpc_method_handler(lambda request, context: iter([b"1"]), None, coder))
    incoming = (grpc.StatusCode.INTERNAL, "Exception deserializing request!")
    outgoing = (grpc.StatusCode.INTERNAL, "Failed to serialize response!")
    assert status_of(peer.uu("in"), b"") == incoming
    assert status_of(peer.uu("out"), b"") == outgoing
    assert status_of(lambda **named: list(peer.us("outs")(b"", **named))) == outgoing


@pytest.mark.better_than_grpcio("the server cannot be stopped any more")
def test_handlers_request_stream_does_not_parse(serve):
    peer = serve()
    peer.add("in", grpc.stream_unary_rpc_method_handler(lambda requests, context: b"%d" % len(list(requests)), int))
    assert peer.su("in")(iter([b"1", b"2"]), timeout=LONG) == b"2"
    expected = (grpc.StatusCode.INTERNAL, "Exception deserializing request!")
    assert status_of(peer.su("in"), iter([b"1", b"x", b"3"])) == expected


def test_unary_handler_without_a_request(serve):
    """A client may half-close without having sent anything."""
    peer = serve(echo=("uu", lambda request, context: request))
    code, details = status_of(peer.su("echo"), iter([]))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert details == "\"b'/test/echo'\" requires exactly one request message."


def test_unary_method_without_a_response(serve):
    peer = serve(none=("us", lambda request, context: iter([])))
    assert peer.uu("none")(b"", timeout=LONG) is None
    assert peer.uu("none").with_call(b"", timeout=LONG)[0] is None
    assert peer.uu("none").future(b"", timeout=LONG).result() is None
    assert peer.su("none")(iter([b""]), timeout=LONG) is None


@pytest.mark.better_than_grpcio("waits for the deadline")
def test_unary_method_with_two_responses(serve):
    peer = serve(two=("us", lambda request, context: iter([b"1", b"2"])))
    expected = (grpc.StatusCode.UNIMPLEMENTED, "the server sent more than one response message")
    assert status_of(peer.uu("two"), b"") == expected
    assert status_of(peer.uu("two").with_call, b"") == expected
    assert status_of(peer.su("two"), iter([b""])) == expected
    future = peer.uu("two").future(b"", timeout=LONG)
    assert (future.code(), future.details()) == expected


# Methods


def test_unknown_method(peer):
    for path in ("/test/nothing", "/nothing/echo", "/"):
        expected = (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        assert status_of(peer.channel.unary_unary(path), b"") == expected
    assert list(peer.us("count")(b"1")) == [b"0"]


def test_unknown_streaming_method(peer):
    expected = (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
    assert status_of(lambda **named: next(peer.us("nothing")(b"", **named))) == expected
    assert status_of(peer.su("nothing"), iter([b"1"])) == expected


def test_generic_handler_raises(serve):
    class Bad(grpc.GenericRpcHandler):
        def service(self, handler_call_details):
            raise ValueError("no")

    peer = serve()
    peer.server.add_generic_rpc_handlers((Bad(),))
    expected = (grpc.StatusCode.UNKNOWN, "Error in service handler!")
    assert status_of(peer.uu("x"), b"") == expected
    assert status_of(peer.uu("x"), b"") == expected


# The client's own


def test_client_serializer_fails(peer, caplog):
    expected = (grpc.StatusCode.INTERNAL, "Exception serializing request!")
    for coder in (raising, lambda message: None):
        assert status_of(peer.uu("echo", coder), b"") == expected
        assert status_of(peer.uu("echo", coder).with_call, b"") == expected
        assert status_of(peer.uu("echo", coder).future, b"") == expected
        assert status_of(peer.us("count", coder), b"") == expected
        assert status_of(peer.su("sum", coder), iter([b"1"])) == expected
    assert any(record.name == "grpc._common" for record in caplog.records)


def test_client_deserializer_fails(peer):
    expected = (grpc.StatusCode.INTERNAL, "Exception deserializing response!")
    for coder in (raising, lambda message: None):
        assert status_of(peer.uu("echo", None, coder), b"") == expected
        assert status_of(peer.uu("echo", None, coder).with_call, b"") == expected
        assert (
            status_of(lambda coder=coder, **named: peer.uu("echo", None, coder).future(b"", **named).result())
            == expected
        )
        assert status_of(lambda coder=coder, **named: next(peer.us("count", None, coder)(b"1", **named))) == expected
        assert status_of(peer.su("sum", None, coder), iter([b"1"])) == expected
    future = peer.uu("echo", None, raising).future(b"", timeout=LONG)
    assert future.code() is grpc.StatusCode.INTERNAL
    assert not future.cancelled()


def test_request_is_none(peer):
    expected = (grpc.StatusCode.INTERNAL, "Exception serializing request!")
    assert status_of(peer.uu("echo"), None) == expected


@pytest.mark.parametrize(("request_", "name"), [("text", "str"), (bytearray(b"x"), "bytearray"), (5, "int")])
def test_request_is_no_bytes(peer, request_, name):
    for call in (peer.uu("echo"), peer.uu("echo").with_call, peer.uu("echo").future, peer.us("count")):
        with pytest.raises(TypeError) as caught:
            call(request_, timeout=LONG)
        assert str(caught.value) == f"Argument 'message' has incorrect type (expected bytes, got {name})"


@pytest.mark.better_than_grpcio("raises KeyError(None) at the deadline")
def test_streamed_request_is_no_bytes(peer):
    expected = (grpc.StatusCode.INTERNAL, "Exception serializing request!")
    assert status_of(peer.su("sum"), iter(["text"])) == expected


def test_request_iterator_raises(peer, caplog):
    def requests():
        yield b"1"
        raise ValueError("no more")

    expected = (grpc.StatusCode.UNKNOWN, "Exception iterating requests!")
    assert status_of(peer.su("sum"), requests()) == expected
    assert status_of(lambda **named: list(peer.ss("double")(requests(), **named))) == expected
    assert any(record.name == "grpc._channel" for record in caplog.records)


def test_requests_are_no_iterator(peer):
    expected = (grpc.StatusCode.UNKNOWN, "Exception iterating requests!")
    assert status_of(peer.su("sum"), [b"1"]) == expected


def test_call_credentials_on_an_insecure_channel(peer):
    expected = (
        grpc.StatusCode.UNAUTHENTICATED,
        "Established channel does not have a sufficient security level to transfer call credential.",
    )
    credentials = grpc.access_token_call_credentials("token")
    assert status_of(peer.uu("echo"), b"", credentials=credentials) == expected
    assert status_of(peer.uu("echo").with_call, b"", credentials=credentials) == expected
    future = peer.uu("echo").future(b"", credentials=credentials, timeout=LONG)
    assert future.code() is grpc.StatusCode.UNAUTHENTICATED
    call = peer.us("count")(b"1", credentials=credentials, timeout=LONG)
    with pytest.raises(grpc.RpcError):
        next(call)


# Limits


def test_response_over_the_limit(serve):
    peer = serve(
        channel_options=[("grpc.max_receive_message_length", 100)],
        make=("uu", lambda request, context: bytes(int(request))),
    )
    assert len(peer.uu("make")(b"100", timeout=LONG)) == 100
    code, details = status_of(peer.uu("make"), b"101")
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "CLIENT: Received message larger than max (101 vs. 100)" in details
    assert len(peer.uu("make")(b"100", timeout=LONG)) == 100


def test_request_over_the_limit(serve):
    peer = serve(
        server_arguments={"options": [("grpc.max_receive_message_length", 100)]},
        measure=("uu", lambda request, context: b"%d" % len(request)),
    )
    assert peer.uu("measure")(bytes(100), timeout=LONG) == b"100"
    code, details = status_of(peer.uu("measure"), bytes(101))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "SERVER: Received message larger than max (101 vs. 100)" in details
    assert peer.uu("measure")(bytes(100), timeout=LONG) == b"100"


def test_default_limit_is_4_mib(serve):
    peer = serve(measure=("uu", lambda request, context: b"%d" % len(request)))
    assert peer.uu("measure")(bytes(4194304), timeout=LONG) == b"4194304"
    code, details = status_of(peer.uu("measure"), bytes(4194305))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "SERVER: Received message larger than max (4194305 vs. 4194304)" in details


def test_no_limit(serve):
    no_limit = [("grpc.max_receive_message_length", -1)]
    peer = serve(
        channel_options=no_limit,
        server_arguments={"options": no_limit},
        echo=("uu", lambda request, context: request),
    )
    message = bytes(6 * 1024 * 1024)
    assert peer.uu("echo")(message, timeout=LONG) == message


def test_request_over_the_sending_limit(serve):
    peer = serve(channel_options=[("grpc.max_send_message_length", 10)], echo=("uu", lambda request, context: request))
    assert peer.uu("echo")(bytes(10), timeout=LONG) == bytes(10)
    expected = (grpc.StatusCode.RESOURCE_EXHAUSTED, "CLIENT: Sent message larger than max (11 vs. 10)")
    assert status_of(peer.uu("echo"), bytes(11)) == expected


# Connections


def test_nothing_listens(unused_port):
    with grpc.insecure_channel(f"127.0.0.1:{unused_port}") as channel:
        error = error_of(channel.unary_unary("/test/echo"), b"")
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    expected = (
        "failed to connect to all addresses; last error: UNKNOWN: "
        f"ipv4:127.0.0.1:{unused_port}: Failed to connect to remote host: Connection refused"
    )
    assert error.details() == expected
    assert error.debug_error_string() == "UNAVAILABLE:" + expected


def test_nothing_listens_for_the_other_kinds(unused_port):
    with grpc.insecure_channel(f"127.0.0.1:{unused_port}") as channel:
        for call in (
            lambda **named: channel.unary_unary("/test/echo").future(b"", **named).result(),
            lambda **named: next(channel.unary_stream("/test/count")(b"", **named)),
            lambda **named: channel.stream_unary("/test/sum")(iter([]), **named),
            lambda **named: next(channel.stream_stream("/test/double")(iter([]), **named)),
        ):
            assert status_of(call)[0] is grpc.StatusCode.UNAVAILABLE


def test_waiting_for_what_never_listens(unused_port):
    with grpc.insecure_channel(f"127.0.0.1:{unused_port}") as channel:
        error = error_of(channel.unary_unary("/test/echo"), b"", wait_for_ready=True, timeout=0.2)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_no_such_name():
    with grpc.insecure_channel("nothing.invalid:1") as channel:
        code, details = status_of(channel.unary_unary("/test/echo"), b"")
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "nothing.invalid:1" in details


@pytest.mark.parametrize("target", ["ipv4:999.1.1.1:1", "ipv6:nonsense"])
def test_target_that_does_not_parse(target):
    with grpc.insecure_channel(target) as channel:
        code, details = status_of(channel.unary_unary("/test/echo"), b"")
    assert code is grpc.StatusCode.UNKNOWN
    assert details.startswith(f"Failed to create channel to '{target}':the target uri is not valid: ")


@pytest.mark.parametrize("target", [None, 5])
def test_target_is_no_text(target):
    with pytest.raises((AttributeError, TypeError)):
        grpc.insecure_channel(target)


def test_peer_does_not_speak_http2(unused_port):
    """It answers, and in HTTP/1."""
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listener.accept()
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    with grpc.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}") as channel:
        assert status_of(channel.unary_unary("/test/echo"), b"")[0] is grpc.StatusCode.UNAVAILABLE
    listener.close()


def test_server_survives_garbage(peer):
    import socket

    for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100):
        with socket.create_connection(("127.0.0.1", peer.port)) as connection:
            connection.settimeout(LONG)
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionError:
                pass
    assert peer.uu("echo")(b"on", timeout=LONG) == b"on"


# Closed channels


def test_closed_channel(peer):
    peer.channel.close()
    peer.channel.close()
    for call in (
        lambda: peer.uu("echo")(b""),
        lambda: peer.uu("echo").with_call(b""),
        lambda: peer.su("sum")(iter([])),
        lambda: peer.su("sum").with_call(iter([])),
    ):
        with pytest.raises(ValueError, match=r"^Cannot invoke RPC on closed channel!$"):
            call()
    for call in (
        lambda: peer.uu("echo").future(b""),
        lambda: peer.us("count")(b""),
        lambda: peer.su("sum").future(iter([])),
        lambda: peer.ss("double")(iter([])),
    ):
        with pytest.raises(ValueError, match=r"^Cannot invoke RPC: Channel closed!$"):
            call()


def test_channel_as_context_manager(peer):
    with grpc.insecure_channel(peer.address) as channel:
        echo = channel.unary_unary("/test/echo")
        assert echo(b"x") == b"x"
    with pytest.raises(ValueError):
        echo(b"x")


# Options


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"grpc.x": 1}, ValueError),
        ("ab", ValueError),
        ([("grpc.x",)], ValueError),
        ([("grpc.x", 1, 2)], ValueError),
        (5, TypeError),
        ([(5, 1)], TypeError),
        ([("grpc.x", None)], TypeError),
        ([("grpc.x", object())], TypeError),
        ([("grpc.x", 2**40)], OverflowError),
    ],
)
def test_options_that_are_none(options, error):
    from concurrent import futures

    with pytest.raises(error):
        grpc.insecure_channel("localhost:1", options=options)
    with pytest.raises(error):
        grpc.server(futures.ThreadPoolExecutor(1), options=options)


def test_options_that_nobody_knows(serve):
    options = [("grpc.nothing", 1), (b"grpc.bytes", b"x"), ("grpc.true", True), ("grpc.float", 1.5)]
    peer = serve(
        channel_options=options,
        server_arguments={"options": options},
        echo=("uu", lambda request, context: request),
    )
    assert peer.uu("echo")(b"x", timeout=LONG) == b"x"


def test_arguments_of_credentials_are_checked():
    with pytest.raises(TypeError, match="expected certificate to be bytes, got"):
        grpc.ssl_channel_credentials("text")
    with pytest.raises(ValueError):
        grpc.ssl_server_credentials([])
    with pytest.raises(ValueError):
        grpc.ssl_server_credentials([(b"key", b"chain")], require_client_auth=True)
    with pytest.raises(ValueError):
        grpc.ssl_server_certificate_configuration([])
