"""One request, one response, and the caller waits."""

import threading

import grpc
import pytest
from peers import LONG


def test_response_comes_back(peer):
    assert peer.uu("echo")(b"hello") == b"hello"


def test_empty_message(peer):
    assert peer.uu("echo")(b"") == b""


def test_large_message(peer):
    message = bytes(range(256)) * 8192  # 2 MiB
    assert peer.uu("echo")(message) == message


def test_with_call_gives_response_and_call(peer):
    response, call = peer.uu("echo").with_call(b"hello", timeout=LONG)
    assert response == b"hello"
    assert isinstance(call, grpc.Call)
    assert isinstance(call, grpc.Future)
    assert call.code() is grpc.StatusCode.OK
    assert call.details() == ""
    assert call.initial_metadata() == ()
    assert call.trailing_metadata() == ()
    assert call.debug_error_string() == ""
    assert call.done()
    assert not call.is_active()
    assert not call.running()
    assert not call.cancelled()
    assert call.cancel() is False
    assert call.result() == b"hello"
    assert call.exception() is None
    assert call.traceback() is None
    assert call.add_callback(lambda: None) is False


def test_serializers_are_used(serve):
    peer = serve(echo=("uu", lambda request, context: request))
    call = peer.uu("echo", lambda number: b"%d" % number, int)
    assert call(41) == 41


def test_handler_serializers_are_used(serve):
    peer = serve()
    peer.add("next", grpc.unary_unary_rpc_method_handler(lambda number, context: number + 1, int, lambda n: b"%d" % n))
    assert peer.uu("next")(b"41") == b"42"


def test_many_calls_one_channel(peer):
    echo = peer.uu("echo")
    for number in range(500):
        message = b"%d" % number
        assert echo(message) == message


def test_many_threads_one_channel(peer):
    echo = peer.uu("echo")
    wrong = []

    def call(thread):
        for number in range(50):
            message = b"%d %d" % (thread, number)
            if echo(message, timeout=LONG) != message:
                wrong.append(message)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert wrong == []


def test_two_channels_to_one_server(peer):
    with grpc.insecure_channel(peer.address) as other:
        assert other.unary_unary("/test/echo")(b"other") == b"other"
    assert peer.uu("echo")(b"first") == b"first"


def test_arguments_by_name(peer):
    response = peer.uu("echo")(
        request=b"x",
        timeout=LONG,
        metadata=(("k", "v"),),
        credentials=None,
        wait_for_ready=True,
        compression=None,
    )
    assert response == b"x"


def test_method_as_bytes(peer):
    assert peer.channel.unary_unary(b"/test/echo")(b"x") == b"x"


def test_call_outlives_channel_reference(peer):
    echo = grpc.insecure_channel(peer.address).unary_unary("/test/echo")
    assert echo(b"still") == b"still"


def test_no_compression_is_accepted(peer):
    assert peer.uu("echo")(b"x", compression=grpc.Compression.NoCompression) == b"x"


@pytest.mark.parametrize("target", ["ipv4:{}", "dns:///{}", "{}"])
def test_targets(peer, target):
    with grpc.insecure_channel(target.format(peer.address)) as channel:
        assert channel.unary_unary("/test/echo")(b"x", timeout=LONG) == b"x"


def test_unix_socket(peer, tmp_path):
    address = f"unix:{tmp_path}/socket"
    server = grpc.server(peer.pool)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "test", {"peer": grpc.unary_unary_rpc_method_handler(lambda request, context: context.peer().encode())}
            ),
        )
    )
    assert server.add_insecure_port(address) == 1
    server.start()
    with grpc.insecure_channel(address) as channel:
        assert channel.unary_unary("/test/peer")(b"", timeout=LONG).startswith(b"unix:")
    server.stop(None)


def test_ipv6(peer):
    server = grpc.server(peer.pool)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "test", {"peer": grpc.unary_unary_rpc_method_handler(lambda request, context: context.peer().encode())}
            ),
        )
    )
    try:
        port = server.add_insecure_port("[::1]:0")
    except RuntimeError:
        pytest.skip("no IPv6 here")
    server.start()
    with grpc.insecure_channel(f"[::1]:{port}") as channel:
        assert channel.unary_unary("/test/peer")(b"", timeout=LONG).startswith(b"ipv6:%5B::1%5D:")
    server.stop(None)
