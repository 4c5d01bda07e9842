"""The channelz service for servers of `grpc.aio`."""

from __future__ import annotations

from typing import Any

import grpc

from grpc_channelz.v1 import _servicer
from grpc_channelz.v1 import channelz_pb2 as _channelz_pb2
from grpc_channelz.v1 import channelz_pb2_grpc as _channelz_pb2_grpc

__all__ = ["ChannelzServicer"]

Context = grpc.aio.ServicerContext[Any, Any]


class ChannelzServicer(_channelz_pb2_grpc.ChannelzServicer):
    """Tells of the channels, servers and sockets of this process. What is not there is NOT_FOUND."""

    @staticmethod
    async def GetTopChannels(
        request: _channelz_pb2.GetTopChannelsRequest, context: Context
    ) -> _channelz_pb2.GetTopChannelsResponse:
        """Answers channels, from an identifier on."""
        return _servicer.answer(_servicer.top_channels, _channelz_pb2.GetTopChannelsResponse(), request, context)

    @staticmethod
    async def GetServers(
        request: _channelz_pb2.GetServersRequest, context: Context
    ) -> _channelz_pb2.GetServersResponse:
        """Answers servers, from an identifier on."""
        return _servicer.answer(_servicer.servers, _channelz_pb2.GetServersResponse(), request, context)

    @staticmethod
    async def GetServer(request: _channelz_pb2.GetServerRequest, context: Context) -> _channelz_pb2.GetServerResponse:
        """Answers one server."""
        return _servicer.answer(_servicer.server, _channelz_pb2.GetServerResponse(), request, context)

    @staticmethod
    async def GetServerSockets(
        request: _channelz_pb2.GetServerSocketsRequest, context: Context
    ) -> _channelz_pb2.GetServerSocketsResponse:
        """Answers a server's connections, from an identifier on."""
        return _servicer.answer(_servicer.server_sockets, _channelz_pb2.GetServerSocketsResponse(), request, context)

    @staticmethod
    async def GetChannel(
        request: _channelz_pb2.GetChannelRequest, context: Context
    ) -> _channelz_pb2.GetChannelResponse:
        """Answers one channel."""
        return _servicer.answer(_servicer.channel, _channelz_pb2.GetChannelResponse(), request, context)

    @staticmethod
    async def GetSubchannel(
        request: _channelz_pb2.GetSubchannelRequest, context: Context
    ) -> _channelz_pb2.GetSubchannelResponse:
        """Answers one subchannel."""
        return _servicer.answer(_servicer.subchannel, _channelz_pb2.GetSubchannelResponse(), request, context)

    @staticmethod
    async def GetSocket(request: _channelz_pb2.GetSocketRequest, context: Context) -> _channelz_pb2.GetSocketResponse:
        """Answers one connection or listening socket."""
        return _servicer.answer(_servicer.socket, _channelz_pb2.GetSocketResponse(), request, context)
