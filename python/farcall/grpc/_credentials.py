"""Credentials: who one is and whom one trusts.

Call credentials are complete objects, but an insecure channel refuses them and there are only insecure channels yet:
everything that needs TLS, ALTS or xDS raises NotImplementedError that says so, and nothing falls back to plain text.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from grpc._vocabulary import LocalConnectionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from grpc._typing import MetadataToSend


def _missing(what: str) -> NoReturn:
    raise NotImplementedError(f"{what} is not available in this release of farcall")


class AuthMetadataContext(abc.ABC):  # noqa: B024
    """What an AuthMetadataPlugin is told about the RPC.

    Attributes:
      service_url: the URL of the service called.
      method_name: the path of the method called.
    """

    __module__ = "grpc"


class AuthMetadataPluginCallback(abc.ABC):  # noqa: B024
    """Takes what an AuthMetadataPlugin has to say."""

    __module__ = "grpc"

    def __call__(self, metadata: MetadataToSend, error: Exception | None) -> None:  # noqa: B027
        """Goes on with the RPC: with `metadata` when `error` is None, to its failure otherwise."""


class AuthMetadataPlugin(abc.ABC):  # noqa: B024
    """Makes the metadata that authenticate an RPC."""

    __module__ = "grpc"

    def __call__(self, context: AuthMetadataContext, callback: AuthMetadataPluginCallback) -> None:  # noqa: B027
        """Starts to make them, and sees to it that `callback(metadata, error)` is called, on any thread."""


class ServerCertificateConfiguration:
    """Certificates and keys of a server. Made by `ssl_server_certificate_configuration`."""

    __module__ = "grpc"

    def __init__(self, certificate_configuration: Any) -> None:
        self._certificate_configuration = certificate_configuration


class ServerCredentials:
    """How a port is secured."""

    __module__ = "grpc"

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials


class ChannelCredentials:
    """How a channel is secured. Usable as a dictionary key."""

    __module__ = "grpc"

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials


class CallCredentials:
    """What is sent with an RPC to say on whose behalf it is made. Only secure channels send it."""

    __module__ = "grpc"

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials


class _Insecure:
    """Stands where the implementation of credentials would be: none, plain text."""


#: In a ChannelCredentials or ServerCredentials: plain text.
INSECURE = _Insecure()


class _MetadataPlugin:
    """Call credentials that ask a plugin."""

    __slots__ = ("name", "plugin")

    def __init__(self, plugin: Callable[[Any, Any], None], name: str) -> None:
        self.plugin = plugin
        self.name = name


class _Composite:
    """Call credentials that send the metadata of several."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts


def metadata_call_credentials(
    metadata_plugin: AuthMetadataPlugin | Callable[[Any, Any], None], name: str | None = None
) -> CallCredentials:
    """Call credentials whose metadata a plugin makes for each RPC.

    Args:
      metadata_plugin: an AuthMetadataPlugin or any callable that takes its arguments.
      name: what to call it in messages; by default the plugin's own name.
    """
    if name is None:
        name = getattr(metadata_plugin, "__name__", None) or type(metadata_plugin).__name__
    return CallCredentials(_MetadataPlugin(metadata_plugin, name))


def access_token_call_credentials(access_token: str) -> CallCredentials:
    """Call credentials that send `authorization: Bearer <access_token>`."""
    from grpc import _auth

    return metadata_call_credentials(_auth.AccessTokenAuthMetadataPlugin(access_token), None)


def composite_call_credentials(*call_credentials: CallCredentials) -> CallCredentials:
    """Call credentials that send the metadata of all those given (two or more), in order."""
    return CallCredentials(_Composite(tuple(part._credentials for part in call_credentials)))


def composite_channel_credentials(
    channel_credentials: ChannelCredentials, *call_credentials: CallCredentials
) -> ChannelCredentials:
    """Channel credentials, and call credentials that go with every RPC of the channel."""
    _missing("composite_channel_credentials (TLS)")


def ssl_channel_credentials(
    root_certificates: bytes | None = None,
    private_key: bytes | None = None,
    certificate_chain: bytes | None = None,
) -> ChannelCredentials:
    """Channel credentials for TLS.

    Args:
      root_certificates: PEM of the roots to trust; None for the default roots.
      private_key: PEM of the client's key, if it has one.
      certificate_chain: PEM of the client's certificates.
    """
    for certificate in (root_certificates, private_key, certificate_chain):
        if not isinstance(certificate, (bytes, type(None))):
            raise TypeError(f"expected certificate to be bytes, got {type(certificate)}")
    _missing("ssl_channel_credentials (TLS)")


def ssl_server_credentials(
    private_key_certificate_chain_pairs: Sequence[tuple[bytes, bytes]],
    root_certificates: bytes | None = None,
    require_client_auth: bool = False,
) -> ServerCredentials:
    """Server credentials for TLS.

    Args:
      private_key_certificate_chain_pairs: PEM of each key and its certificates; at least one pair.
      root_certificates: PEM of the roots that clients' certificates are checked against.
      require_client_auth: whether clients must have a certificate; needs `root_certificates`.
    """
    if not private_key_certificate_chain_pairs:
        raise ValueError("At least one private key-certificate chain pair is required!")
    if require_client_auth and root_certificates is None:
        raise ValueError("Illegal to require client auth without providing root certificates!")
    _missing("ssl_server_credentials (TLS)")


def ssl_server_certificate_configuration(
    private_key_certificate_chain_pairs: Sequence[tuple[bytes, bytes]],
    root_certificates: bytes | None = None,
) -> ServerCertificateConfiguration:
    """What a certificate fetcher answers; the arguments are those of `ssl_server_credentials`."""
    if not private_key_certificate_chain_pairs:
        raise ValueError("At least one private key-certificate chain pair is required!")
    return ServerCertificateConfiguration((tuple(private_key_certificate_chain_pairs), root_certificates))


def dynamic_ssl_server_credentials(
    initial_certificate_configuration: ServerCertificateConfiguration,
    certificate_configuration_fetcher: Callable[[], ServerCertificateConfiguration | None],
    require_client_authentication: bool = False,
) -> ServerCredentials:
    """Server credentials for TLS that ask `certificate_configuration_fetcher()` at each handshake; None: no change."""
    _missing("dynamic_ssl_server_credentials (TLS)")


def insecure_server_credentials() -> ServerCredentials:
    """Server credentials that secure nothing: plain text."""
    return ServerCredentials(INSECURE)


def local_channel_credentials(
    local_connect_type: LocalConnectionType = LocalConnectionType.LOCAL_TCP,
) -> ChannelCredentials:
    """Channel credentials for connections within one machine."""
    _missing("local_channel_credentials")


def local_server_credentials(
    local_connect_type: LocalConnectionType = LocalConnectionType.LOCAL_TCP,
) -> ServerCredentials:
    """Server credentials for connections within one machine."""
    _missing("local_server_credentials")


def alts_channel_credentials(service_accounts: Sequence[str] | None = None) -> ChannelCredentials:
    """Channel credentials for ALTS, between machines of Google Cloud."""
    _missing("alts_channel_credentials (ALTS)")


def alts_server_credentials() -> ServerCredentials:
    """Server credentials for ALTS, between machines of Google Cloud."""
    _missing("alts_server_credentials (ALTS)")


def compute_engine_channel_credentials(call_credentials: CallCredentials) -> ChannelCredentials:
    """Channel credentials of a Compute Engine machine, with call credentials that go with every RPC."""
    _missing("compute_engine_channel_credentials (TLS)")


def xds_channel_credentials(fallback_credentials: ChannelCredentials | None = None) -> ChannelCredentials:
    """Channel credentials that the xDS control plane configures."""
    _missing("xds_channel_credentials (xDS)")


def xds_server_credentials(fallback_credentials: ServerCredentials) -> ServerCredentials:
    """Server credentials that the xDS control plane configures."""
    _missing("xds_server_credentials (xDS)")
