"""A soak: client and server at load, with connections cut, calls cancelled, deadlines passing; and what that leaves.

python soak.py [--seconds 1800] [--warm-up SECONDS] [--slack MiB] [--face blocking|aio]

The client is one process, the server another, and the wire between them, which is cut, a third: what is measured is the
library's and its user's alone. Client and server are asked what they hold (resident memory, threads, descriptors) when
the warm-up and the soak are over, and now and then on the way: the curve. After the warm-up memory may grow by a little
and the rest not at all. Every call must end: none is lost. Prints JSON; the exit status says whether all was well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "testkit"))

from wires import Wire

THREADS = 4
# Longer than anything takes here: a call that is not over by then is lost.
LOST_SECONDS = 60
CUT_EVERY_SECONDS = 2.0
# Points of the curve.
POINTS = 30
POOL = 16


def start(*arguments):
    """This program in another part, in a process that is told through its input and tells through its output."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def held(pid="self"):
    """What a process holds: resident memory in KiB, threads, descriptors."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {
        "KiB": int(fields["VmRSS"].split()[0]),
        "threads": int(fields["Threads"]),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
    }


# The server.


def echo(request, context):
    return request


def slow(request, context):
    ended = threading.Event()
    if context.add_callback(ended.set):
        ended.wait(0.2)
    return request


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def double(requests, context):
    for request in requests:
        yield request * 2


async def aio_slow(request, context):
    await asyncio.sleep(0.2)
    return request


async def aio_echo(request, context):
    return request


async def aio_count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


async def aio_double(requests, context):
    async for request in requests:
        yield request * 2


def handlers(grpc, echo, slow, count, double):
    methods = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Double": grpc.stream_stream_rpc_method_handler(double),
    }
    return (grpc.method_handlers_generic_handler("soak", methods),)


def serve(face):
    from concurrent import futures

    import grpc

    if face == "aio":
        asyncio.run(serve_aio(grpc))
        return
    server = grpc.server(futures.ThreadPoolExecutor(POOL))
    server.add_generic_rpc_handlers(handlers(grpc, echo, slow, count, double))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(1).wait()


async def serve_aio(grpc):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers(grpc, aio_echo, aio_slow, aio_count, aio_double))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(1)


# The wire.


class CutWire:
    """A wire to a port of this machine, in a process of its own."""

    def __init__(self, port):
        self._process = start("--wire", str(port))
        self.port = int(self._process.stdout.readline())

    def cut(self):
        print(file=self._process.stdin, flush=True)

    def close(self):
        """Ends it; how many connections there have been."""
        connections, _ = self._process.communicate()
        return int(connections)


def forward(server_port):
    """Cuts a wire at each line of input."""
    wire = Wire(server_port)
    print(wire.port, flush=True)
    for _ in sys.stdin:
        wire.cut()
    wire.close()
    print(wire.connections)


# The client.


class Tally:
    """How calls ended, and which have not."""

    def __init__(self):
        self._lock = threading.Lock()
        self._open = set()
        self._next = 0
        self.ends = {}

    def begin(self):
        with self._lock:
            self._next += 1
            self._open.add(self._next)
            return self._next

    def end(self, number, how):
        with self._lock:
            self._open.remove(number)
            self.ends[how] = self.ends.get(how, 0) + 1

    def ended(self):
        with self._lock:
            return sum(self.ends.values())

    def lost(self):
        """Once nobody works any more: the calls that have no end."""
        with self._lock:
            return len(self._open)


def one_call(grpc, channel, dice):
    """One call of some kind, ended in some way."""
    kind = dice.randrange(8)
    if kind == 0:
        call = channel.unary_unary("/soak/Slow").future(b"x", timeout=30)
        if dice.random() < 0.9:
            call.cancel()
        return call.code()
    if kind == 1:
        return channel.unary_unary("/soak/Slow").future(b"x", timeout=0.01).code()
    if kind == 2:
        for _ in channel.unary_stream("/soak/Count")(b"200", timeout=30):
            pass
    elif kind == 3:
        call = channel.unary_stream("/soak/Count")(b"100000", timeout=30)
        next(call)
        call.cancel()
        return call.code()
    elif kind == 4:
        call = channel.stream_stream("/soak/Double")(iter([b"ab"] * 50), timeout=30)
        assert all(response == b"abab" for response in call)
    elif kind == 5:
        # Dropped without a word.
        channel.unary_stream("/soak/Count")(b"100000", timeout=30)
    elif kind == 6:
        message = bytes(dice.randrange(200_000))
        assert channel.unary_unary("/soak/Echo")(message, timeout=30) == message
    else:
        assert channel.unary_unary("/soak/Echo")(b"x", timeout=30) == b"x"
    return grpc.StatusCode.OK


async def one_aio_call(grpc, channel, dice):
    kind = dice.randrange(8)
    if kind == 0:
        call = channel.unary_unary("/soak/Slow")(b"x", timeout=30)
        await asyncio.sleep(0)
        call.cancel()
        return await call.code()
    if kind == 1:
        return await channel.unary_unary("/soak/Slow")(b"x", timeout=0.01).code()
    if kind == 2:
        async for _ in channel.unary_stream("/soak/Count")(b"200", timeout=30):
            pass
    elif kind == 3:
        call = channel.unary_stream("/soak/Count")(b"100000", timeout=30)
        await call.read()
        call.cancel()
        return await call.code()
    elif kind == 4:
        call = channel.stream_stream("/soak/Double")(timeout=30)
        for _ in range(20):
            await call.write(b"ab")
            response = await call.read()
            if response is grpc.aio.EOF:
                break
            assert response == b"abab"
        await call.done_writing()
        return await call.code()
    elif kind == 5:
        channel.unary_stream("/soak/Count")(b"100000", timeout=30)
    elif kind == 6:
        message = bytes(dice.randrange(200_000))
        assert await channel.unary_unary("/soak/Echo")(message, timeout=30) == message
    else:
        assert await channel.unary_unary("/soak/Echo")(b"x", timeout=30) == b"x"
    return grpc.StatusCode.OK


def work(grpc, address, until, tally, seed):
    dice = random.Random(seed)
    channel = grpc.insecure_channel(address)
    while time.monotonic() < until:
        if dice.random() < 0.002:
            channel.close()
            channel = grpc.insecure_channel(address)
        number = tally.begin()
        try:
            how = one_call(grpc, channel, dice)
        except grpc.RpcError as error:
            how = error.code()
        tally.end(number, str(how))
    channel.close()


async def aio_work(grpc, address, until, tally, seed):
    dice = random.Random(seed)
    channel = grpc.aio.insecure_channel(address)
    while time.monotonic() < until:
        if dice.random() < 0.002:
            await channel.close()
            channel = grpc.aio.insecure_channel(address)
        number = tally.begin()
        try:
            how = await one_aio_call(grpc, channel, dice)
        except grpc.RpcError as error:
            how = error.code()
        except asyncio.CancelledError:
            how = grpc.StatusCode.CANCELLED
        tally.end(number, str(how))
    await channel.close()


async def aio_workers(grpc, address, until, tally):
    await asyncio.gather(*(aio_work(grpc, address, until, tally, seed) for seed in range(THREADS)))


def load(grpc, face, address, until, tally):
    """Threads at work until then."""
    if face == "aio":
        threads = [threading.Thread(target=lambda: asyncio.run(aio_workers(grpc, address, until, tally)))]
    else:
        threads = [threading.Thread(target=work, args=(grpc, address, until, tally, seed)) for seed in range(THREADS)]
    for thread in threads:
        thread.daemon = True
        thread.start()
    return threads


def settle(pid):
    """What is held once what was at work has left: the least of a few looks."""
    looks = []
    for _ in range(20):
        time.sleep(0.1)
        looks.append(held(pid))
    return {what: min(look[what] for look in looks) for what in looks[0]}


def soak(face, seconds, warm_up, slack_mib):
    import grpc

    server = start("--serve", face)
    wire = CutWire(int(server.stdout.readline()))
    tally = Tally()
    snapshots = []
    curve = []
    begun = time.monotonic()
    for part in (warm_up, seconds):
        until = time.monotonic() + part
        threads = load(grpc, face, f"127.0.0.1:{wire.port}", until, tally)
        while time.monotonic() < until:
            time.sleep(CUT_EVERY_SECONDS)
            wire.cut()
            second = time.monotonic() - begun
            if second >= len(curve) * (warm_up + seconds) / POINTS:
                client_now, server_now = held()["KiB"], held(server.pid)["KiB"]
                curve.append(f"{second:.0f} s, {tally.ended()} calls, {client_now} KiB, {server_now} KiB")
        for thread in threads:
            thread.join(LOST_SECONDS)
        wire.cut()
        snapshots.append({"client": settle("self"), "server": settle(server.pid)})
    stuck = sum(thread.is_alive() for thread in threads)
    server.stdin.close()
    server.wait()
    connections = wire.close()
    complaints = [f"{stuck} threads are stuck"] if stuck else []
    if tally.lost():
        complaints.append(f"{tally.lost()} calls never ended")
    for side in ("client", "server"):
        before, after = (snapshot[side] for snapshot in snapshots)
        for what, slack in (
            ("KiB", slack_mib * 1024),
            ("threads", POOL if side == "server" else 2),
            ("descriptors", 4),
        ):
            if after[what] > before[what] + slack:
                complaints.append(f"the {side}'s {what} went from {before[what]} to {after[what]}")
    return {
        "face": face,
        "seconds": seconds,
        "calls": tally.ends,
        "connections cut": connections,
        "curve of client and server": curve,
        "after the warm-up": snapshots[0],
        "at the end": snapshots[1],
        "complaints": complaints,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--warm-up", type=float)
    parser.add_argument("--slack", type=int, default=8, help="what memory may grow by after the warm-up, MiB")
    parser.add_argument("--face", choices=("blocking", "aio"), action="append")
    parser.add_argument("--serve", choices=("blocking", "aio"))
    parser.add_argument("--wire", type=int)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return 0
    if chosen.wire:
        forward(chosen.wire)
        return 0
    good = True
    for face in chosen.face or ("blocking", "aio"):
        warm_up = chosen.seconds / 4 if chosen.warm_up is None else chosen.warm_up
        outcome = soak(face, chosen.seconds, warm_up, chosen.slack)
        print(json.dumps(outcome, indent=1), flush=True)
        good &= not outcome["complaints"]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
