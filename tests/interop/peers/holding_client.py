"""Calls holding_server.py with many large messages at once, and writes how many calls came to their right end.

python holding_client.py ADDRESS
"""

import sys

import grpc

SIZES = [3 << 20, 0, 200_000, 1 << 20, 100, 130_000]
UNDER_THE_LIMIT = (4 << 20) - 100
PATIENCE = 50


def uploads(channel):
    """More than the server takes at once: those that wait hold up none that run."""
    requests = [bytes(size) for size in SIZES]
    upload = channel.stream_unary("/test/count")
    calls = [upload.future(iter(requests), timeout=PATIENCE) for _ in range(80)]
    return [int(call.result()) == sum(SIZES) for call in calls]


def unaries(channel):
    """Messages that all begin at once, of both directions."""
    request = bytes(UNDER_THE_LIMIT)
    calls = [channel.unary_unary("/test/length").future(request, timeout=PATIENCE) for _ in range(140)]
    right = [int(call.result()) == UNDER_THE_LIMIT for call in calls]
    asked = b"%d" % UNDER_THE_LIMIT
    calls = [channel.unary_unary("/test/give").future(asked, timeout=PATIENCE) for _ in range(80)]
    return right + [len(call.result()) == UNDER_THE_LIMIT for call in calls]


def paused(channel):
    """Streams that pause after a message hold up no other call; what they lack comes in the end."""
    request = b" ".join(b"%d" % size for size in 2 * SIZES)
    calls = [channel.unary_stream("/test/many")(request, timeout=PATIENCE) for _ in range(80)]
    firsts = [len(next(call)) for call in calls]
    asked = b"%d" % UNDER_THE_LIMIT
    other = len(channel.unary_unary("/test/give")(asked, timeout=PATIENCE / 2)) == UNDER_THE_LIMIT
    totals = [first + sum(map(len, call)) for first, call in zip(firsts, calls, strict=True)]
    return [other, *(total == 2 * sum(SIZES) for total in totals)]


def call(address):
    with grpc.insecure_channel(address) as channel:
        right = [each for program in (uploads, unaries, paused) for each in program(channel)]
    print(f"{sum(right)} of {len(right)}")


if __name__ == "__main__":
    call(sys.argv[1])
