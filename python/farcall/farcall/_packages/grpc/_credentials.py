"""Credentials: who one is and whom one trusts.

What is inside a ChannelCredentials or ServerCredentials is the native object that secures connections, or says
why there can be none. How call credentials' plugins are asked is in `grpc._plugin_wrapping`.
"""

from __future__ import annotations

import abc
import contextvars
import logging
import types
from collections.abc import Callable, Iterable, Mapping, Sequence

from grpc import _log as _log
from grpc._vocabulary import LocalConnectionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from grpc._engine import native
    from grpc._typing import MetadataToSend
else:

    class native:
        """The native module, loaded when it is first needed: `import grpc` is to be quick."""

        def __getattr__(self, name):
            from grpc._engine import native

            return getattr(native, name)

    native = native()

_LOGGER = logging.getLogger(__name__)

_NO_ALTS = "No credentials provided (ALTS works between machines of Google Cloud only, and not in this release)"


class AuthMetadataContext(abc.ABC):  # noqa: B024
    """What an AuthMetadataPlugin is told about the RPC.

    Attributes:
      service_url: the URL of the service called.
      method_name: the path of the method called.
    """

    __module__ = "grpc"

    if TYPE_CHECKING:

        @property
        def service_url(self) -> str: ...
        @property
        def method_name(self) -> str: ...


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


class _Unusable:
    """Stands where the implementation of credentials would be: there is none, and why."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class _CompositeChannel:
    """Channel credentials, and call credentials that go with every RPC."""

    __slots__ = ("calls", "channel")

    def __init__(self, channel: Any, calls: tuple[Any, ...]) -> None:
        self.channel = channel
        self.calls = calls

    # The names of grpcio's, which packages for tests read.

    @property
    def _channel_credentials(self) -> Any:
        return self.channel

    @property
    def _call_credentialses(self) -> tuple[Any, ...]:
        return self.calls


class _MetadataPlugin:
    """Call credentials that ask a plugin."""

    __slots__ = ("context", "name", "plugin")

    def __init__(self, plugin: Callable[[Any, Any], None], name: str) -> None:
        self.plugin = plugin
        self.name = name
        # The plugin runs on threads that would know nothing of it otherwise.
        self.context = contextvars.copy_context()

    # The names of grpcio's: what wraps the plugin there has the plugin under the same name once more.

    @property
    def _name(self) -> bytes:
        return self.name.encode()

    @property
    def _metadata_plugin(self) -> Any:
        return types.SimpleNamespace(_metadata_plugin=self.plugin)


class _Composite:
    """Call credentials that send the metadata of several."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts

    @property
    def _call_credentialses(self) -> tuple[Any, ...]:
        return self.parts  # Its name in grpcio.


# For `grpc._channel`, `grpc._server` and their like in `grpc.aio`.


def call_plugins(credentials: Any) -> tuple[_MetadataPlugin, ...]:
    """All plugins of the implementation of call credentials, in order."""
    if isinstance(credentials, _Composite):
        return tuple(plugin for part in credentials.parts for plugin in call_plugins(part))
    return (credentials,)


class ChannelSecurity:
    """What a channel makes of its credentials.

    Attributes:
      native: secures connections; None for plain text.
      plugins: asked for metadata at each RPC.
      unusable: why no RPC can be made, or None.
    """

    __slots__ = ("native", "plugins", "unusable")

    def __init__(self, credentials: Any, options: Iterable[tuple[Any, Any]]) -> None:
        """Takes the `_credentials` of a ChannelCredentials, or None, and the channel's options."""
        plugins: tuple[_MetadataPlugin, ...] = ()
        while isinstance(credentials, _CompositeChannel):
            plugins = tuple(plugin for call in credentials.calls for plugin in call_plugins(call)) + plugins
            credentials = credentials.channel
        self.plugins = plugins
        self.unusable = credentials.why if isinstance(credentials, _Unusable) else None
        self.native: native.ChannelSecurity | None = None
        if isinstance(credentials, native.ChannelSecurity):
            self.native = credentials
            for key, value in options:
                cache = getattr(value, "_cache", None)
                if key in ("grpc.ssl_session_cache", b"grpc.ssl_session_cache") and isinstance(
                    cache, native.SessionCache
                ):
                    self.native = credentials.with_sessions(cache)

    @property
    def is_plain(self) -> bool:
        """Whether calls need nothing of it."""
        return self.native is None and not self.plugins and self.unusable is None


def server_security(credentials: Any) -> native.ServerSecurity | None:
    """What secures a port: made of the `_credentials` of a ServerCredentials; None for plain text.

    Raises:
      ValueError: nothing can.
    """
    if credentials is INSECURE:
        return None
    if isinstance(credentials, _Unusable):
        raise ValueError(credentials.why)
    security: native.ServerSecurity = credentials() if callable(credentials) else credentials
    return security


def peer_identity_key(auth_context: Mapping[str, Sequence[bytes]]) -> str | None:
    """What in an auth context names the peer; None when nothing does."""
    for key in ("x509_subject_alternative_name", "x509_common_name"):
        if key in auth_context:
            return key
    return "transport_security_type" if auth_context["transport_security_type"] == [b"local"] else None


def peer_identities(auth_context: Mapping[str, Sequence[bytes]]) -> Sequence[bytes] | None:
    """The peer's names in an auth context; None when it has none."""
    key = peer_identity_key(auth_context)
    return None if key is None else auth_context[key]


def metadata_call_credentials(
    metadata_plugin: AuthMetadataPlugin | Callable[[Any, Any], None], name: str | None = None
) -> CallCredentials:
    """Call credentials whose metadata a plugin makes for each RPC.

    The plugin runs on a thread of its own. It may call back later, on any thread. The RPC waits for that as long as
    its deadline allows.

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
    calls = tuple(part._credentials for part in call_credentials)
    return ChannelCredentials(_CompositeChannel(channel_credentials._credentials, calls))


def ssl_channel_credentials(
    root_certificates: bytes | None = None,
    private_key: bytes | None = None,
    certificate_chain: bytes | None = None,
) -> ChannelCredentials:
    """Channel credentials for TLS.

    Args:
      root_certificates: PEM of the roots to trust; None for the default roots: those of the file that
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names, else the system's, else Mozilla's, which are built in.
      private_key: PEM of the client's key, if it has one.
      certificate_chain: PEM of the client's certificates, its own first.

    What is wrong with them shows in RPCs, which fail with UNAVAILABLE.
    """
    for certificate in (root_certificates, private_key, certificate_chain):
        if not isinstance(certificate, (bytes, type(None))):
            raise TypeError(f"expected certificate to be bytes, got {type(certificate)}")
    return ChannelCredentials(native.ChannelSecurity.tls(root_certificates, private_key, certificate_chain))


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
    pairs = _checked_pairs(private_key_certificate_chain_pairs)
    roots = _pem(root_certificates)
    clients = "required" if require_client_auth else "none"
    # What is wrong with them shows when a port is added.
    return ServerCredentials(_Lazily(lambda: native.ServerSecurity.tls(pairs, roots, clients)))


def ssl_server_certificate_configuration(
    private_key_certificate_chain_pairs: Sequence[tuple[bytes, bytes]],
    root_certificates: bytes | None = None,
) -> ServerCertificateConfiguration:
    """What a certificate fetcher answers; the arguments are those of `ssl_server_credentials`."""
    if not private_key_certificate_chain_pairs:
        raise ValueError("At least one private key-certificate chain pair is required!")
    return ServerCertificateConfiguration(
        (_checked_pairs(private_key_certificate_chain_pairs), _pem(root_certificates))
    )


def _pem(text: bytes | str | None) -> bytes | None:
    return text.encode() if isinstance(text, str) else text


def _checked_pairs(pairs: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    checked = []
    for key, chain in pairs:
        if not isinstance(key, (bytes, str)) or not isinstance(chain, (bytes, str)):
            raise TypeError("a private key and a certificate chain are bytes")
        checked.append((_pem(key) or b"", _pem(chain) or b""))
    return checked


class _Lazily:
    """What secures ports, made once, when the first is added."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], native.ServerSecurity]) -> None:
        self._make = make
        self._made: native.ServerSecurity | None = None

    def __call__(self) -> native.ServerSecurity:
        if self._made is None:
            self._made = self._make()
        return self._made


def dynamic_ssl_server_credentials(
    initial_certificate_configuration: ServerCertificateConfiguration,
    certificate_configuration_fetcher: Callable[[], ServerCertificateConfiguration | None],
    require_client_authentication: bool = False,
) -> ServerCredentials:
    """Server credentials for TLS that ask `certificate_configuration_fetcher()` at each handshake.

    It is asked on a thread of its own, so it may take its time. None means no change, and so do exceptions and what
    cannot be used, which are logged.

    Raises:
      TypeError: the configuration is none, or the fetcher cannot be called.
    """
    if not isinstance(initial_certificate_configuration, ServerCertificateConfiguration):
        raise TypeError("Initial certificate configuration must be a ServerCertificateConfiguration")
    if not callable(certificate_configuration_fetcher):
        raise TypeError("Certificate configuration fetcher must be callable")
    pairs, roots = initial_certificate_configuration._certificate_configuration
    clients = "required" if require_client_authentication else "none"
    if require_client_authentication and roots is None:
        raise ValueError("Illegal to require client auth without providing root certificates!")

    def fetch() -> Any:
        try:
            configuration = certificate_configuration_fetcher()
        except Exception:
            _LOGGER.exception("The certificate configuration fetcher raised; the last certificates stay")
            return None
        if configuration is None:
            return None
        if not isinstance(configuration, ServerCertificateConfiguration):
            _LOGGER.error(
                "The certificate configuration fetcher answered %r; the last certificates stay", configuration
            )
            return None
        return configuration._certificate_configuration

    return ServerCredentials(_Lazily(lambda: native.ServerSecurity.dynamic(pairs, roots, fetch, clients)))


def insecure_server_credentials() -> ServerCredentials:
    """Server credentials that secure nothing: plain text."""
    return ServerCredentials(INSECURE)


def local_channel_credentials(
    local_connect_type: LocalConnectionType = LocalConnectionType.LOCAL_TCP,
) -> ChannelCredentials:
    """Channel credentials for connections within one machine. Nothing is encrypted; where the server is, is checked."""
    return ChannelCredentials(native.ChannelSecurity.local(_kind(local_connect_type)))


def local_server_credentials(
    local_connect_type: LocalConnectionType = LocalConnectionType.LOCAL_TCP,
) -> ServerCredentials:
    """Server credentials for connections within one machine. Nothing is encrypted; where clients are, is checked."""
    return ServerCredentials(native.ServerSecurity.local(_kind(local_connect_type)))


def _kind(local_connect_type: LocalConnectionType) -> str:
    return "uds" if LocalConnectionType(local_connect_type) is LocalConnectionType.UDS else "local_tcp"


def alts_channel_credentials(service_accounts: Sequence[str] | None = None) -> ChannelCredentials:
    """Channel credentials for ALTS, between machines of Google Cloud. Not in this release: calls end with INTERNAL."""
    return ChannelCredentials(_Unusable(_NO_ALTS))


def alts_server_credentials() -> ServerCredentials:
    """Server credentials for ALTS, between machines of Google Cloud. Not in this release: ports are refused."""
    return ServerCredentials(_Unusable(_NO_ALTS))


def compute_engine_channel_credentials(call_credentials: CallCredentials) -> ChannelCredentials:
    """Channel credentials of a Compute Engine machine, with call credentials that go with every RPC."""
    return composite_channel_credentials(ssl_channel_credentials(), call_credentials)


def xds_channel_credentials(fallback_credentials: ChannelCredentials | None = None) -> ChannelCredentials:
    """Channel credentials that the xDS control plane configures; without one, the fallback (by default TLS)."""
    _warn_of_xds("xds_channel_credentials")
    return fallback_credentials if fallback_credentials is not None else ssl_channel_credentials()


def xds_server_credentials(fallback_credentials: ServerCredentials) -> ServerCredentials:
    """Server credentials that the xDS control plane configures; without one, the fallback."""
    _warn_of_xds("xds_server_credentials")
    return ServerCredentials(fallback_credentials._credentials)


def _warn_of_xds(name: str) -> None:
    from grpc import _options

    _options.warn_once(f"{name}: there is no xDS, so these are the fallback credentials")
