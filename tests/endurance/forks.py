"""The fork matrix: children of a process with channels, forked while nothing or everything goes on.

python forks.py [--children N] [--face blocking|aio] [--state idle|busy] [--uses new|parent]

Each child makes one call, over a channel of its own or its parent's, and must have its answer; the parent's own calls
must go on. One line of JSON for each field of the matrix; the exit status says whether anything hung or failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time

MESSAGE = b"32 bytes of something to echo..."
CALL_SECONDS = 15.0
# A child that has its answer, or its error, by then is not hung.
CHILD_SECONDS = 30.0
THREADS = 4

SERVER = """
import sys
from concurrent import futures
import grpc
server = grpc.server(futures.ThreadPoolExecutor(8))
handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("fork", {"Echo": handler}),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
"""


def serve():
    """A server in a process that is not forked, and its address."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return server, f"127.0.0.1:{int(server.stdout.readline())}"


class Blocking:
    """The blocking face: a channel, and threads that call over it."""

    def __init__(self, address):
        import grpc

        self._grpc = grpc
        self._address = address
        self._channel = grpc.insecure_channel(address)
        self._stop = threading.Event()
        self._threads = []
        self.calls = self.errors = 0
        self._call(self._channel)

    def _call(self, channel):
        assert channel.unary_unary("/fork/Echo")(MESSAGE, timeout=CALL_SECONDS) == MESSAGE

    def begin(self):
        """Keeps the parent busy until `end`."""
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def _work(self):
        while not self._stop.is_set():
            try:
                self._call(self._channel)
                self.calls += 1
            except self._grpc.RpcError:
                self.errors += 1

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        # It works on, whatever its children did.
        self._call(self._channel)

    def in_child(self, uses):
        if uses == "parent":
            return self._call(self._channel)
        with self._grpc.insecure_channel(self._address) as channel:
            self._call(channel)


class Aio:
    """grpc.aio: loops on threads of the parent that call; the child runs a loop of its own."""

    def __init__(self, address):
        import grpc

        self._grpc = grpc
        self._address = address
        self._stop = threading.Event()
        self._threads = []
        self.calls = self.errors = 0
        self._channel = grpc.aio.insecure_channel(address)
        asyncio.run(self._call(self._channel))

    async def _call(self, channel):
        assert await channel.unary_unary("/fork/Echo")(MESSAGE, timeout=CALL_SECONDS) == MESSAGE

    def begin(self):
        self._threads = [
            threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True) for _ in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    async def _work(self):
        async with self._grpc.aio.insecure_channel(self._address) as channel:
            while not self._stop.is_set():
                try:
                    await self._call(channel)
                    self.calls += 1
                except self._grpc.RpcError:
                    self.errors += 1

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        asyncio.run(self._call(self._channel))

    def in_child(self, uses):
        asyncio.run(self._call_in_child(uses))

    async def _call_in_child(self, uses):
        if uses == "parent":
            return await self._call(self._channel)
        async with self._grpc.aio.insecure_channel(self._address) as channel:
            await self._call(channel)


FACES = {"blocking": Blocking, "aio": Aio}


def fork_one(face, uses, leave):
    """Forks; in the child, never returns."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        face.in_child(uses)
        status = 0
    except BaseException as error:
        print(f"child {os.getpid()}: {error!r}"[:500], file=sys.stderr)
    leave(status)


def wait_for(pid):
    """How a child ended: "ok", "error" or "hung"."""
    until = time.monotonic() + CHILD_SECONDS
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "ok" if status == 0 else "error"
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"


def measure(face_name, state, uses, children, address):
    face = FACES[face_name](address)
    if state == "busy":
        face.begin()
    counts = {"ok": 0, "error": 0, "hung": 0}
    # Some leave as multiprocessing's children do, some as whole programs do.
    leaves = (os._exit, sys.exit)
    for index in range(children):
        counts[wait_for(fork_one(face, uses, leaves[index % 2]))] += 1
    face.end()
    return {
        "face": face_name,
        "parent": state,
        "child uses": uses,
        **counts,
        "parent's calls": face.calls,
        "parent's errors": face.errors,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, default=15)
    parser.add_argument("--face", choices=FACES, action="append")
    parser.add_argument("--state", choices=("idle", "busy"), action="append")
    parser.add_argument("--uses", choices=("new", "parent"), action="append")
    chosen = parser.parse_args()
    server, address = serve()
    good = True
    for face in chosen.face or FACES:
        for state in chosen.state or ("idle", "busy"):
            for uses in chosen.uses or ("new", "parent"):
                field = measure(face, state, uses, chosen.children, address)
                print(json.dumps(field), flush=True)
                good &= field["ok"] == chosen.children and field["parent's errors"] == 0
    server.stdin.close()
    server.wait()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
