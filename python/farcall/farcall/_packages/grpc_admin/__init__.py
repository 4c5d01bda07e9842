"""Services for administrators, all at once."""

from __future__ import annotations

import grpc
from grpc_channelz.v1 import channelz

__all__ = ["add_admin_servicers"]


def add_admin_servicers(server: grpc.Server | grpc.aio.Server) -> None:
    """Adds channelz to a server that is not started, and the xDS client status service if its package is installed.

    Args:
      server: a server of `grpc` or of `grpc.aio`.
    """
    channelz.add_channelz_servicer(server)
    try:
        import grpc_csds
    except ImportError:
        return
    grpc_csds.add_csds_servicer(server)
