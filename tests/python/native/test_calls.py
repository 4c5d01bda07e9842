"""Calls of the four kinds, how they end, and what they carry."""

from __future__ import annotations

import threading
import time

import pytest
from echo import Echo
from farcall import _native


def status(answer: object) -> tuple[int, str]:
    assert isinstance(answer, _native.ClientCall)
    ended = answer.status()
    assert ended is not None
    return ended[0], ended[1]


def everything(call: _native.ClientCall) -> list[bytes]:
    messages = []
    while (message := call.receive()) is not None:
        messages.append(message)
    return messages


@pytest.mark.parametrize("size", [0, 1, 100, 16 << 10, 64 << 10, 1 << 20, 4 << 20])
def test_unary_of_any_size(channel: _native.Channel, size: int) -> None:
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert channel.unary("/unary", message, None, 20, None) == message


def test_one_byte_more_than_a_message_may_have_is_refused(channel: _native.Channel) -> None:
    answer = channel.unary("/unary", bytes((4 << 20) + 1), None, 20, None)
    assert status(answer) == (8, "SERVER: Received message larger than max (4194305 vs. 4194304)")


def test_streams_of_responses(channel: _native.Channel) -> None:
    call = channel.start_unary("/count", b"5000", None, 20, None)
    assert everything(call) == [b"%d" % number for number in range(5000)]
    assert status(call) == (0, "")
    assert call.receive() is None


def test_streams_of_requests(channel: _native.Channel) -> None:
    call = channel.start_call("/join", None, 20, None)
    parts = [bytes([number % 256]) * number for number in range(500)]
    assert all(call.send(part) for part in parts)
    call.half_close()
    assert everything(call) == [b"".join(parts)]
    assert status(call) == (0, "")


def test_streams_of_both(channel: _native.Channel) -> None:
    call = channel.start_call("/chat", None, 20, None)
    for number in range(200):
        assert call.send(b"%d" % number)
        assert call.receive() == b"%d" % number
    call.half_close()
    assert call.receive() is None
    assert status(call) == (0, "")


def test_metadata_goes_both_ways(channel: _native.Channel) -> None:
    call = channel.start_unary("/metadata", b"", [("key", "a value"), ("key-bin", b"\x00\xff")], 20, None)
    assert call.receive() == b"[('key', 'a value'), ('key-bin', b'\\x00\\xff')]"
    assert call.initial_metadata() == (("first", "1"), ("first-bin", b"\xfe"))
    assert call.initial_metadata()[0].key == "first"
    assert call.wait(20)
    assert call.status() == (0, "", (("last", "2"),), True)


def test_an_error_carries_details_and_trailers(channel: _native.Channel) -> None:
    call = channel.unary("/fail", b"", None, 20, None)
    assert isinstance(call, _native.ClientCall)
    assert call.status() == (5, "nothing here ☃", (("why", "because"), ("why-bin", b"\x00\xff")), True)
    assert call.initial_metadata() == ()


def test_an_unknown_method(channel: _native.Channel) -> None:
    assert status(channel.unary("/nope", b"", None, 20, None)) == (12, "Method not found!")


def test_metadata_that_may_not_be_sent(channel: _native.Channel) -> None:
    for pairs in [("Upper", "x")], [("k", "a\nb")], [("", "x")]:
        assert status(channel.unary("/unary", b"", pairs, 20, None)) == (13, "Invalid metadata")
    with pytest.raises(TypeError, match='Binary metadata key="k-bin" expected bytes'):
        channel.unary("/unary", b"", [("k-bin", "text")], 20, None)


@pytest.mark.parametrize("timeout", [0.1, 0.0, -1.0, float("nan")])
def test_a_deadline_ends_a_call(channel: _native.Channel, timeout: float) -> None:
    code, details = status(channel.unary("/slow", b"1", None, timeout, None))
    assert code == 4
    assert "Deadline Exceeded" in details or "RST_STREAM" in details


@pytest.mark.parametrize("timeout", [1e9, 1e300, float("inf"), None])
def test_a_deadline_too_far_to_count_is_none(channel: _native.Channel, timeout: float | None) -> None:
    assert channel.unary("/unary", b"x", None, timeout, None) == b"x"


def test_the_deadline_of_a_call_that_nobody_waits_for(channel: _native.Channel) -> None:
    ended = threading.Event()
    call = channel.start_unary("/slow", b"2", None, 0.2, None)
    assert call.add_done_callback(ended.set)
    assert ended.wait(20)
    assert status(call)[0] == 4
    assert call.time_remaining() is not None


def test_cancel_ends_a_call_on_both_sides(echo: Echo, channel: _native.Channel) -> None:
    call = channel.start_call("/hang", None, None, None)
    assert call.initial_metadata() == (("hanging", "1"),)
    assert call.status() is None
    assert not call.wait(0.05)
    assert call.cancel(1, "enough")
    assert not call.cancel(1, "again")
    assert call.receive() is None
    assert call.status() == (1, "enough", (), False)
    assert not call.send(b"late")
    assert echo.ended.wait(20)


def test_cancel_from_another_thread_wakes_the_one_that_waits(echo: Echo, channel: _native.Channel) -> None:
    call = channel.start_call("/hang", None, None, None)
    call.initial_metadata()
    threading.Timer(0.1, lambda: call.cancel(1, "enough")).start()
    assert call.receive() is None
    assert status(call) == (1, "enough")


def test_a_call_that_is_dropped_is_cancelled(echo: Echo, channel: _native.Channel) -> None:
    call = channel.start_call("/hang", None, None, None)
    call.initial_metadata()
    del call
    assert echo.ended.wait(20)


def test_a_reader_that_stalls_holds_the_sender(channel: _native.Channel) -> None:
    call = channel.start_unary("/flood", b"", None, None, None)
    for _ in range(3000):
        assert call.receive() == bytes(10_000)
    call.cancel(1, "enough")


def test_a_sender_waits_for_a_reader_that_stalls(channel: _native.Channel) -> None:
    call = channel.start_call("/stall", None, 1.0, None)
    sent = 0
    while call.send(bytes(100_000)):
        sent += 1
        # Both ends' windows and buffers hold no more than this.
        assert sent < 1_000
    assert status(call)[0] == 4


def test_closing_the_channel_ends_calls(channel: _native.Channel) -> None:
    call = channel.start_call("/hang", None, None, None)
    call.initial_metadata()
    threading.Timer(0.1, lambda: channel.close("Channel closed!")).start()
    assert call.receive() is None
    assert call.status() == (1, "Channel closed!", (), False)
    assert channel.state(True) == 4
    with pytest.raises(ValueError, match="Cannot invoke RPC on closed channel!"):
        channel.unary("/unary", b"", None, None, None)
    channel.close("again")


def test_a_call_before_the_server_listens_waits_if_told_to() -> None:
    channel = _native.Channel("127.0.0.1:1", [])
    before = time.monotonic()
    assert status(channel.unary("/unary", b"", None, 20, None)) == (
        14,
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
        "Failed to connect to remote host: Connection refused",
    )
    assert channel.state(False) == 3
    assert status(channel.unary("/unary", b"", None, 0.2, True)) == (4, "Deadline Exceeded")
    waiting = channel.start_call("/unary", None, None, True)
    assert waiting.cancel(1, "enough")
    assert status(waiting) == (1, "enough")
    assert time.monotonic() - before < 20


def test_connectivity_is_told(echo: Echo) -> None:
    channel = _native.Channel(echo.target, [])
    assert channel.state(False) == 0
    assert channel.wait_for_state_change(0, 0.05) == 0
    channel.state(True)
    while (state := channel.state(False)) != 2:
        assert channel.wait_for_state_change(state, 20) != state
    echo.end()
    assert channel.wait_for_state_change(2, 20) != 2


def test_the_end_of_a_server_is_told(echo: Echo, channel: _native.Channel) -> None:
    call = channel.start_call("/hang", None, None, None)
    call.initial_metadata()
    echo.native.close_listeners()
    assert not echo.native.wait_idle(0.05)
    echo.native.cancel_all(14, "Cancelling all calls")
    assert call.receive() is None
    assert status(call) == (14, "Cancelling all calls")
    assert echo.native.wait_idle(20)
    assert status(channel.unary("/unary", b"", None, 20, None))[0] == 14


def test_who_calls_whom(channel: _native.Channel) -> None:
    answer = channel.unary("/agent", b"", None, 20, None)
    assert isinstance(answer, bytes)
    agent, authority, peer = answer.decode().split("|")
    # Which grpcio it stands for, the faces say.
    assert agent.startswith("farcall/")
    assert authority.startswith("127.0.0.1:")
    assert peer.startswith("ipv4:127.0.0.1:")


def test_options_change_what_is_sent(echo: Echo) -> None:
    options = [
        ("grpc.primary_user_agent", "me/1"),
        ("grpc.secondary_user_agent", "too"),
        ("grpc.default_authority", "somewhere"),
        ("grpc.max_send_message_length", 10),
        ("grpc.no_such_option", 7),
    ]
    channel = _native.Channel(echo.target, options)
    answer = channel.unary("/agent", b"", None, 20, None)
    assert isinstance(answer, bytes)
    agent, authority, _ = answer.decode().split("|")
    assert agent.startswith("me/1 farcall/")
    assert agent.endswith(" too")
    assert authority == "somewhere"
    refused = channel.unary("/unary", bytes(11), None, 20, None)
    assert status(refused) == (8, "CLIENT: Sent message larger than max (11 vs. 10)")
