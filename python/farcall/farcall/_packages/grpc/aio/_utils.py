"""Between the time a caller gives and the time a call keeps."""

from __future__ import annotations

import time


def _timeout_to_deadline(timeout: float | None) -> float | None:
    """The deadline, in seconds of `time.monotonic()`, of a call that may take `timeout` seconds from now."""
    return None if timeout is None else time.monotonic() + timeout
