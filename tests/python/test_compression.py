"""Compressed messages, as seen by a wire that counts bytes."""

from __future__ import annotations

import grpc
import pytest
from wires import Wire

LONG = b"the quick brown fox jumps over the lazy dog " * 1000
# What 44,000 bytes of that certainly fit in when they are compressed, with all that goes along.
SHORT = len(LONG) // 4

ALGORITHMS = [grpc.Compression.Deflate, grpc.Compression.Gzip]


@pytest.fixture
def counted(serve):
    """counted(server_arguments, channel_arguments, **handlers): a channel through a wire, and the wire."""
    made = []

    def make(server_arguments=None, channel_arguments=None, **handlers):
        peer = serve(server_arguments=server_arguments, **handlers)
        wire = Wire(peer.port)
        channel = grpc.insecure_channel(f"127.0.0.1:{wire.port}", **(channel_arguments or {}))
        made.extend([channel, wire])
        return channel, wire

    yield make
    for each in made:
        each.close()


def swallow(request, context):
    assert request == LONG
    return b""


def spout(request, context):
    return LONG


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_channel_compresses_requests(counted, algorithm):
    channel, wire = counted(None, {"compression": algorithm}, swallow=("uu", swallow))
    swallowing = channel.unary_unary("/test/swallow")
    swallowing(LONG)
    swallowing.future(LONG).result()
    assert wire.sent < SHORT


@pytest.mark.parametrize("number", [1, 2])
def test_an_option_compresses_requests(counted, number):
    options = [("grpc.default_compression_algorithm", number)]
    channel, wire = counted(None, {"options": options}, swallow=("uu", swallow))
    channel.unary_unary("/test/swallow")(LONG)
    assert wire.sent < SHORT


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_call_compresses_its_requests(counted, algorithm):
    def swallow_all(requests, context):
        return b"%d" % sum(request == LONG for request in requests)

    channel, wire = counted(None, None, swallow=("uu", swallow), swallow_all=("su", swallow_all))
    channel.unary_unary("/test/swallow")(LONG, compression=algorithm)
    assert channel.stream_unary("/test/swallow_all")(iter([LONG] * 3), compression=algorithm) == b"3"
    assert wire.sent < SHORT
    channel.unary_unary("/test/swallow")(LONG)
    assert wire.sent > len(LONG)


@pytest.mark.better_than_grpcio("takes NoCompression for nothing said")
def test_a_call_may_refuse_its_channel_s_compression(counted):
    channel, wire = counted(None, {"compression": grpc.Compression.Gzip}, swallow=("uu", swallow))
    channel.unary_unary("/test/swallow")(LONG, compression=grpc.Compression.NoCompression)
    assert wire.sent > len(LONG)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_server_compresses_responses(counted, algorithm):
    def spout_all(request, context):
        yield LONG
        yield LONG

    channel, wire = counted({"compression": algorithm}, None, spout=("uu", spout), spout_all=("us", spout_all))
    assert channel.unary_unary("/test/spout")(b"") == LONG
    assert list(channel.unary_stream("/test/spout_all")(b"")) == [LONG, LONG]
    assert wire.received < SHORT


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_compresses_responses(counted, level):
    channel, wire = counted({"options": [("grpc.default_compression_level", level)]}, None, spout=("uu", spout))
    assert channel.unary_unary("/test/spout")(b"") == LONG
    assert wire.received < SHORT


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_handler_chooses(counted, algorithm):
    def chosen(request, context):
        context.set_compression(algorithm)
        context.send_initial_metadata([("k", "v")])
        return LONG

    channel, wire = counted(None, None, spout=("uu", chosen))
    assert channel.unary_unary("/test/spout")(b"") == LONG
    assert wire.received < SHORT


def test_a_handler_that_chooses_too_late_changes_nothing(counted):
    def late(request, context):
        context.send_initial_metadata([])
        context.set_compression(grpc.Compression.Gzip)
        return LONG

    channel, wire = counted(None, None, spout=("uu", late))
    assert channel.unary_unary("/test/spout")(b"") == LONG
    assert wire.received > len(LONG)


def test_a_handler_leaves_out_one_message(counted):
    def one_of_three(request, context):
        yield LONG
        context.disable_next_message_compression()
        yield LONG
        yield LONG

    def not_even_one(request, context):
        context.disable_next_message_compression()
        return LONG

    arguments = {"compression": grpc.Compression.Gzip}
    channel, wire = counted(arguments, None, some=("us", one_of_three), none=("uu", not_even_one))
    assert list(channel.unary_stream("/test/some")(b"")) == [LONG] * 3
    assert len(LONG) < wire.received < len(LONG) + SHORT
    before = wire.received
    assert channel.unary_unary("/test/none")(b"") == LONG
    assert wire.received - before > len(LONG)


@pytest.mark.better_than_grpcio("raises KeyError where nobody sees it")
def test_nonsense_is_refused(counted):
    refused = []

    def chosen(request, context):
        try:
            context.set_compression(7)
        except ValueError as error:
            refused.append(error)
        return b""

    channel, _ = counted(None, None, spout=("uu", chosen))
    channel.unary_unary("/test/spout")(b"")
    assert refused
    with pytest.raises(ValueError):
        channel.unary_unary("/test/spout")(b"", compression=7)
    assert channel.unary_unary("/test/spout")(b"") == b"", "the channel works on"


WITHOUT_GZIP = [("grpc.compression_enabled_algorithms_bitset", 0b011)]


def test_a_server_refuses_what_is_not_enabled(counted):
    channel, wire = counted({"options": WITHOUT_GZIP}, None, swallow=("uu", swallow))
    swallowing = channel.unary_unary("/test/swallow")
    with pytest.raises(grpc.RpcError) as caught:
        swallowing(LONG, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "Compression algorithm 'gzip' is disabled."
    before = wire.sent
    swallowing(LONG, compression=grpc.Compression.Deflate)
    assert wire.sent - before < SHORT


@pytest.mark.better_than_grpcio("its servers compress what the client cannot read, and its clients fail")
def test_a_client_reads_no_more_than_what_is_enabled(counted):
    gzip = {"compression": grpc.Compression.Gzip}
    channel, wire = counted(gzip, {"options": WITHOUT_GZIP, **gzip}, spout=("uu", spout))
    assert channel.unary_unary("/test/spout")(LONG) == LONG
    assert wire.received > len(LONG) and wire.sent > len(LONG), "it is told, and does not do so itself"


def test_a_bomb_is_no_larger_than_the_limit(counted):
    arguments = {"compression": grpc.Compression.Gzip, "options": [("grpc.max_receive_message_length", -1)]}
    channel, wire = counted(arguments, None, spout=("uu", lambda request, context: bytes(5_000_000)))
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test/spout")(b"")
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert wire.received < 100_000
