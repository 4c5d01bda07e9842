"""TLS, local security and credentials of calls on asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import socket
import sys
import threading

import grpc
import pytest
from grpc import aio

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from certificates import Authority
from peers import LONG


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def localhost(authority):
    return authority.issue("server", "DNS:localhost", "DNS:*.example.org")


async def describe(_request, context):
    own = [tuple(pair) for pair in context.invocation_metadata() if pair[0] != "user-agent"]
    seen = (dict(context.auth_context()), context.peer_identities(), context.peer_identity_key(), own)
    return repr(seen).encode()


async def echo(requests, _context):
    async for request in requests:
        yield request


@contextlib.asynccontextmanager
async def serving(credentials, address="localhost:0"):
    """A server with these credentials; its port."""
    server = aio.server()
    handlers = {
        "describe": grpc.unary_unary_rpc_method_handler(describe),
        "echo": grpc.stream_stream_rpc_method_handler(echo),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def ask(target, credentials, options=None, with_call=None):
    async with aio.secure_channel(target, credentials, options) as channel:
        method = channel.unary_unary("/test/describe")
        return eval(await method(b"", timeout=LONG, credentials=with_call))


async def failure(target, credentials, options=None, with_call=None):
    with pytest.raises(aio.AioRpcError) as raised:
        await ask(target, credentials, options, with_call)
    return raised.value.code(), raised.value.details()


def test_both_ends_know_each_other(run, authority, localhost):
    client = authority.issue("client.example", "DNS:client.example")

    async def test():
        async with serving(grpc.ssl_server_credentials([localhost], authority.root, True)) as port:
            credentials = grpc.ssl_channel_credentials(authority.root, *client)
            context, identities, key, _ = await ask(f"localhost:{port}", credentials)
            assert (identities, key) == ([b"client.example"], "x509_subject_alternative_name")
            assert context["transport_security_type"] == [b"ssl"]
            assert context["x509_pem_cert"] == [client.chain]
            assert context["ssl_requested_server_name"] == [b"localhost"]
            code, details = await failure(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root))
            assert code is grpc.StatusCode.UNAVAILABLE and "Socket closed" in details

    run(test())


def test_failures_are_told_in_grpcios_words(run, authority, localhost):
    async def test():
        async with serving(grpc.ssl_server_credentials([localhost])) as port:
            target, credentials = f"localhost:{port}", grpc.ssl_channel_credentials(authority.root)
            _, details = await failure(target, credentials, [("grpc.ssl_target_name_override", "wrong.name")])
            assert "UNAUTHENTICATED: Hostname Verification Check failed." in details
            _, details = await failure(target, grpc.ssl_channel_credentials(Authority("Other").root))
            assert "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate" in details
            _, details = await failure(target, grpc.ssl_channel_credentials(b"junk"))
            assert "Failed to create security handshaker." in details
            assert await ask(target, credentials, [("grpc.ssl_target_name_override", "foo.example.org")])
        async with serving(grpc.insecure_server_credentials()) as port:
            _, details = await failure(f"localhost:{port}", credentials)
            assert "WRONG_VERSION_NUMBER" in details

    run(test())


def test_streams_and_large_messages_pass(run, authority, localhost):
    messages = [bytes([index]) * size for index, size in enumerate([0, 1, 16_384, 100_000, 3_000_000, 5])]

    async def test():
        async with (
            serving(grpc.ssl_server_credentials([localhost])) as port,
            aio.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root)) as channel,
        ):
            call = channel.stream_stream("/test/echo")(messages, timeout=LONG)
            assert [response async for response in call] == messages

    run(test())


def test_many_calls_share_a_connection(run, authority, localhost):
    async def test():
        async with (
            serving(grpc.ssl_server_credentials([localhost])) as port,
            aio.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root)) as channel,
        ):
            method = channel.unary_unary("/test/describe")
            assert len(await asyncio.gather(*(method(b"", timeout=LONG) for _ in range(200)))) == 200

    run(test())


def test_a_slow_client_does_not_hold_up_others(run, authority, localhost):
    async def test():
        async with serving(grpc.ssl_server_credentials([localhost])) as port:
            idlers = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
            for idler in idlers:
                idler.sendall(b"\x16\x03\x01\x02\x00\x01")
            assert await ask(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root))
            for idler in idlers:
                idler.close()

    run(test())


def test_certificates_may_change_while_the_server_runs(run, authority, localhost):
    elsewhere = Authority("Elsewhere")
    other = grpc.ssl_server_certificate_configuration([elsewhere.issue("other", "DNS:localhost")])
    answers = [None, other, None]

    async def test():
        initial = grpc.ssl_server_certificate_configuration([localhost])
        # grpcio asks once before the first handshake.
        credentials = grpc.dynamic_ssl_server_credentials(initial, lambda: answers.pop(0) if answers else None)
        async with serving(credentials) as port:
            answers[:] = [None, other, None]
            for root in (authority.root, elsewhere.root, elsewhere.root):
                assert await ask(f"localhost:{port}", grpc.ssl_channel_credentials(root))

    run(test())


def test_one_machine_is_enough_for_local_credentials(run, tmp_path):
    async def test():
        uds, tcp = grpc.LocalConnectionType.UDS, grpc.LocalConnectionType.LOCAL_TCP
        address = f"unix:{tmp_path}/socket"
        async with serving(grpc.local_server_credentials(uds), address):
            assert (await ask(address, grpc.local_channel_credentials(uds)))[1] == [b"local"]
        async with serving(grpc.local_server_credentials(tcp)) as port:
            assert (await ask(f"localhost:{port}", grpc.local_channel_credentials(tcp)))[1] == [b"local"]

    run(test())


class Plugin(grpc.AuthMetadataPlugin):
    def __init__(self, behavior):
        self.behavior = behavior

    def __call__(self, context, callback):
        self.behavior(context, callback)


def plugin(behavior):
    return grpc.metadata_call_credentials(Plugin(behavior))


def test_credentials_go_with_calls(run, authority, localhost):
    def later(context, callback):
        threading.Timer(0.02, callback, ((("key", context.method_name),), None)).start()

    async def test():
        token = grpc.access_token_call_credentials("token")
        async with serving(grpc.ssl_server_credentials([localhost])) as port:
            plain = grpc.ssl_channel_credentials(authority.root)
            target = f"localhost:{port}"
            assert (await ask(target, plain, with_call=token))[3] == [("authorization", "Bearer token")]
            assert (await ask(target, plain, with_call=plugin(later)))[3] == [("key", "describe")]
            both = grpc.composite_channel_credentials(plain, token)
            expected = [("authorization", "Bearer token"), ("key", "describe")]
            assert (await ask(target, both, with_call=plugin(later)))[3] == expected
            assert (await ask(target, both))[3] == expected[:1]

    run(test())


def test_credentials_that_fail_fail_the_call(run, authority, localhost):
    async def test():
        async with serving(grpc.ssl_server_credentials([localhost])) as port:
            target, plain = f"localhost:{port}", grpc.ssl_channel_credentials(authority.root)
            says_no = plugin(lambda _context, callback: callback((), ValueError("nope")))
            details = "Getting metadata from plugin failed with error: nope"
            assert await failure(target, plain, with_call=says_no) == (grpc.StatusCode.UNAVAILABLE, details)
            illegal = plugin(lambda _context, callback: callback((("A key", "value"),), None))
            assert await failure(target, plain, with_call=illegal) == (
                grpc.StatusCode.UNAVAILABLE,
                "Illegal metadata",
            )
            async with aio.secure_channel(target, plain) as channel:
                never = plugin(lambda _context, _callback: None)
                with pytest.raises(aio.AioRpcError) as raised:
                    await channel.unary_unary("/test/describe")(b"", timeout=0.2, credentials=never)
                assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                call = channel.unary_unary("/test/describe")(b"", timeout=LONG, credentials=never)
                await asyncio.sleep(0)
                assert call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call

    run(test())


def test_plain_text_carries_no_credentials(run):
    async def test():
        async with aio.insecure_channel("localhost:1") as channel:
            with pytest.raises(aio.UsageError, match="Call credentials are only valid on secure channels"):
                await channel.unary_unary("/test/describe")(
                    b"", credentials=grpc.access_token_call_credentials("token")
                )

    run(test())
