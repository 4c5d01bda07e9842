"""TLS with choices that `grpc` does not offer.

    credentials = farcall.tls.channel_credentials(roots=pem, identity=lambda: (read(key), read(chain)))
    channel = grpc.secure_channel("example.org:443", credentials)

Everything is PEM. What is made here is used wherever `grpc` takes credentials, `grpc.aio` included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import grpc

from farcall import _finder

if not str(grpc.__file__).startswith(_finder.PACKAGES):
    raise ImportError(
        f"farcall.tls makes credentials for Farcall's grpc, and this is {grpc.__file__}: see python -m farcall"
    )

from farcall import _native

__all__ = ["channel_credentials", "server_credentials"]


def channel_credentials(
    roots: bytes | None = None,
    *,
    key: bytes | None = None,
    certificate_chain: bytes | None = None,
    identity: Callable[[], tuple[bytes, bytes] | None] | None = None,
    verify: Literal["full", "chain", "none"] = "full",
    check: Callable[[list[bytes]], object] | None = None,
) -> grpc.ChannelCredentials:
    """Channel credentials for TLS.

    Args:
      roots: whom to trust; None for the default roots, as in `grpc.ssl_channel_credentials`.
      key: the client's private key, if it has one.
      certificate_chain: the client's certificates, its own first.
      identity: asked at each handshake for (key, certificate chain), or None for nobody in particular; for
        certificates that are renewed while the program runs. Takes the place of the two above. What it raises is
        reported, and the client goes without a certificate.
      verify: "full"; "chain" does not ask whether the server's certificate is for its name; "none" asks nothing, so
        that anybody may stand in the way and listen.
      check: called with the server's certificates in DER, its own first, after the other checks; raises to refuse
        them, and its words are in the details of calls that fail.

    `identity` and `check` run on a thread of their own, which may take its time.
    """
    if not isinstance(roots, (bytes, type(None))):
        raise TypeError(f"expected roots to be bytes, got {type(roots)}")
    if identity is not None and (key is not None or certificate_chain is not None):
        raise ValueError("identity takes the place of key and certificate_chain")
    return grpc.ChannelCredentials(
        _native.ChannelSecurity.tls(roots, key, certificate_chain, identity=identity, verify=verify, check=check)
    )


def server_credentials(
    pairs: Sequence[tuple[bytes, bytes]],
    roots: bytes | None = None,
    *,
    clients: Literal["none", "optional", "required"] = "none",
) -> grpc.ServerCredentials:
    """Server credentials for TLS.

    Args:
      pairs: a private key and its certificate chain for each name that the server has.
      roots: whom to trust about clients.
      clients: whether they show certificates: "optional" ones are checked if there are any.

    Raises:
      ValueError: says what is wrong with them.
    """
    return grpc.ServerCredentials(_native.ServerSecurity.tls(list(pairs), roots, clients))
