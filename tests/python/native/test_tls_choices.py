"""`farcall.tls`: what `grpc` does not offer."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import threading
from concurrent import futures

import grpc
import pytest
from farcall import tls

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from certificates import Authority
from peers import LONG


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def localhost(authority):
    return authority.issue("server", "DNS:localhost")


@contextlib.contextmanager
def serving(credentials):
    server = grpc.server(futures.ThreadPoolExecutor(4))
    handlers = {"who": grpc.unary_unary_rpc_method_handler(lambda _, context: repr(context.peer_identities()).encode())}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield f"localhost:{port}"
    server.stop(None)


def ask(target, credentials):
    with grpc.secure_channel(target, credentials) as channel:
        return eval(channel.unary_unary("/test/who")(b"", timeout=LONG))


def failure(target, credentials):
    with pytest.raises(grpc.RpcError) as raised:
        ask(target, credentials)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    return raised.value.details()


def test_less_may_be_verified(authority):
    stranger = Authority("Elsewhere").issue("stranger", "DNS:elsewhere")
    with serving(tls.server_credentials([stranger])) as target:
        assert ask(target, tls.channel_credentials(authority.root, verify="none")) is None
        assert "CERTIFICATE_VERIFY_FAILED" in failure(target, tls.channel_credentials(authority.root, verify="chain"))
    elsewhere = authority.issue("elsewhere", "DNS:elsewhere")
    with serving(tls.server_credentials([elsewhere])) as target:
        assert ask(target, tls.channel_credentials(authority.root, verify="chain")) is None
        assert "Hostname Verification" in failure(target, tls.channel_credentials(authority.root))


def test_more_may_be_checked(authority, localhost):
    seen = []

    def check(certificates):
        seen.append(certificates)
        if len(seen) > 1:
            raise ValueError("not twice")

    with serving(tls.server_credentials([localhost])) as target:
        credentials = tls.channel_credentials(authority.root, check=check)
        assert ask(target, credentials) is None
        assert "Custom verification check failed with error: UNAUTHENTICATED: not twice" in failure(target, credentials)
    assert seen[0][0].startswith(b"0\x82")


def test_the_clients_certificate_may_change(authority, localhost):
    pairs = [authority.issue("first"), authority.issue("second")]
    with serving(tls.server_credentials([localhost], authority.root, clients="required")) as target:
        credentials = tls.channel_credentials(authority.root, identity=lambda: pairs.pop(0) if pairs else None)
        assert ask(target, credentials) == [b"first"]
        assert ask(target, credentials) == [b"second"]
        assert "Socket closed" in failure(target, credentials)


def test_clients_may_have_certificates_or_not(authority, localhost):
    with serving(tls.server_credentials([localhost], authority.root, clients="optional")) as target:
        assert ask(target, grpc.ssl_channel_credentials(authority.root)) is None
        client = authority.issue("client")
        assert ask(target, grpc.ssl_channel_credentials(authority.root, *client)) == [b"client"]
        stranger = Authority("Elsewhere").issue("stranger")
        assert "Socket closed" in failure(target, grpc.ssl_channel_credentials(authority.root, *stranger))


def test_arguments_are_checked(localhost):
    with pytest.raises(TypeError):
        tls.channel_credentials("text")
    with pytest.raises(ValueError):
        tls.channel_credentials(verify="some")
    with pytest.raises(ValueError):
        tls.channel_credentials(key=b"", identity=lambda: None)
    with pytest.raises(ValueError, match="private key does not belong"):
        tls.server_credentials([(Authority().issue("other").key, localhost.chain)])
    with pytest.raises(ValueError):
        tls.server_credentials([localhost], clients="required")


class Vault:
    """Signs with openssl, so that the key is nowhere in the program."""

    def __init__(self, folder, pair):
        self.key = folder / "vault.key"
        self.key.write_bytes(pair.key)
        self.folder = folder
        self.algorithms = []

    def sign(self, data, algorithm):
        self.algorithms.append(algorithm)
        (self.folder / "data").write_bytes(data)
        command = ["openssl", "dgst", "-sha256", "-sign", self.key, self.folder / "data"]
        return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize("how", ["now", "later", "fails"])
def test_a_signer_may_have_the_key(authority, localhost, tmp_path, how):
    client = authority.issue("client")
    vault = Vault(tmp_path, client)
    given_up = []

    def sign(data, algorithm, on_complete):
        if how == "now":
            return vault.sign(data, algorithm)
        answer = vault.sign(data, algorithm) if how == "later" else ValueError("the vault is closed")
        threading.Timer(0.05, on_complete, (answer,)).start()
        return lambda: given_up.append(True)

    with pytest.warns(grpc.experimental.ExperimentalApiWarning) if how == "now" else contextlib.nullcontext():
        credentials = grpc.experimental.ssl_channel_credentials_with_custom_signer(
            private_key_sign_fn=sign, root_certificates=authority.root, certificate_chain=client.chain
        )
    with serving(tls.server_credentials([localhost], authority.root, clients="required")) as target:
        if how == "fails":
            assert "the vault is closed" in failure(target, credentials)
        else:
            assert ask(target, credentials) == [b"client"]
            algorithms = grpc.experimental.PrivateKeySignatureAlgorithm
            assert vault.algorithms == [algorithms.ECDSA_SECP256R1_SHA256]
    assert not given_up
