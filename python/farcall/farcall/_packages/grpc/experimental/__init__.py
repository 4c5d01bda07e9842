"""Parts of the API that may change, and calls without a channel of one's own."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import grpc
from grpc._cython.cygrpc import PrivateKeySignatureAlgorithm as PrivateKeySignatureAlgorithm
from grpc._engine import native
from grpc._experimental import ExperimentalApiWarning
from grpc._experimental import experimental_api as experimental_api
from grpc._simple_stubs import (
    insecure_channel_credentials,
    stream_stream,
    stream_unary,
    unary_stream,
    unary_unary,
)


def __getattr__(name: str) -> Any:
    if name == "aio":
        import importlib

        return importlib.import_module("grpc.experimental.aio")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class ChannelOptions:
    """Channel options that only the Python API knows."""

    #: Have response streams without a thread behind them.
    SingleThreadedUnaryStream = "SingleThreadedUnaryStream"


class UsageError(Exception):
    """An object was used in a way its state does not allow."""


def wrap_server_method_handler(wrapper: Callable[[Callable[..., Any]], Callable[..., Any]], handler: Any) -> Any:
    """The handler with its behavior replaced by `wrapper(behavior)`; None for None.

    Args:
      wrapper: takes the behavior and answers one with the same arguments.
      handler: an RpcMethodHandler made by the functions of this package.
    """
    if not handler:
        return None
    kind = (
        ("stream" if handler.request_streaming else "unary")
        + "_"
        + ("stream" if handler.response_streaming else "unary")
    )
    return handler._replace(**{kind: wrapper(getattr(handler, kind))})


#: Gives up an answer that is still to come.
PrivateKeySignCancel = Callable[[], None]
#: Takes a signature that comes later, or why there is none.
PrivateKeySignOnComplete = Callable[[bytes | Exception], None]
#: Takes the data (not hashed yet), the algorithm and what to call when it has no signature to return yet.
CustomPrivateKeySign = Callable[
    [bytes, PrivateKeySignatureAlgorithm, PrivateKeySignOnComplete], "bytes | PrivateKeySignCancel"
]

# How long a signature may take: connecting does not wait longer either.
_SIGNING = 20.0

# By the numbers of TLS.
_ALGORITHMS = {
    0x0401: PrivateKeySignatureAlgorithm.RSA_PKCS1_SHA256,
    0x0501: PrivateKeySignatureAlgorithm.RSA_PKCS1_SHA384,
    0x0601: PrivateKeySignatureAlgorithm.RSA_PKCS1_SHA512,
    0x0403: PrivateKeySignatureAlgorithm.ECDSA_SECP256R1_SHA256,
    0x0503: PrivateKeySignatureAlgorithm.ECDSA_SECP384R1_SHA384,
    0x0603: PrivateKeySignatureAlgorithm.ECDSA_SECP521R1_SHA512,
    0x0804: PrivateKeySignatureAlgorithm.RSA_PSS_RSAE_SHA256,
    0x0805: PrivateKeySignatureAlgorithm.RSA_PSS_RSAE_SHA384,
    0x0806: PrivateKeySignatureAlgorithm.RSA_PSS_RSAE_SHA512,
}


def _signature(sign: CustomPrivateKeySign, data: bytes, algorithm: int) -> bytes:
    """The signature that a user's function makes, now or later. Runs on a thread that waits for nothing else."""
    done = threading.Event()
    answers: list[bytes | Exception] = []

    def on_complete(answer: bytes | Exception) -> None:
        answers.append(answer)
        done.set()

    returned = sign(data, _ALGORITHMS[algorithm], on_complete)
    if isinstance(returned, bytes):
        return returned
    if not done.wait(_SIGNING):
        returned()
        raise TimeoutError("no signature came in time")
    answer = answers[0]
    if isinstance(answer, bytes):
        return answer
    raise answer


@experimental_api
def ssl_channel_credentials_with_custom_signer(
    *,
    private_key_sign_fn: CustomPrivateKeySign,
    root_certificates: bytes | None = None,
    certificate_chain: bytes,
) -> grpc.ChannelCredentials:
    """Channel credentials for TLS whose private key is used by `private_key_sign_fn` only.

    Args:
      private_key_sign_fn: answers the signature, or a function that gives it up; it then passes the signature, or an
        exception, to its third argument later.
      root_certificates: PEM of the roots to trust; None for the default roots.
      certificate_chain: PEM of the client's certificates, whose key signs.
    """
    sign = functools.partial(_signature, private_key_sign_fn)
    return grpc.ChannelCredentials(native.ChannelSecurity.tls(root_certificates, None, certificate_chain, sign=sign))


__all__ = (
    "ChannelOptions",
    "ExperimentalApiWarning",
    "UsageError",
    "insecure_channel_credentials",
    "ssl_channel_credentials_with_custom_signer",
    "stream_stream",
    "stream_unary",
    "unary_stream",
    "unary_unary",
    "wrap_server_method_handler",
)
