"""What every measuring program tells bench/run.py."""

import sys


def mark(word):
    """Says "BEGIN" or "END" of what is measured, and waits until that is noted."""
    print(word, flush=True)
    sys.stdin.readline()


def figures(result, seconds):
    """Of a count of operations, or of the latency of each in seconds."""
    if isinstance(result, int):
        return {"operations": result, "seconds": seconds, "p50_us": None, "p99_us": None}
    ordered = sorted(result)
    count = len(ordered)
    p50, p99 = (ordered[count * share // 100] * 1e6 for share in (50, 99))
    return {"operations": count, "seconds": seconds, "p50_us": p50, "p99_us": p99}
