"""The answers of the channelz service, from what the engine tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf import json_format
from grpc._cython import cygrpc

from grpc_channelz.v1 import channelz_pb2 as _channelz_pb2
from grpc_channelz.v1 import channelz_pb2_grpc as _channelz_pb2_grpc

Request = TypeVar("Request")
Response = TypeVar("Response")


def _filled(response: Response, ask: Callable[..., bytes], *arguments: int) -> Response:
    """A response with what the engine tells.

    Raises:
      ValueError: there is no such channel, server or socket.
    """
    json_format.Parse(ask(*arguments), response)
    return response


def top_channels(request: _channelz_pb2.GetTopChannelsRequest) -> _channelz_pb2.GetTopChannelsResponse:
    """Channels from an identifier on."""
    return _filled(_channelz_pb2.GetTopChannelsResponse(), cygrpc.channelz_get_top_channels, request.start_channel_id)


def servers(request: _channelz_pb2.GetServersRequest) -> _channelz_pb2.GetServersResponse:
    """Servers from an identifier on."""
    return _filled(_channelz_pb2.GetServersResponse(), cygrpc.channelz_get_servers, request.start_server_id)


def server(request: _channelz_pb2.GetServerRequest) -> _channelz_pb2.GetServerResponse:
    """One server."""
    return _filled(_channelz_pb2.GetServerResponse(), cygrpc.channelz_get_server, request.server_id)


def server_sockets(request: _channelz_pb2.GetServerSocketsRequest) -> _channelz_pb2.GetServerSocketsResponse:
    """The connections of a server, from an identifier on."""
    return _filled(
        _channelz_pb2.GetServerSocketsResponse(),
        cygrpc.channelz_get_server_sockets,
        request.server_id,
        request.start_socket_id,
        request.max_results,
    )


def channel(request: _channelz_pb2.GetChannelRequest) -> _channelz_pb2.GetChannelResponse:
    """One channel."""
    return _filled(_channelz_pb2.GetChannelResponse(), cygrpc.channelz_get_channel, request.channel_id)


def subchannel(request: _channelz_pb2.GetSubchannelRequest) -> _channelz_pb2.GetSubchannelResponse:
    """One subchannel: an address a channel connects to."""
    return _filled(_channelz_pb2.GetSubchannelResponse(), cygrpc.channelz_get_subchannel, request.subchannel_id)


def socket(request: _channelz_pb2.GetSocketRequest) -> _channelz_pb2.GetSocketResponse:
    """One connection or listening socket."""
    return _filled(_channelz_pb2.GetSocketResponse(), cygrpc.channelz_get_socket, request.socket_id)


def answer(look_up: Callable[[Request], Response], response: Response, request: Request, context: Any) -> Response:
    """What `look_up(request)` answers; if there is nothing, NOT_FOUND by the context and the empty response."""
    try:
        return look_up(request)
    except ValueError as nothing:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details(str(nothing))
        return response


class ChannelzServicer(_channelz_pb2_grpc.ChannelzServicer):
    """Tells of the channels, servers and sockets of this process. What is not there is NOT_FOUND."""

    @staticmethod
    def GetTopChannels(
        request: _channelz_pb2.GetTopChannelsRequest, context: grpc.ServicerContext
    ) -> _channelz_pb2.GetTopChannelsResponse:
        """Answers channels, from an identifier on."""
        return answer(top_channels, _channelz_pb2.GetTopChannelsResponse(), request, context)

    @staticmethod
    def GetServers(
        request: _channelz_pb2.GetServersRequest, context: grpc.ServicerContext
    ) -> _channelz_pb2.GetServersResponse:
        """Answers servers, from an identifier on."""
        return answer(servers, _channelz_pb2.GetServersResponse(), request, context)

    @staticmethod
    def GetServer(
        request: _channelz_pb2.GetServerRequest, context: grpc.ServicerContext
    ) -> _channelz_pb2.GetServerResponse:
        """Answers one server."""
        return answer(server, _channelz_pb2.GetServerResponse(), request, context)

    @staticmethod
    def GetServerSockets(
        request: _channelz_pb2.GetServerSocketsRequest, context: grpc.ServicerContext
    ) -> _channelz_pb2.GetServerSocketsResponse:
        """Answers a server's connections, from an identifier on."""
        return answer(server_sockets, _channelz_pb2.GetServerSocketsResponse(), request, context)

    @staticmethod
    def GetChannel(
        request: _channelz_pb2.GetChannelRequest, context: grpc.ServicerContext
    ) -> _channelz_pb2.GetChannelResponse:
        """Answers one channel."""
        return answer(channel, _channelz_pb2.GetChannelResponse(), request, context)

    @staticmethod
    def GetSubchannel(
        request: _channelz_pb2.GetSubchannelRequest, context: grpc.ServicerContext
    ) -> _channelz_pb2.GetSubchannelResponse:
        """Answers one subchannel."""
        return answer(subchannel, _channelz_pb2.GetSubchannelResponse(), request, context)

    @staticmethod
    def GetSocket(
        request: _channelz_pb2.GetSocketRequest, context: grpc.ServicerContext
    ) -> _channelz_pb2.GetSocketResponse:
        """Answers one connection or listening socket."""
        return answer(socket, _channelz_pb2.GetSocketResponse(), request, context)
