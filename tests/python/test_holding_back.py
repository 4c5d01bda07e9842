"""What many large messages do to each other: they wait, and none fails."""

from __future__ import annotations

import pytest
from peers import LONG, Peer

MEGABYTE = bytes(1 << 20)


@pytest.fixture
def on_few_threads():
    """A Peer with a pool of two."""
    peer = Peer(
        {
            "count": ("su", lambda requests, context: str(sum(1 for _ in requests)).encode()),
            "length": ("uu", lambda request, context: str(len(request)).encode()),
            "many": ("us", lambda request, context: (MEGABYTE for _ in range(int(request)))),
        },
        workers=2,
    )
    yield peer
    peer.close()


@pytest.fixture
def on_many_threads():
    """A Peer whose handlers may all run at once."""
    many = lambda request, context: (MEGABYTE for _ in range(int(request)))  # noqa: E731
    peer = Peer({"many": ("us", many), "one": ("uu", lambda request, context: MEGABYTE * 3)}, workers=60)
    yield peer
    peer.close()


def test_uploads_that_wait_for_the_pool_hold_up_none_that_run(on_few_threads):
    calls = [on_few_threads.su("count").future(iter([MEGABYTE] * 10), timeout=6 * LONG) for _ in range(100)]
    assert [call.result() for call in calls] == [b"10"] * 100


def test_paused_readers_hold_up_no_other_call(on_many_threads):
    paused = [on_many_threads.us("many")(b"10", timeout=6 * LONG) for _ in range(40)]
    for responses in paused:
        assert next(responses) == MEGABYTE
    assert sum(1 for _ in on_many_threads.us("many")(b"10", timeout=LONG)) == 10
    assert len(on_many_threads.uu("one")(b"", timeout=LONG)) == 3 << 20
    assert [sum(1 for _ in responses) for responses in paused] == [9] * 40


def test_many_messages_just_under_the_limit_all_come(on_few_threads):
    request = bytes((4 << 20) - 100)
    calls = [on_few_threads.uu("length").future(request, timeout=6 * LONG) for _ in range(100)]
    assert [call.result() for call in calls] == [str(len(request)).encode()] * 100
