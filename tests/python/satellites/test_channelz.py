"""grpc_channelz and grpc_admin."""

import grpc
import pytest

channelz_pb2 = pytest.importorskip("grpc_channelz.v1.channelz_pb2")
from grpc_channelz.v1 import channelz, channelz_pb2_grpc  # noqa: E402

LONG = 20


def ours(entities, data):
    """The one that is this test's: others may live."""
    (found,) = [entity for entity in entities if data(entity)]
    return found


def failing(request, context):
    context.abort(grpc.StatusCode.ABORTED, "enough")


def echo(request, context):
    return request


def handling(server):
    handlers = {
        "Fail": grpc.unary_unary_rpc_method_handler(failing),
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Things", handlers),))


def test_a_channel_with_its_subchannel_and_socket(serve):
    asked = channelz_pb2_grpc.ChannelzStub(serve(channelz.add_channelz_servicer))
    channel = serve(handling)
    for _ in range(3):
        channel.unary_unary("/test.Things/Echo")(b"x", timeout=LONG)
    with pytest.raises(grpc.RpcError):
        channel.unary_unary("/test.Things/Fail")(b"x", timeout=LONG)

    request = channelz_pb2.GetTopChannelsRequest(start_channel_id=0)
    channels = asked.GetTopChannels(request, timeout=LONG).channel
    found = ours(channels, lambda one: one.data.calls_started == 4)
    assert (found.data.calls_succeeded, found.data.calls_failed) == (3, 1)
    assert found.data.state.state == channelz_pb2.ChannelConnectivityState.READY

    request = channelz_pb2.GetSubchannelRequest(subchannel_id=found.subchannel_ref[0].subchannel_id)
    subchannel = asked.GetSubchannel(request, timeout=LONG).subchannel
    assert subchannel.data.calls_started == 4
    request = channelz_pb2.GetSocketRequest(socket_id=subchannel.socket_ref[0].socket_id)
    socket = asked.GetSocket(request, timeout=LONG).socket
    assert (socket.data.streams_started, socket.data.messages_sent, socket.data.messages_received) == (4, 4, 3)
    assert (socket.data.streams_succeeded, socket.data.streams_failed) == (4, 0), "a status is an end, and no failure"
    assert socket.remote.tcpip_address.port
    assert socket.local.tcpip_address.port not in (0, socket.remote.tcpip_address.port)
    assert len(socket.local.tcpip_address.ip_address) == 4


def test_a_server_with_its_sockets(serve):
    asked = channelz_pb2_grpc.ChannelzStub(serve(channelz.add_channelz_servicer))
    channel = serve(handling)
    for _ in range(5):
        channel.unary_unary("/test.Things/Echo")(b"x", timeout=LONG)
    servers = asked.GetServers(channelz_pb2.GetServersRequest(start_server_id=0), timeout=LONG).server
    found = ours(servers, lambda one: one.data.calls_started == 5)
    assert found.data.calls_succeeded == 5 and found.listen_socket
    request = channelz_pb2.GetServerSocketsRequest(server_id=found.ref.server_id)
    assert len(asked.GetServerSockets(request, timeout=LONG).socket_ref) == 1


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GetChannel", channelz_pb2.GetChannelRequest(channel_id=1 << 40)),
        ("GetSubchannel", channelz_pb2.GetSubchannelRequest(subchannel_id=1 << 40)),
        ("GetSocket", channelz_pb2.GetSocketRequest(socket_id=1 << 40)),
        ("GetServer", channelz_pb2.GetServerRequest(server_id=1 << 40)),
        ("GetServerSockets", channelz_pb2.GetServerSocketsRequest(server_id=1 << 40)),
    ],
)
def test_what_is_not_there(serve, method, request_):
    asked = channelz_pb2_grpc.ChannelzStub(serve(channelz.add_channelz_servicer))
    with pytest.raises(grpc.RpcError) as caught:
        getattr(asked, method)(request_, timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_on_asyncio(on_a_loop):
    async def test(channel):
        response = await channelz_pb2_grpc.ChannelzStub(channel).GetServers(channelz_pb2.GetServersRequest())
        assert any(server.data.calls_started for server in response.server)

    on_a_loop(test, channelz.add_channelz_servicer)


def test_admin(serve):
    grpc_admin = pytest.importorskip("grpc_admin")
    asked = channelz_pb2_grpc.ChannelzStub(serve(grpc_admin.add_admin_servicers))
    assert asked.GetServers(channelz_pb2.GetServersRequest(), timeout=LONG).server
