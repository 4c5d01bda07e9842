"""A server on the native module: methods that the tests of this folder call. Also a program: `LISTENING <port>`."""

from __future__ import annotations

import sys
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

from farcall import _native

Metadatum = namedtuple("Metadatum", "key value")
_native.configure(Metadatum)


class Echo:
    def __init__(self, pool: ThreadPoolExecutor, address: str = "127.0.0.1:0", options: list | None = None) -> None:
        self._pool = pool
        self._options = options or []
        self.ended = threading.Event()
        """Set when a call of /hang or /stall has ended."""
        self._start(address)
        self.target = f"127.0.0.1:{self.port}"

    def _start(self, address: str) -> None:
        self.native = _native.Server(self._options)
        self.port = self.native.add_port(address)
        self.native.start(self._serve)

    def restart(self) -> None:
        self._start(self.target)

    def end(self) -> None:
        self.native.cancel_all(14, "Cancelling all calls")
        self.native.stop()

    def _serve(self, call: _native.ServerCall) -> None:
        self._pool.submit(self._handle, call)

    def _handle(self, call: _native.ServerCall) -> None:
        handler = getattr(self, "_" + call.method.strip("/"), None)
        if handler is None:
            call.finish(12, "Method not found!", [])
        else:
            handler(call)

    def _unary(self, call: _native.ServerCall) -> None:
        request = call.receive()
        if request is not None:
            call.finish(0, "", [], request)

    def _fail(self, call: _native.ServerCall) -> None:
        call.finish(5, "nothing here ☃", [("why", "because"), ("why-bin", b"\x00\xff")])

    def _metadata(self, call: _native.ServerCall) -> None:
        received = [tuple(pair) for pair in call.metadata() if pair.key != "user-agent"]
        call.send_initial_metadata([("first", "1"), ("first-bin", b"\xfe")])
        call.finish(0, "", [("last", "2")], repr(received).encode())

    def _agent(self, call: _native.ServerCall) -> None:
        agent = dict(call.metadata())["user-agent"]
        call.finish(0, "", [], f"{agent}|{call.authority}|{call.peer()}".encode())

    def _count(self, call: _native.ServerCall) -> None:
        for number in range(int(call.receive() or b"0")):
            if not call.send(b"%d" % number):
                return
        call.finish(0, "", [])

    def _join(self, call: _native.ServerCall) -> None:
        parts = []
        while (part := call.receive()) is not None:
            parts.append(part)
        call.finish(0, "", [], b"".join(parts))

    def _chat(self, call: _native.ServerCall) -> None:
        while (message := call.receive()) is not None:
            if not call.send(message):
                return
        call.finish(0, "", [])

    def _slow(self, call: _native.ServerCall) -> None:
        time.sleep(float(call.receive() or b"0"))
        call.finish(0, "", [], b"at last")

    def _hang(self, call: _native.ServerCall) -> None:
        if not call.add_done_callback(self.ended.set):
            self.ended.set()
        call.send_initial_metadata([("hanging", "1")])
        while call.receive() is not None:
            pass
        # The client goes on waiting; the call is ended by whoever gives up first.
        self.ended.wait(30)

    def _stall(self, call: _native.ServerCall) -> None:
        call.add_done_callback(self.ended.set)
        self.ended.wait(30)

    def _flood(self, call: _native.ServerCall) -> None:
        while call.send(bytes(10_000)):
            pass


def main() -> None:
    with ThreadPoolExecutor(32) as pool:
        server = Echo(pool, *sys.argv[1:2])
        print("LISTENING", server.port, flush=True)
        try:
            server.native.wait_idle(None)
        except KeyboardInterrupt:
            print("INTERRUPTED", flush=True)
        server.end()


if __name__ == "__main__":
    main()
