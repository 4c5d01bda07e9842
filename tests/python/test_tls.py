"""TLS by the public API: who trusts whom, what both know then, and what they are told otherwise."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from concurrent import futures

import grpc
import pytest
from certificates import Authority
from grpc.experimental import session_cache
from peers import LONG


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def localhost(authority):
    return authority.issue("server", "DNS:localhost", "DNS:*.example.org", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def client_pair(authority):
    return authority.issue("client.example", "DNS:client.example", "IP:10.0.0.1", "URI:spiffe://x/y", organization="Us")


def describe(_request, context):
    return repr((context.auth_context(), context.peer_identities(), context.peer_identity_key())).encode()


@pytest.fixture
def serve():
    """Serves with credentials; answers the port."""
    with contextlib.ExitStack() as ends:

        def start(credentials, address="localhost:0", options=None):
            server = grpc.server(futures.ThreadPoolExecutor(4), options=options)
            handlers = {
                "describe": grpc.unary_unary_rpc_method_handler(describe),
                "echo": grpc.stream_stream_rpc_method_handler(lambda requests, _context: requests),
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
            port = server.add_secure_port(address, credentials)
            server.start()
            ends.callback(server.stop, None)
            return port

        yield start


def ask(target, credentials, options=None):
    """What the server knows of a client with these credentials: auth context, identities, their key."""
    with grpc.secure_channel(target, credentials, options) as channel:
        return eval(channel.unary_unary("/test/describe")(b"", timeout=LONG))


def failure(target, credentials, options=None):
    with pytest.raises(grpc.RpcError) as raised:
        ask(target, credentials, options)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    return raised.value.details()


def test_a_server_is_known_by_its_certificate(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    credentials = grpc.ssl_channel_credentials(authority.root)
    context, identities, key = ask(f"localhost:{port}", credentials)
    assert (identities, key) == (None, None)
    assert context == {
        "transport_security_type": [b"ssl"],
        "security_level": [b"TSI_PRIVACY_AND_INTEGRITY"],
        "ssl_session_reused": [b"false"],
        "ssl_requested_server_name": [b"localhost"],
        "ssl_tls_version": [b"TLSv1.3"],
        "ssl_negotiated_key_exchange_group": [b"X25519MLKEM768"],
    }
    # An address is not asked for by name.
    assert "ssl_requested_server_name" not in ask(f"127.0.0.1:{port}", credentials)[0]


def test_a_client_is_known_by_its_certificate(serve, authority, localhost, client_pair):
    port = serve(grpc.ssl_server_credentials([localhost], authority.root, True))
    credentials = grpc.ssl_channel_credentials(authority.root, *client_pair)
    context, identities, key = ask(f"localhost:{port}", credentials)
    names = [b"client.example", b"10.0.0.1", b"spiffe://x/y"]
    assert (identities, key) == (names, "x509_subject_alternative_name")
    assert context["x509_subject"] == [b"CN=client.example,O=Us"]
    assert context["x509_common_name"] == [b"client.example"]
    assert context["x509_pem_cert"] == [client_pair.chain]
    assert context["x509_subject_alternative_name"] == names
    assert context["peer_dns"] == names[:1]
    assert context["peer_ip"] == names[1:2]
    assert context["peer_uri"] == context["peer_spiffe_id"] == names[2:]


def test_without_other_names_the_common_name_is_who_the_client_is(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost], authority.root, True))
    credentials = grpc.ssl_channel_credentials(authority.root, *authority.issue("nobody else"))
    _, identities, key = ask(f"localhost:{port}", credentials)
    assert (identities, key) == ([b"nobody else"], "x509_common_name")


def test_who_needs_a_certificate_and_has_none_is_refused(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost], authority.root, True))
    assert "Socket closed" in failure(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root))
    stranger = Authority("Elsewhere").issue("stranger")
    assert "Socket closed" in failure(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root, *stranger))


def test_other_names_are_refused_unless_they_are_asked_for(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    target, credentials = f"localhost:{port}", grpc.ssl_channel_credentials(authority.root)
    text = failure(target, credentials, [("grpc.ssl_target_name_override", "wrong.name")])
    assert "failed to connect to all addresses; last error: UNKNOWN: ipv" in text
    assert "Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed." in text
    for option in ("grpc.ssl_target_name_override", "grpc.default_authority"):
        context, _, _ = ask(target, credentials, [(option, "foo.example.org")])
        assert context["ssl_requested_server_name"] == [b"foo.example.org"]


def test_whom_nobody_vouches_for_is_not_trusted(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    text = failure(f"localhost:{port}", grpc.ssl_channel_credentials(Authority("Other").root))
    assert "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: " in text
    assert "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate" in text


def test_certificates_have_their_time(serve, authority):
    for dates, why in (
        (("20200101000000Z", "20200201000000Z"), "certificate has expired"),
        (("20490101000000Z", "20500101000000Z"), "certificate is not yet valid"),
    ):
        pair = authority.issue("server", "DNS:localhost", dates=dates)
        port = serve(grpc.ssl_server_credentials([pair]))
        assert why in failure(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root))


def test_a_certificate_may_be_its_own_root(serve, authority):
    pair = authority.self_signed("localhost")
    port = serve(grpc.ssl_server_credentials([pair]))
    assert ask(f"localhost:{port}", grpc.ssl_channel_credentials(pair.chain))


def test_a_server_may_have_a_certificate_for_each_name(serve, authority):
    pairs = [authority.issue(name, f"DNS:{name}") for name in ("one.example", "two.example")]
    port = serve(grpc.ssl_server_credentials(pairs))
    credentials = grpc.ssl_channel_credentials(authority.root)
    for name in ("one.example", "two.example"):
        assert ask(f"localhost:{port}", credentials, [("grpc.ssl_target_name_override", name)])
    wrong = [("grpc.ssl_target_name_override", "three.example")]
    assert "Hostname Verification" in failure(f"localhost:{port}", credentials, wrong)


@pytest.mark.parametrize("which", ["roots", "key", "pair"])
def test_what_is_no_certificate_shows_in_calls(serve, authority, localhost, client_pair, which):
    port = serve(grpc.ssl_server_credentials([localhost]))
    credentials = {
        "roots": lambda: grpc.ssl_channel_credentials(b"junk"),
        "key": lambda: grpc.ssl_channel_credentials(authority.root, b"junk", client_pair.chain),
        "pair": lambda: grpc.ssl_channel_credentials(authority.root, localhost.key, client_pair.chain),
    }[which]()
    assert "Failed to create security handshaker." in failure(f"localhost:{port}", credentials)


def test_what_is_no_certificate_shows_when_a_port_is_added(serve, localhost, client_pair):
    for pair in ((b"junk", b"junk"), (localhost.key, client_pair.chain)):
        with pytest.raises(RuntimeError, match="Failed to bind to address localhost:0"):
            serve(grpc.ssl_server_credentials([pair]))
    with pytest.raises(ValueError):
        grpc.ssl_server_credentials([])
    with pytest.raises(ValueError):
        grpc.ssl_server_credentials([localhost], None, True)
    with pytest.raises(TypeError, match="expected certificate to be bytes, got"):
        grpc.ssl_channel_credentials("text")


def test_roots_may_come_from_the_environment(serve, authority, localhost, monkeypatch):
    port = serve(grpc.ssl_server_credentials([localhost]))
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(authority.folder / "ca.pem"))
    assert ask(f"localhost:{port}", grpc.ssl_channel_credentials())


def test_streams_and_large_messages_pass(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    credentials = grpc.ssl_channel_credentials(authority.root)
    messages = [bytes([index]) * size for index, size in enumerate([0, 1, 16_384, 100_000, 3_000_000, 5])]
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        echo = channel.stream_stream("/test/echo")
        assert list(echo(iter(messages), timeout=LONG)) == messages
        assert list(echo(iter([b"x"] * 2000), timeout=LONG)) == [b"x"] * 2000


def test_plain_text_and_tls_do_not_mix(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary("/test/describe")(b"", timeout=LONG)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    plain = serve(grpc.insecure_server_credentials())
    text = failure(f"localhost:{plain}", grpc.ssl_channel_credentials(authority.root))
    assert "WRONG_VERSION_NUMBER" in text


@contextlib.contextmanager
def tls_server(pair, tmp_path, alpn=None, silent=False):
    """A TLS server that is no gRPC server; answers the port."""
    (tmp_path / "key").write_bytes(pair.key)
    (tmp_path / "chain").write_bytes(pair.chain)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    if alpn:
        tls.set_alpn_protocols(alpn)
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
                held.append(connection)
                if not silent:
                    held.append(tls.wrap_socket(connection, server_side=True))
            except ssl.SSLError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for each in held:
        each.close()


@pytest.mark.parametrize("alpn", [None, ["http/1.1"]])
def test_who_does_not_agree_to_http2_is_refused(authority, localhost, tmp_path, alpn):
    with tls_server(localhost, tmp_path, alpn) as port:
        text = failure(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root))
    assert "Cannot check peer: missing selected ALPN property." in text


def test_a_server_that_says_nothing_does_not_outlast_the_deadline(authority, localhost, tmp_path):
    with (
        tls_server(localhost, tmp_path, silent=True) as port,
        grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root)) as channel,
        pytest.raises(grpc.RpcError) as raised,
    ):
        channel.unary_unary("/test/describe")(b"", timeout=0.3)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_slow_client_does_not_hold_up_others(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    idlers = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for idler in idlers:
        # The beginning of a record that never comes.
        idler.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert ask(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root))
    for idler in idlers:
        idler.close()


def test_a_handshake_that_takes_too_long_is_given_up(serve, localhost):
    options = [("grpc.server_handshake_timeout_ms", 500)]
    port = serve(grpc.ssl_server_credentials([localhost]), options=options)
    with socket.create_connection(("127.0.0.1", port), LONG) as idler:
        idler.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert idler.recv(100) == b""


def test_a_flood_of_handshakes_does_not_shut_others_out(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    # The beginning of a long ClientHello.
    begun = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + bytes(8000)
    with contextlib.ExitStack() as flood:
        for _ in range(200):
            flood.enter_context(socket.create_connection(("127.0.0.1", port), LONG)).sendall(begun)
        assert ask(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root))


def test_a_client_of_plain_tls_that_asks_for_no_protocol_is_refused(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=authority.root.decode())
    with (
        socket.create_connection(("127.0.0.1", port), LONG) as connection,
        contextlib.suppress(ssl.SSLError, ConnectionResetError),
    ):
        wrapped = tls.wrap_socket(connection, server_hostname="localhost")
        # No SETTINGS come.
        assert wrapped.recv(100) == b""


def test_sessions_are_resumed_from_a_cache(serve, authority, localhost):
    port = serve(grpc.ssl_server_credentials([localhost]))
    credentials = grpc.ssl_channel_credentials(authority.root)
    cached = [("grpc.ssl_session_cache", session_cache.ssl_session_cache_lru(1))]
    reused = [
        ask(f"localhost:{port}", credentials, options)[0]["ssl_session_reused"] for options in (cached, cached, [])
    ]
    assert reused == [[b"false"], [b"true"], [b"false"]]


class Fetcher:
    """Answers configurations and counts."""

    def __init__(self):
        self.asked = 0
        self.answer = lambda: None

    def __call__(self):
        self.asked += 1
        return self.answer()


def test_certificates_may_change_while_the_server_runs(serve, authority, localhost):
    elsewhere = Authority("Elsewhere")
    initial = grpc.ssl_server_certificate_configuration([localhost])
    other = grpc.ssl_server_certificate_configuration([elsewhere.issue("other", "DNS:localhost")])
    fetcher = Fetcher()
    port = serve(grpc.dynamic_ssl_server_credentials(initial, fetcher))
    fetcher.asked = 0
    ours = grpc.ssl_channel_credentials(authority.root)
    theirs = grpc.ssl_channel_credentials(elsewhere.root)
    assert ask(f"localhost:{port}", ours)
    assert fetcher.asked == 1
    fetcher.answer = lambda: other
    assert ask(f"localhost:{port}", theirs)
    for useless in (lambda: None, lambda: "nonsense", lambda: 1 / 0):
        fetcher.answer = useless
        assert ask(f"localhost:{port}", theirs)
    assert "CERTIFICATE_VERIFY_FAILED" in failure(f"localhost:{port}", ours)
    with pytest.raises(TypeError):
        grpc.dynamic_ssl_server_credentials(initial, "nothing to call")
    with pytest.raises(TypeError):
        grpc.dynamic_ssl_server_credentials("no configuration", fetcher)


def test_one_machine_is_enough_for_local_credentials(serve, tmp_path):
    uds, tcp = grpc.LocalConnectionType.UDS, grpc.LocalConnectionType.LOCAL_TCP
    address = f"unix:{tmp_path}/socket"
    serve(grpc.local_server_credentials(uds), address)
    port = serve(grpc.local_server_credentials(tcp))
    for target, kind in ((address, uds), (f"localhost:{port}", tcp)):
        context, identities, key = ask(target, grpc.local_channel_credentials(kind))
        assert context == {
            "transport_security_type": [b"local"],
            "security_level": [b"TSI_PRIVACY_AND_INTEGRITY"],
        }
        assert (identities, key) == ([b"local"], "transport_security_type")
    assert "Endpoint is neither UDS or TCP loopback address." in failure(address, grpc.local_channel_credentials(tcp))


def test_credentials_of_others_fall_back(serve, authority, localhost):
    port = serve(grpc.xds_server_credentials(grpc.ssl_server_credentials([localhost])))
    assert ask(f"localhost:{port}", grpc.xds_channel_credentials(grpc.ssl_channel_credentials(authority.root)))


def test_what_needs_google_cloud_says_so_at_once(serve):
    with grpc.secure_channel("localhost:1", grpc.alts_channel_credentials()) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary("/test/describe")(b"", timeout=LONG)
        assert "Failed to create channel to 'localhost:1':No credentials provided" in raised.value.details()
    with pytest.raises(RuntimeError):
        serve(grpc.alts_server_credentials())
