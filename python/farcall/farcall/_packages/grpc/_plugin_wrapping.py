"""How the plugins of call credentials are asked for metadata."""

from __future__ import annotations

import collections
import functools
import logging
import threading
from collections.abc import Callable, Sequence

from grpc import _common
from grpc._auth import AccessTokenAuthMetadataPlugin
from grpc._credentials import AuthMetadataContext, AuthMetadataPluginCallback, _MetadataPlugin, call_plugins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from grpc._credentials import CallCredentials, ChannelSecurity

    #: Takes the metadata, or the details of the UNAVAILABLE that the RPC ends with.
    Answer = Callable[[Sequence[tuple[str, Any]], str | None], None]

_LOGGER = logging.getLogger(__name__)

_FAILED = "Getting metadata from plugin failed with error: "

INSUFFICIENT = "Established channel does not have a sufficient security level to transfer call credential."


class _AuthMetadataContext(
    collections.namedtuple("_AuthMetadataContext", ("service_url", "method_name")), AuthMetadataContext
):
    pass


class _AuthMetadataPluginCallback(AuthMetadataPluginCallback):
    """Takes one answer of one plugin."""

    def __init__(self, asked: _Asked, index: int) -> None:
        self._asked = asked
        self._index = index
        self._lock = threading.Lock()
        self._called = False

    def __call__(self, metadata: Any, error: Any) -> None:
        with self._lock:
            if self._called:
                raise RuntimeError("AuthMetadataPluginCallback invoked more than once!")
            self._called = True
        self._asked.handle(self._index, metadata, error)

    def handle_raised(self, exception: BaseException) -> None:
        """The plugin raised; after its answer that is only worth a line in the log."""
        with self._lock:
            if self._called:
                return
            self._called = True
        self._asked.handle(self._index, None, exception)


class _Asked:
    """The answers to one RPC's question."""

    def __init__(self, plugins: Sequence[_MetadataPlugin], answer: Answer) -> None:
        self._plugins = plugins
        self._answer: Answer | None = answer
        self._lock = threading.Lock()
        self._answers: list[Any] = [None] * len(plugins)
        self._missing = len(plugins)

    def ask(self, context: _AuthMetadataContext) -> None:
        """Asks one plugin after the other, without waiting for what they answer later."""
        for index, plugin in enumerate(self._plugins):
            callback = _AuthMetadataPluginCallback(self, index)
            try:
                # A context can be entered once at a time only.
                plugin.context.copy().run(plugin.plugin, context, callback)
            # Also what is no Exception: nobody else would ever end the RPC.
            except BaseException as exception:
                _LOGGER.exception('AuthMetadataPluginCallback "%s" raised exception!', plugin.plugin)
                callback.handle_raised(exception)

    def handle(self, index: int, metadata: Any, error: Any) -> None:
        """A plugin has answered."""
        failed = None
        if error is not None:
            failed = _FAILED + str(error)
        else:
            try:
                metadata = _common.metadata_pairs(() if metadata is None else metadata)
            except (TypeError, ValueError) as wrong:
                failed = _FAILED + str(wrong)
        with self._lock:
            self._answers[index] = metadata
            self._missing -= 1
            if failed is None and self._missing:
                return
            answer, self._answer = self._answer, None
        if answer is not None:
            answer([pair for part in self._answers for pair in part or ()] if failed is None else (), failed)


def service_url(authority: str, path: str) -> tuple[str, str]:
    """The URL of the service and the name of the method that plugins are told."""
    service, _, method = path.rpartition("/")
    return f"https://{authority.removesuffix(':443')}{service}", method


def fixed(plugins: Sequence[_MetadataPlugin]) -> list[tuple[str, str]] | None:
    """The metadata of plugins that always answer the same, so that nobody need wait; None if others are among them."""
    if all(type(plugin.plugin) is AccessTokenAuthMetadataPlugin for plugin in plugins):
        return [("authorization", f"Bearer {plugin.plugin._access_token}") for plugin in plugins]  # type: ignore[attr-defined]
    return None


def ask(plugins: Sequence[_MetadataPlugin], authority: str, path: str, answer: Answer) -> None:
    """Asks plugins, on a thread of its own, and calls `answer` once, on any thread."""
    context = _AuthMetadataContext(*service_url(authority, path))
    asked = _Asked(plugins, answer)
    threading.Thread(target=asked.ask, args=(context,), name="grpc-credentials", daemon=True).start()


class CallSecurity:
    """The credentials of a channel's calls."""

    __slots__ = ("_authority", "_plugins", "_secure", "refusal")

    def __init__(self, security: ChannelSecurity, authority: Callable[[], str], target: str) -> None:
        self._authority = authority
        self._plugins = security.plugins
        self._secure = security.native is not None
        #: Code and details that every RPC ends with, or None.
        self.refusal: tuple[int, str] | None = None
        if security.unusable is not None:
            self.refusal = 13, f"Failed to create channel to '{target}':{security.unusable}"
        elif security.plugins and not self._secure:
            self.refusal = 16, INSUFFICIENT

    def plugins_for(self, credentials: CallCredentials | None) -> tuple[_MetadataPlugin, ...]:
        """Whom to ask for an RPC with these credentials of its own."""
        return self._plugins if credentials is None else self._plugins + call_plugins(credentials._credentials)

    def ask(self, plugins: Sequence[_MetadataPlugin], path: str, answer: Answer) -> None:
        """Asks them for an RPC of this method."""
        ask(plugins, self._authority(), path, answer)


def proceed(call: Any, metadata: Sequence[tuple[str, Any]], failed: str | None) -> None:
    """Goes on with a native call that was held for metadata, or ends it."""
    if failed is None:
        call.proceed(metadata)
    else:
        call.cancel(14, failed)


def proceeding(call: Any) -> Answer:
    """What answers for a native call that is held for metadata."""
    return functools.partial(proceed, call)
