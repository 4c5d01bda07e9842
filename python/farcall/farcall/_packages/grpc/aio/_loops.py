"""What the native module asks of the event loop in Python: which one, and the addresses of a name."""

from __future__ import annotations

import asyncio
import socket
import warnings

from grpc._engine import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioResolution

# The loop holds tasks weakly only.
_lookups: set[asyncio.Task[None]] = set()


def working_loop() -> asyncio.AbstractEventLoop:
    """The running loop; without one, the loop of this thread, which is made if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return asyncio.get_event_loop_policy().get_event_loop()
        except RuntimeError:
            event_loop = asyncio.new_event_loop()
            asyncio.set_event_loop(event_loop)
            return event_loop


def resolve(event_loop: asyncio.AbstractEventLoop, host: str, port: int, resolution: AioResolution) -> None:
    """Looks up a name on the loop and tells what was found."""
    task = event_loop.create_task(_look_up(event_loop, host, port, resolution))
    _lookups.add(task)
    task.add_done_callback(_lookups.discard)


async def _look_up(event_loop: asyncio.AbstractEventLoop, host: str, port: int, resolution: AioResolution) -> None:
    try:
        found = await event_loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        resolution.failed("Domain name not found")
    except asyncio.CancelledError:
        resolution.failed("the lookup was cancelled")
        raise
    else:
        resolution.found([(address[0], address[1]) for *_, address in found if isinstance(address[0], str)])


native.configure_aio(working_loop)
