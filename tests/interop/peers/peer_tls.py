"""TLS for the Python peers: INTEROP_TLS names a folder of certificates; without it everything is plain text."""

import os
import pathlib
import ssl


def folder():
    """Where certificates are: roots.pem, and client or server with .key and .pem. None: no TLS."""
    named = os.environ.get("INTEROP_TLS")
    return pathlib.Path(named) if named else None


def is_mutual():
    """Whether clients have certificates too."""
    return bool(os.environ.get("INTEROP_MUTUAL"))


def read(*names):
    return [(folder() / name).read_bytes() for name in names]


def channel_credentials(grpc):
    own = ("client.key", "client.pem") if is_mutual() else ()
    return grpc.ssl_channel_credentials(*read("roots.pem", *own))


def server_credentials(grpc):
    pair = read("server.key", "server.pem")
    return grpc.ssl_server_credentials([pair], *(read("roots.pem") if is_mutual() else (None,)), is_mutual())


def context(server):
    """The same for asyncio."""
    purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
    made = ssl.create_default_context(purpose, cafile=folder() / "roots.pem")
    made.set_alpn_protocols(["h2"])
    if server or is_mutual():
        own = "server" if server else "client"
        made.load_cert_chain(folder() / f"{own}.pem", folder() / f"{own}.key")
    if server and is_mutual():
        made.verify_mode = ssl.CERT_REQUIRED
    return made
