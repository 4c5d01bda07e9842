"""What the tests of `grpc.aio` run on: each on asyncio's own loop, and on uvloop where that is installed."""

from __future__ import annotations

import asyncio
import importlib.util

import pytest

LOOPS = ["asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])


def new_loop(kind):
    if kind == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def run_on(event_loop, coroutine):
    """As asyncio.run does, on a loop that is given; whatever the loop complains of fails the test."""
    complaints = []
    event_loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        result = event_loop.run_until_complete(coroutine)
        left = asyncio.all_tasks(event_loop)
        for task in left:
            task.cancel()
        if left:
            event_loop.run_until_complete(asyncio.wait(left))
        event_loop.run_until_complete(event_loop.shutdown_asyncgens())
    finally:
        event_loop.close()
    assert complaints == []
    return result


@pytest.fixture(params=LOOPS)
def loop_kind(request):
    return request.param


@pytest.fixture
def run(loop_kind):
    """Runs a coroutine on a new loop to its end: run(test())."""
    return lambda coroutine: run_on(new_loop(loop_kind), coroutine)
