"""Exceptions that another thread raises in one that waits: by time limits, debuggers, and who ends threads."""

from __future__ import annotations

import ctypes
import threading

import pytest
from peers import LONG

KINDS = ("uu", "us", "su", "ss")


class Stopped(Exception):
    """Enough."""


def wait_future(call):
    call.result()


def wait_code(call):
    call.code()


def wait_response(call):
    next(call)


def wait_metadata(call):
    call.initial_metadata()


WAITS = {
    "uu": [wait_future, wait_code, wait_metadata],
    "us": [wait_response, wait_code, wait_metadata],
    "su": [wait_future, wait_code, wait_metadata],
    "ss": [wait_response, wait_code, wait_metadata],
}


@pytest.mark.parametrize(("kind", "wait"), [(kind, wait) for kind in KINDS for wait in WAITS[kind]])
def test_reach_a_thread_that_waits(serve, gate, kind, wait):
    def one(request, context):
        gate.wait_open()
        return b""

    def many(request, context):
        gate.wait_open()
        yield b""

    peer = serve(uu=("uu", one), us=("us", many), su=("su", one), ss=("ss", many))
    invoke = getattr(peer, kind)(kind)
    request = b"" if kind[0] == "u" else iter(())
    call = (invoke if kind[1] == "s" else invoke.future)(request)
    raised = []
    waiting = threading.Event()

    def work():
        try:
            waiting.set()
            wait(call)
        except BaseException as error:
            raised.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    assert waiting.wait(LONG)
    gate.wait_entered()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
    thread.join(LONG)
    assert raised == [Stopped]
    gate.open.set()


def test_reach_a_blocking_call(serve, gate):
    def one(request, context):
        gate.wait_open()
        return b""

    peer = serve(uu=("uu", one))
    raised = []

    def work():
        try:
            peer.uu("uu")(b"")
        except BaseException as error:
            raised.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    gate.wait_entered()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
    thread.join(LONG)
    gate.open.set()
    assert raised == [Stopped]
