"""The channelz service: tells of the channels, servers and sockets of this process.

    channelz.add_channelz_servicer(server)

The server may be of `grpc` or of `grpc.aio`.
"""

from __future__ import annotations

import grpc

from grpc_channelz.v1 import _async as aio
from grpc_channelz.v1 import channelz_pb2_grpc as _channelz_pb2_grpc
from grpc_channelz.v1._servicer import ChannelzServicer

__all__ = ["ChannelzServicer", "add_channelz_servicer", "aio"]


def add_channelz_servicer(server: grpc.Server | grpc.aio.Server) -> None:
    """Adds the service to a server that is not started.

    Args:
      server: a server of `grpc` or of `grpc.aio`.
    """
    kind = aio.ChannelzServicer if isinstance(server, grpc.aio.Server) else ChannelzServicer
    _channelz_pb2_grpc.add_ChannelzServicer_to_server(kind(), server)
