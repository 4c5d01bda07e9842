"""Options of channels and servers: each does something, or is warned of."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
import time
from concurrent import futures

import grpc
import pytest
from peers import LONG, ON_GRPCIO

pytestmark = pytest.mark.skipif(ON_GRPCIO, reason="grpcio says nothing of what it ignores, and hides what it does not")

# Every option that grpcio 1.85.1 knows, as far as Python programs can give it; with its type. What changes nothing
# here is plumbing of a C core, or was gone from grpcio itself before.
WORKING = {
    "grpc.max_receive_message_length": int,
    "grpc.max_send_message_length": int,
    "grpc.max_metadata_size": int,
    "grpc.absolute_max_metadata_size": int,
    "grpc.default_compression_algorithm": int,
    "grpc.default_compression_level": int,
    "grpc.per_message_compression": int,
    "grpc.compression_enabled_algorithms_bitset": int,
    "grpc.keepalive_time_ms": int,
    "grpc.keepalive_timeout_ms": int,
    "grpc.keepalive_permit_without_calls": int,
    "grpc.http2.max_pings_without_data": int,
    "grpc.http2.min_ping_interval_without_data_ms": int,
    "grpc.http2.max_ping_strikes": int,
    "grpc.http2.settings_timeout": int,
    "grpc.server_handshake_timeout_ms": int,
    "grpc.max_connection_idle_ms": int,
    "grpc.max_connection_age_ms": int,
    "grpc.max_connection_age_grace_ms": int,
    "grpc.client_idle_timeout_ms": int,
    "grpc.max_concurrent_streams": int,
    "grpc.max_allowed_incoming_connections": int,
    "grpc.so_reuseport": int,
    "grpc.primary_user_agent": str,
    "grpc.secondary_user_agent": str,
    "grpc.default_authority": str,
    "grpc.ssl_target_name_override": str,
    "grpc.http2_scheme": str,
    "grpc.initial_reconnect_backoff_ms": int,
    "grpc.max_reconnect_backoff_ms": int,
    "grpc.min_reconnect_backoff_ms": int,
    "grpc.testing.fixed_reconnect_backoff_ms": int,
    "grpc.enable_http_proxy": int,
    "grpc.http_proxy": str,
    "grpc.dns_min_time_between_resolutions_ms": int,
    "farcall.dns_refresh_ms": int,
    "farcall.dns_service": str,
    "grpc.service_config_disable_resolution": int,
    "grpc.service_config": str,
    "grpc.enable_retries": int,
    "grpc.enable_channelz": int,
    "grpc.per_rpc_retry_buffer_size": int,
    "grpc.experimental.enable_hedging": int,
    "grpc.happy_eyeballs_connection_attempt_delay_ms": int,
    "grpc.inhibit_health_checking": int,
    "grpc.lb_policy_name": str,
    "grpc.http2.lookahead_bytes": int,
    "grpc.http2.bdp_probe": int,
    "grpc.http2.max_frame_size": int,
    "grpc.http2.write_buffer_size": int,
    "grpc.http2.hpack_table_size.decoder": int,
    "grpc.tcp_receive_buffer_size": int,
    "grpc.dscp": int,
    "farcall.connection_window": int,
    "farcall.header_block": int,
    "farcall.incomplete": int,
    "farcall.initial_stream_window": int,
    "farcall.memory_budget": int,
    "farcall.overdraft": int,
    "farcall.request_headers": int,
    "farcall.resets": int,
    "farcall.resets_per_second": int,
    "farcall.stream_window": int,
    "farcall.unread": int,
    "farcall.unsent": int,
    "grpc.ssl_session_cache": object,
    "grpc.priority_failover_timeout_ms": int,
    "grpc.lb.ring_hash.ring_size_cap": int,
}
PLUMBING = {
    # No channel shares its connection with another anyway.
    "grpc.use_local_subchannel_pool": int,
    "grpc.per_message_decompression": int,
    "grpc.http2.min_time_between_pings_ms": int,
    "grpc.http2.ping_timeout_ms": int,
    "grpc.http2.max_inflight_pings": int,
    "grpc.http2.ack_pings": int,
    "grpc.server.max_pending_requests": int,
    "grpc.server.max_pending_requests_hard_limit": int,
    "grpc.server_max_unrequested_time_in_server": int,
    "grpc.expand_wildcard_addrs": int,
    "grpc.surface_user_agent": int,
    "grpc.address_http_proxy": str,
    "grpc.address_http_proxy_enabled_addresses": str,
    "grpc.dns_ares_query_timeout": int,
    "grpc.dns_enable_srv_queries": int,
    "grpc.http2.hpack_table_size.encoder": int,
    "grpc.http2.initial_sequence_number": int,
    "grpc.http2.true_binary": int,
    "grpc.experimental.tcp_read_chunk_size": int,
    "grpc.experimental.tcp_min_read_chunk_size": int,
    "grpc.experimental.tcp_max_read_chunk_size": int,
    "grpc.experimental.tcp_tx_zerocopy_enabled": int,
    "grpc.experimental.tcp_tx_zerocopy_send_bytes_threshold": int,
    "grpc.experimental.tcp_tx_zerocopy_max_simultaneous_sends": int,
    "grpc.max_channel_trace_event_memory_per_node": int,
    "grpc.minimal_stack": int,
    "grpc.census": int,
    "grpc.resource_quota": object,
    "grpc.socket_mutator": object,
    "grpc.authorization_policy_provider": object,
    "grpc.disable_client_authority_filter": int,
    "grpc.grpclb_call_timeout_ms": int,
    "grpc.grpclb_fallback_timeout_ms": int,
    "grpc.xds_resource_does_not_exist_timeout_ms": int,
    "grpc.enable_deadline_checking": int,
    "grpc.optimization_target": str,
    "grpc.loadreporting": int,
    "grpc.max_message_length": int,
    "grpc.use_cronet_packet_coalescing": int,
    "grpc.workaround.cronet_compression": int,
}
ALL = WORKING | PLUMBING


class Pointer:
    def __int__(self):
        return 0


# For options that take only some values of their type.
HARMLESS = {"grpc.service_config": "{}", "grpc.lb_policy_name": "pick_first", "grpc.http2_scheme": "http"}


def harmless(key):
    return HARMLESS.get(key, {int: 1, str: "text", object: Pointer()}[ALL[key]])


def open_and_close(key, value):
    grpc.insecure_channel("localhost:1", options=[(key, value)]).close()
    grpc.server(futures.ThreadPoolExecutor(1), options=[(key, value)])


@pytest.fixture
def warnings(caplog):
    """The warnings so far, as text."""
    caplog.set_level(logging.WARNING, logger="grpc")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("grpc")]


def test_the_table_is_complete():
    from farcall import _native

    types = {int: "int", str: "str", object: "object"}
    table = {key: (kind, not why) for key, kind, _, why in _native.option_table()}
    expected = {key: (types[kind], key in WORKING) for key, kind in ALL.items()}
    # Experiments are said to be none, which is a warning, so they count among those that do something.
    assert table == expected


@pytest.mark.parametrize("key", WORKING)
def test_a_known_option_of_the_right_type_is_taken_silently(key, warnings):
    open_and_close(key, harmless(key))
    assert warnings() == []


@pytest.mark.parametrize("key", PLUMBING)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_known_option_without_effect_says_so_once(key, warnings):
    for _ in range(3):
        open_and_close(key, 7 if PLUMBING[key] is int else harmless(key))
    (warning,) = warnings()
    assert warning.startswith(f'option "{key}" has no effect: ')


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.dns_enable_srv_queries", 0),
        ("grpc.per_message_decompression", 1),
    ],
)
def test_what_is_so_anyway_may_be_asked_for(key, value, warnings):
    open_and_close(key, value)
    assert warnings() == []


def balancing(policy):
    return json.dumps({"loadBalancingConfig": [{policy: {}}, {"pick_first": {}}]})


# What is known and does nothing here: the options, and a part of what is said of it.
IDLE = {
    "option": ([("grpc.census", 1)], "grpc.census"),
    "option with a bad value": ([("grpc.keepalive_time_ms", 1.5)], "grpc.keepalive_time_ms"),
    "policy of xDS": ([("grpc.service_config", balancing("rls_experimental"))], "rls_experimental"),
    "policy by its old field": ([("grpc.service_config", '{"loadBalancingPolicy": "grpclb"}')], "grpclb"),
}

# Each opens what has options, with `options`, on the line that a warning should point at.
OPENERS = {
    "blocking": "grpc.insecure_channel(address, options).close()",
    "asyncio": "grpc.aio.insecure_channel(address, options)",
    "server": "grpc.server(concurrent.futures.ThreadPoolExecutor(1), options=options)",
    "asyncio server": "grpc.aio.server(options=options)",
}


def warned_of(program, **names):
    """The warnings of a program of its own: for each its line and text."""
    import subprocess
    import sys

    said = "import asyncio, concurrent.futures, sys, warnings; import grpc, grpc.aio\n"
    said += "".join(f"{name} = {value!r}\n" for name, value in names.items())
    said += "address = 'localhost:1'\nsys.stderr = sys.stdout\nasync def main():\n"
    said += "".join(f"    {line}\n" for line in program)
    said += "asyncio.run(main())\n"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=LONG)
    first = said.count("\n") - len(program)
    lines = [line for line in done.stdout.splitlines() if line.startswith("<string>:")]
    return [(int(line.split(":")[1]) - first, line.partition("Warning: ")[2]) for line in lines]


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("what", IDLE)
def test_what_has_no_effect_is_warned_of_where_a_user_sees_it(what, opener):
    """Once, at the line of the program that asks for it."""
    options, part = IDLE[what]
    if "server" in opener and what not in ("option", "option with a bad value"):
        assert warned_of([OPENERS[opener]], options=options) == []
        return
    ((line, text),) = warned_of([OPENERS[opener]] * 3, options=options)
    assert line == 0
    assert part in text and text.startswith("grpc: ")


@pytest.mark.parametrize("opener", OPENERS)
def test_variables_without_effect_are_warned_of(opener, monkeypatch):
    monkeypatch.setenv("GRPC_DNS_RESOLVER", "ares")
    monkeypatch.setenv("GRPC_EXPERIMENTS", "all")
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "1")
    warned = warned_of([OPENERS[opener]] * 3, options=[])
    assert [(line, text.split("environment's ")[1].split()[0]) for line, text in warned] == [
        (0, "GRPC_DNS_RESOLVER"),
        (0, "GRPC_EXPERIMENTS"),
    ]
    monkeypatch.setenv("GRPC_DNS_RESOLVER", "native")
    monkeypatch.delenv("GRPC_EXPERIMENTS")
    assert warned_of([OPENERS[opener]], options=[]) == []


def test_xds_is_warned_of():
    ((line, text),) = warned_of(["grpc.server(concurrent.futures.ThreadPoolExecutor(1), xds=True)"] * 2)
    assert line == 0 and "xds=True" in text
    ((line, text),) = warned_of(["grpc.xds_channel_credentials()"] * 2)
    assert line == 0 and "xds_channel_credentials" in text


@pytest.mark.parametrize(
    "policy",
    ["round_robin", "weighted_round_robin", "rls_experimental", "xds_wrr_locality_experimental", "grpclb"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_calls_are_made_although_the_policy_is_not_there(policy, serve):
    for config in ({"loadBalancingConfig": [{policy: {}}]}, {"loadBalancingPolicy": policy}):
        options = [("grpc.service_config", json.dumps(config))]
        peer = serve(channel_options=options, echo=("uu", lambda request, context: request))
        assert peer.uu("echo")(b"in") == b"in"


TARGETS = {
    "xds:///service": "xds",
    "nonsense://localhost:1": "nonsense",
    "http://localhost:1": "http",
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_that_nothing_resolves_is_refused_by_name(target):
    import asyncio

    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/a/b")(b"", timeout=LONG)

    async def call():
        async with grpc.aio.insecure_channel(target) as channel:
            await channel.unary_unary("/a/b")(b"", timeout=LONG)

    with pytest.raises(grpc.RpcError) as caught_there:
        asyncio.run(call())
    for error in (caught.value, caught_there.value):
        assert f'"{TARGETS[target]}"' in error.details() and target in error.details()


@pytest.mark.parametrize("key", ALL)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_value_of_the_wrong_type_is_warned_of_once(key, warnings):
    wrong = "three" if ALL[key] is int else 3
    for _ in range(3):
        open_and_close(key, wrong)
    (warning,) = warnings()
    assert key in warning and repr(wrong).strip("'") in warning and "takes" in warning


def test_a_float_is_warned_of(warnings):
    open_and_close("grpc.keepalive_time_ms", 10000.0)
    (warning,) = warnings()
    assert "grpc.keepalive_time_ms" in warning and "float" in warning and "an int" in warning


def test_an_unknown_option_is_warned_of_with_what_it_may_have_been_meant_to_be(warnings):
    open_and_close("grpc.max_recieve_message_length", 5)
    open_and_close("something.else", 5)
    first, second = warnings()
    assert "grpc.max_recieve_message_length" in first and "did you mean" in first
    assert "grpc.max_receive_message_length" in first
    assert "something.else" in second and "did you mean" not in second


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("grpc.default_compression_algorithm", 9),
        ("grpc.default_compression_level", 4),
        ("grpc.http2_scheme", "gopher"),
        ("grpc.lb_policy_name", "grpclb"),
        ("grpc.service_config", "{"),
    ],
)
def test_a_value_that_cannot_be_is_warned_of(key, value, warnings):
    open_and_close(key, value)
    assert all(key in warning for warning in warnings()) and warnings()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nothing_but_warnings_is_written_to_standard_error(capfd):
    open_and_close("grpc.no_such_option", 5)
    open_and_close("grpc.service_config", "]")
    assert capfd.readouterr().err == ""


# What they do. (Sizes, back-off and connectivity have files of their own, and so do compression and retries.)


def seen_metadata(serve, **arguments):
    peer = serve(see=("uu", lambda request, context: json.dumps(context.invocation_metadata()).encode()), **arguments)
    return dict(json.loads(peer.uu("see")(b"")))


def test_user_agents(serve):
    options = [("grpc.primary_user_agent", "me/1"), ("grpc.secondary_user_agent", "you/2")]
    agent = seen_metadata(serve, channel_options=options)["user-agent"]
    assert agent.startswith("me/1 grpc-python/") and agent.endswith(" you/2")


def test_a_server_closes_connections_that_are_too_old(serve):
    arguments = {"options": [("grpc.max_connection_age_ms", 200), ("grpc.max_connection_age_grace_ms", 200)]}
    peers = set()
    done = threading.Event()

    def who(request, context):
        peers.add(context.peer())
        if len(peers) >= 2:
            done.set()
        return b""

    peer = serve(server_arguments=arguments, who=("uu", who))
    while not done.is_set():
        peer.uu("who")(b"", timeout=LONG)


def states_of(channel):
    states, changed = [], threading.Condition()

    def tell(state):
        with changed:
            states.append(state)
            changed.notify_all()

    channel.subscribe(tell)

    def wait_for(*wanted):
        with changed:
            assert changed.wait_for(lambda: states[-len(wanted) :] == list(wanted), LONG), states

    return wait_for


def test_a_server_closes_connections_that_do_nothing(serve):
    arguments = {"options": [("grpc.max_connection_idle_ms", 200)]}
    peer = serve(server_arguments=arguments, echo=("uu", lambda request, context: request))
    wait_for = states_of(peer.channel)
    peer.uu("echo")(b"")
    wait_for(grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE)
    assert peer.uu("echo")(b"again") == b"again"


def test_a_channel_that_does_nothing_goes_idle(serve):
    options = [("grpc.client_idle_timeout_ms", 1)]  # A second, the least there is.
    peer = serve(channel_options=options, echo=("uu", lambda request, context: request))
    wait_for = states_of(peer.channel)
    peer.uu("echo")(b"")
    wait_for(grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE)
    assert peer.uu("echo")(b"again") == b"again"


def test_connections_past_the_limit_are_turned_away(serve):
    arguments = {"options": [("grpc.max_allowed_incoming_connections", 1)]}
    peer = serve(server_arguments=arguments, echo=("uu", lambda request, context: request))
    assert peer.uu("echo")(b"in") == b"in"
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(peer.address, options) as second:
        with pytest.raises(grpc.RpcError) as caught:
            second.unary_unary("/test/echo")(b"", timeout=LONG)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert peer.uu("echo")(b"still in") == b"still in"


def test_a_client_that_pings_too_often_is_cut_off_and_comes_back_slower(serve, gate):
    server_arguments = {"options": [("grpc.http2.max_ping_strikes", 1)]}
    interval = 0.05
    options = [
        ("grpc.keepalive_time_ms", int(interval * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]

    def wait(request, context):
        gate.wait_open()
        return b""

    peer = serve(server_arguments=server_arguments, channel_options=options, wait=("uu", wait))
    for attempt in range(4):
        started = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            peer.uu("wait")(b"", timeout=LONG, wait_for_ready=True)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        # At the second strike, and each time it waits twice as long before it pings.
        assert time.monotonic() - started >= 2 * interval * 2**attempt


def test_pings_that_nobody_answers_end_the_connection(serve):
    import socket

    # It is connected to by the kernel, and says its SETTINGS, and then nothing.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options = [("grpc.keepalive_time_ms", 100), ("grpc.keepalive_timeout_ms", 100)]
        with grpc.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}", options) as channel:
            future = channel.unary_unary("/a/b").future(b"", timeout=LONG)
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"\0\0\0\4\0\0\0\0\0" + b"\0\0\0\4\1\0\0\0\0")
                with pytest.raises(grpc.RpcError) as caught:
                    future.result()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "keepalive" in caught.value.details() or "ping" in caught.value.details()


def test_calls_wait_for_streams(serve, gate):
    arguments = {"options": [("grpc.max_concurrent_streams", 1)]}

    def wait(request, context):
        gate.wait_open()
        return b""

    peer = serve(server_arguments=arguments, wait=("uu", wait), echo=("uu", lambda request, context: request))
    first = peer.uu("wait").future(b"")
    gate.wait_entered()
    second = peer.uu("echo").future(b"second")
    with pytest.raises(grpc.FutureTimeoutError):
        second.result(timeout=0.1)
    gate.open.set()
    assert first.result(LONG) == b"" and second.result(LONG) == b"second"


@pytest.mark.parametrize(
    "options",
    [
        [("grpc.http2.max_frame_size", 16384), ("grpc.http2.lookahead_bytes", 65536), ("grpc.http2.bdp_probe", 0)],
        [("grpc.http2.write_buffer_size", 1), ("grpc.http2.hpack_table_size.decoder", 0)],
        [("grpc.tcp_receive_buffer_size", 262144), ("grpc.dscp", 46)],
        [("farcall.initial_stream_window", 1000), ("farcall.stream_window", 20_000), ("farcall.unread", 100_000)],
        [("farcall.incomplete", 1), ("farcall.overdraft", 1 << 30), ("farcall.connection_window", 70_000)],
        [("farcall.unsent", 1 << 20), ("farcall.request_headers", 10_000), ("farcall.header_block", 20_000)],
        [("farcall.resets", 10), ("farcall.resets_per_second", 1)],
    ],
)
def test_tuning_does_no_harm(serve, options):
    echo = ("uu", lambda request, context: request)
    peer = serve(server_arguments={"options": options}, channel_options=options, echo=echo)
    message = bytes(3_000_000)
    assert peer.uu("echo")(message) == message


def test_metadata_sizes(serve):
    options = [("grpc.absolute_max_metadata_size", 50_000)]
    peer = serve(server_arguments={"options": options}, echo=("uu", lambda request, context: request))
    assert peer.uu("echo")(b"", metadata=[("k", "v" * 40_000)]) == b""
    with pytest.raises(grpc.RpcError) as caught:
        peer.uu("echo")(b"", metadata=[("k", "v" * 60_000)])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def user_timeouts(port):
    """TCP_USER_TIMEOUT, in milliseconds, of this process's sockets on connections to a port: of clients, of servers."""
    client, server = set(), set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(fd))) as found:
                local, peer = found.getsockname(), found.getpeername()
                timeout = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        except (OSError, ValueError):
            continue
        if port in (local[1:2] or (0,)):
            server.add(timeout)
        if port in (peer[1:2] or (0,)):
            client.add(timeout)
    return client, server


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_peers_that_acknowledge_nothing_are_given_up(serve):
    """Clients that send keepalive do so, and servers always."""
    for options, expected in (
        (None, {0}),
        ([("grpc.keepalive_time_ms", 100_000)], {20_000}),
        ([("grpc.keepalive_time_ms", 100_000), ("grpc.keepalive_timeout_ms", 5000)], {5000}),
    ):
        peer = serve(echo=("uu", lambda request, context: request), channel_options=options)
        assert peer.uu("echo")(b"x") == b"x"
        assert user_timeouts(peer.port) == (expected, {20_000})
        peer.close()


def test_user_agents_name_each_part_once(serve):
    agent = seen_metadata(serve)["user-agent"]
    assert re.fullmatch(r"grpc-python/[\d.]+ (farcall|grpc-c)/[\d.]+ \(.*\)", agent), agent
