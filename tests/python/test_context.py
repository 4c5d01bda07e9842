"""What a handler can ask and tell its context."""

import threading

import grpc
import pytest
from peers import LONG


def run(serve, handler, kind="uu"):
    """Calls a handler once; the response (or the error) and what the handler left in `notes`."""
    peer = serve(handler=(kind, handler))
    try:
        return peer.uu("handler").with_call(b"request", timeout=LONG)
    except grpc.RpcError as error:
        return None, error


def test_what_is_known_at_the_start(serve):
    notes = {}

    def handler(request, context):
        notes.update(
            code=context.code(),
            details=context.details(),
            trailing=context.trailing_metadata(),
            peer=context.peer(),
            identities=context.peer_identities(),
            identity_key=context.peer_identity_key(),
            auth=context.auth_context(),
            active=context.is_active(),
            context=isinstance(context, grpc.ServicerContext),
            metadata=context.invocation_metadata(),
        )
        return request

    run(serve, handler)
    address, _, port = notes.pop("peer").rpartition(":")
    assert address == "ipv4:127.0.0.1"
    assert int(port) > 0
    assert [pair.key for pair in notes.pop("metadata")] == ["user-agent"]
    assert notes == {
        "code": None,
        "details": None,
        "trailing": None,
        "identities": None,
        "identity_key": None,
        "auth": {"transport_security_type": [b"insecure"], "security_level": [b"TSI_SECURITY_NONE"]},
        "active": True,
        "context": True,
    }


def test_what_interceptors_of_packages_read_of_it(serve):
    """grpcio's own record of the RPC, which is private and where py-grpc-prometheus and its kin find the code."""
    notes = []

    def handler(request, context):
        notes.append((context._state.client, context._state.code, context._state.details))
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("gone")
        notes.append((context._state.client, context._state.code, context._state.details))
        return request

    run(serve, handler)
    # grpcio writes down what the client does on another thread.
    assert [client in ("open", "closed") for client, _, _ in notes] == [True, True]
    assert [rest for _, *rest in notes] == [[None, None], [grpc.StatusCode.NOT_FOUND, b"gone"]]


def test_code_and_details(serve):
    notes = []

    def handler(request, context):
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("é")
        notes.extend([context.code(), context.details()])
        return request

    _, error = run(serve, handler)
    assert notes == [grpc.StatusCode.NOT_FOUND, "é".encode()]
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "é"


def test_details_as_bytes(serve):
    def handler(request, context):
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("é".encode())
        return request

    assert run(serve, handler)[1].details() == "é"


def test_details_of_ok_do_not_arrive(serve):
    def handler(request, context):
        context.set_code(grpc.StatusCode.OK)
        context.set_details("fine")
        return request

    response, call = run(serve, handler)
    assert response == b"request"
    assert call.code() is grpc.StatusCode.OK
    assert call.details() == ""


def test_code_alone(serve):
    def handler(request, context):
        context.set_code(grpc.StatusCode.DATA_LOSS)
        return request

    _, error = run(serve, handler)
    assert error.code() is grpc.StatusCode.DATA_LOSS
    assert error.details() == ""
    assert error.debug_error_string() == "DATA_LOSS"


@pytest.mark.parametrize("code", [5, "NOT_FOUND", object()])
def test_what_is_no_code_is_unknown(serve, code):
    def handler(request, context):
        context.set_code(code)
        context.set_details("d")
        return request

    _, error = run(serve, handler)
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == "d"


def test_abort_raises_a_bare_exception(serve):
    raised = []

    def handler(request, context):
        try:
            context.abort(grpc.StatusCode.NOT_FOUND, "gone")
        except Exception as error:
            raised.append(error)
            raise

    _, error = run(serve, handler)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "gone"
    assert type(raised[0]) is Exception
    assert raised[0].args == ()


def test_abort_is_not_logged(serve, caplog):
    def handler(request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    run(serve, handler)
    assert [record for record in caplog.records if record.name.startswith("grpc")] == []


def test_abort_that_is_swallowed(serve):
    def handler(request, context):
        try:
            context.abort(grpc.StatusCode.NOT_FOUND, "gone")
        except Exception:
            pass
        return request

    _, error = run(serve, handler)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "gone"


def test_abort_with_ok(serve, caplog):
    def handler(request, context):
        context.abort(grpc.StatusCode.OK, "fine")

    _, error = run(serve, handler)
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == ""
    assert any(record.name == "grpc._server" for record in caplog.records)


def test_abort_with_what_is_no_code(serve):
    def handler(request, context):
        context.abort(5, "details")

    _, error = run(serve, handler)
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == "details"


def test_abort_keeps_trailing_metadata(serve):
    def handler(request, context):
        context.set_trailing_metadata([("k", "v")])
        context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    assert run(serve, handler)[1].trailing_metadata() == (("k", "v"),)


def test_abort_with_status(serve):
    class Status(grpc.Status):
        code = grpc.StatusCode.ALREADY_EXISTS
        details = "there"
        trailing_metadata = (("k", "v"), ("k-bin", b"\x00"))

    def handler(request, context):
        context.abort_with_status(Status())

    _, error = run(serve, handler)
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert error.details() == "there"
    assert error.trailing_metadata() == (("k", "v"), ("k-bin", b"\x00"))


def test_abort_in_a_stream(serve):
    def handler(request, context):
        yield b"1"
        context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    call = serve(handler=("us", handler)).us("handler")(b"", timeout=LONG)
    assert next(call) == b"1"
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.details() == "gone"


def test_callback_at_the_end(serve):
    over = threading.Event()
    threads = []

    def handler(request, context):
        assert context.add_callback(lambda: threads.append(threading.current_thread())) is True
        assert context.add_callback(over.set) is True
        return request

    run(serve, handler)
    assert over.wait(LONG)
    assert threads[0] is not threading.main_thread()


def test_callback_that_raises(serve):
    over = threading.Event()

    def bad():
        raise ValueError("in a callback")

    def handler(request, context):
        context.add_callback(bad)
        context.add_callback(over.set)
        return request

    assert run(serve, handler)[0] == b"request"
    assert over.wait(LONG)


def test_context_after_the_end(serve):
    contexts = []
    over = threading.Event()

    def handler(request, context):
        contexts.append(context)
        context.add_callback(over.set)
        return request

    run(serve, handler)
    assert over.wait(LONG)
    assert not contexts[0].is_active()
    assert contexts[0].add_callback(lambda: None) is False
    contexts[0].cancel()


def test_compression_that_changes_nothing(serve):
    def handler(request, context):
        context.set_compression(grpc.Compression.NoCompression)
        context.disable_next_message_compression()
        return request

    assert run(serve, handler)[0] == b"request"


def test_context_variables_do_not_leak(serve):
    """Each RPC begins with none set, on whichever thread of the pool."""
    import contextvars

    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("by the test")
    seen = []

    def handler(request, context):
        seen.append(variable.get())
        variable.set("by a handler")
        return request

    peer = serve(workers=1, handler=("uu", handler))
    peer.uu("handler")(b"", timeout=LONG)
    peer.uu("handler")(b"", timeout=LONG)
    assert seen == ["unset", "unset"]


def test_requests_after_the_answer(serve):
    """Another thread may still hold the request iterator; it just ends."""
    taken = []
    go_on = threading.Event()
    ended = threading.Event()

    def handler(requests, context):
        def read():
            assert go_on.wait(LONG)
            try:
                taken.extend(requests)
            except grpc.RpcError:
                pass
            ended.set()

        threading.Thread(target=read, daemon=True).start()
        return b"early"

    peer = serve(handler=("su", handler))
    assert peer.su("handler")(iter([b"1"]), timeout=LONG) == b"early"
    go_on.set()
    assert ended.wait(LONG)
