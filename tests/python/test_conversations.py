"""A stream of questions and answers, alone on its connection, and what happens beside it while the server waits.

The thread of the handler may be the one that reads the connection then.
"""

import queue
import threading

import pytest
from peers import LONG


class Conversation:
    """Says one thing at a time."""

    def __init__(self, peer):
        self._questions = queue.SimpleQueue()
        self.call = peer.ss("converse")(iter(self._questions.get, None), timeout=LONG)

    def ask(self, question):
        self._questions.put(question)
        return next(self.call)

    def end(self):
        self._questions.put(None)
        return list(self.call)


@pytest.fixture
def threads():
    """Names of the threads on which what ran."""
    return {}


@pytest.fixture
def ended():
    return threading.Event()


@pytest.fixture
def peer(serve, threads, ended):
    def converse(requests, context):
        threads["handler"] = threading.get_ident()
        context.add_callback(ended.set)
        yield from requests

    def brief(request, context):
        threads["brief"] = threading.get_ident()
        context.add_callback(lambda: threads.setdefault("callback", threading.get_ident()))
        return request

    return serve(converse=("ss", converse), brief=("uu", brief))


def test_other_calls_are_served_meanwhile(peer, threads):
    conversation = Conversation(peer)
    assert conversation.ask(b"1") == b"1"
    for number in range(100):
        assert peer.uu("brief")(b"%d" % number, timeout=LONG) == b"%d" % number
        assert conversation.ask(b"more") == b"more"
    assert conversation.end() == []
    assert threads["brief"] != threads["handler"]


def test_no_other_calls_callback_runs_within_the_handler(peer, threads):
    """It could want a lock that the handler holds."""
    conversation = Conversation(peer)
    assert conversation.ask(b"1") == b"1"
    peer.uu("brief")(b"", timeout=LONG)
    assert conversation.ask(b"2") == b"2"
    conversation.end()
    assert threads["callback"] != threads["handler"]


def test_a_cancelled_conversation_ends(peer, ended):
    conversation = Conversation(peer)
    assert conversation.ask(b"1") == b"1"
    conversation.call.cancel()
    assert ended.wait(LONG)


def test_a_lost_connection_ends_it(peer, ended):
    conversation = Conversation(peer)
    assert conversation.ask(b"1") == b"1"
    peer.channel.close()
    assert ended.wait(LONG)


def test_a_stopped_server_ends_it(peer, ended):
    conversation = Conversation(peer)
    assert conversation.ask(b"1") == b"1"
    peer.server.stop(None)
    assert ended.wait(LONG)
    assert conversation.call.code() is not None


def test_large_messages_go_through(peer):
    """More than a socket takes at once: the connection waits for room, whoever looks after it."""
    conversation = Conversation(peer)
    for size in (1, 3 << 20, 1, 3 << 20):
        assert len(conversation.ask(bytes(size))) == size
    assert conversation.end() == []
