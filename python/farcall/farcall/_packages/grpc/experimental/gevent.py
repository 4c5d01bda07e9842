"""gRPC in programs of greenlets."""

from __future__ import annotations


def init_gevent() -> None:
    """Has channels and servers wait as greenlets do: other greenlets go on meanwhile.

    To be called after `gevent.monkey.patch_all()` and before the first channel or server is made; those made before go
    on blocking the thread. Handlers run in the server's pool, as ever: in greenlets if `concurrent.futures` is patched.

    Raises:
      ImportError: there is no gevent.
    """
    from grpc import _gevent

    _gevent.install()
