"""Calls several servers through one channel of each kind, and prints how the calls are spread: JSON."""

from __future__ import annotations

import asyncio
import collections
import json
import time
from concurrent import futures

import grpc
import grpc.aio

SERVERS = 3
CALLS = 90
LONG = 20

POLICIES = {
    "nothing": [],
    "pick_first": [("grpc.lb_policy_name", "pick_first")],
    "round_robin by option": [("grpc.lb_policy_name", "round_robin")],
    "round_robin by config": [("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]}))],
    "round_robin by old field": [("grpc.service_config", json.dumps({"loadBalancingPolicy": "round_robin"}))],
}


def serve(number: int) -> tuple[grpc.Server, int]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"%d" % number)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"number": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def shape(warm: list[bytes], counted: list[bytes]) -> list[int]:
    """How many servers answer, and whether each does as often as any other."""
    counts = collections.Counter(counted)
    return [len(set(warm)), len(counts), max(counts.values()) - min(counts.values()) <= 1]


def expected(policy: str) -> int:
    return SERVERS if policy.startswith("round_robin") else 1


def blocking(target: str, policy: str) -> list[int]:
    with grpc.insecure_channel(target, POLICIES[policy]) as channel:
        call = channel.unary_unary("/test/number")
        until, warm = time.monotonic() + LONG, [call(b"", timeout=LONG)]
        while len(set(warm)) < expected(policy) and time.monotonic() < until:
            warm.append(call(b"", timeout=LONG))
        return shape(warm, [call(b"", timeout=LONG) for _ in range(CALLS)])


async def asyncio_(target: str, policy: str) -> list[int]:
    async with grpc.aio.insecure_channel(target, POLICIES[policy]) as channel:
        call = channel.unary_unary("/test/number")
        until, warm = time.monotonic() + LONG, [await call(b"", timeout=LONG)]
        while len(set(warm)) < expected(policy) and time.monotonic() < until:
            warm.append(await call(b"", timeout=LONG))
        return shape(warm, [await call(b"", timeout=LONG) for _ in range(CALLS)])


def main() -> None:
    servers = [serve(number) for number in range(SERVERS)]
    target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for _, port in servers)
    spread = {}
    for policy in POLICIES:
        spread[policy] = {"blocking": blocking(target, policy), "asyncio": asyncio.run(asyncio_(target, policy))}
    print(json.dumps(spread))
    for server, _ in servers:
        server.stop(None)


main()
