"""Many threads on one channel: every call gets its own answer, and none is lost."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable

import pytest
from echo import Echo
from farcall import _native


def together(count: int, work: Callable[[int], None]) -> None:
    """Runs `work` on that many threads; the first failure is raised."""
    failures: queue.Queue[BaseException] = queue.Queue()

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as failure:
            failures.put(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not failures.empty():
        raise failures.get()


def test_unary_calls(channel: _native.Channel) -> None:
    def work(number: int) -> None:
        for turn in range(200):
            message = b"%d/%d" % (number, turn) * (turn % 50)
            assert channel.unary("/unary", message, None, 60, None) == message

    together(16, work)


def test_streams_and_unary_calls(channel: _native.Channel) -> None:
    def work(number: int) -> None:
        if number % 2:
            for turn in range(100):
                assert channel.unary("/unary", b"%d" % turn, None, 60, None) == b"%d" % turn
            return
        call = channel.start_call("/chat", None, 60, None)
        for turn in range(100):
            assert call.send(b"%d" % turn)
            assert call.receive() == b"%d" % turn
        call.half_close()
        assert call.receive() is None

    together(12, work)


def test_calls_that_end_every_which_way(channel: _native.Channel) -> None:
    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(60):
            match chance.randrange(5):
                case 0:
                    call = channel.start_call("/stall", None, chance.uniform(0, 0.01), None)
                    assert call.wait(60)
                case 1:
                    call = channel.start_call("/count", None, 60, None)
                    call.cancel(1, "enough")
                    ended = call.status()
                    assert ended is not None
                    assert ended[0] == 1
                case 2:
                    call = channel.start_unary("/count", b"100", None, 60, None)
                    assert call.receive() == b"0"
                    del call
                case 3:
                    ended = threading.Event()
                    call = channel.start_unary("/unary", b"x", None, 60, None)
                    assert not call.add_done_callback(ended.set) or ended.wait(60)
                    assert call.receive() == b"x"
                case 4:
                    assert channel.unary("/unary", b"x", None, 60, None) == b"x"

    together(16, work)


def test_several_threads_wait_for_one_call(channel: _native.Channel) -> None:
    call = channel.start_call("/chat", None, 60, None)
    received: queue.Queue[bytes | None] = queue.Queue()

    def work(number: int) -> None:
        if number == 0:
            for turn in range(500):
                assert call.send(b"%d" % turn)
            call.half_close()
        elif number == 1:
            assert call.wait(60)
        else:
            while (message := call.receive()) is not None:
                received.put(message)

    together(5, work)
    assert sorted(received.get_nowait() or b"" for _ in range(500)) == sorted(b"%d" % turn for turn in range(500))


def test_connections_are_lost_under_way(echo: Echo) -> None:
    """Each round the server goes, and another takes its port; calls fail with a status or succeed, but end."""
    channel = _native.Channel(echo.target, [("grpc.initial_reconnect_backoff_ms", 100)])
    over = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            for _ in range(3):
                echo.native.cancel_all(14, "Cancelling all calls")
                echo.native.stop()
                echo.restart()
                channel.unary("/unary", b"x", None, 60, True)
            over.set()
            return
        while not over.is_set():
            answer = channel.unary("/unary", b"x", None, 60, number % 2 == 0)
            if answer != b"x":
                assert isinstance(answer, _native.ClientCall)
                ended = answer.status()
                assert ended is not None
                assert ended[0] in (1, 14), ended

    together(8, work)
    assert channel.unary("/unary", b"x", None, 60, True) == b"x"


@pytest.mark.parametrize("threads", [1, 8])
def test_a_callback_may_call(channel: _native.Channel, threads: int) -> None:
    def work(number: int) -> None:
        answers: queue.Queue[object] = queue.Queue()
        call = channel.start_unary("/slow", b"0.05", None, 60, None)
        assert call.add_done_callback(lambda: answers.put(channel.unary("/unary", b"x", None, 60, None)))
        assert answers.get(timeout=60) == b"x"

    together(threads, work)
