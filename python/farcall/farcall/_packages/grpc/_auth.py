"""Plugins for call credentials that carry a token."""

from __future__ import annotations

from grpc._credentials import AuthMetadataContext, AuthMetadataPlugin, AuthMetadataPluginCallback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _sign_request(callback: AuthMetadataPluginCallback, token: str | None, error: Exception | None) -> None:
    callback((("authorization", f"Bearer {token}"),), error)


class GoogleCallCredentials(AuthMetadataPlugin):
    """Asks a google-auth or oauth2client credentials object for a token, on a thread of its own."""

    def __init__(self, credentials: Any) -> None:
        from concurrent import futures
        from inspect import signature

        self._credentials = credentials
        # Only JWT credentials take the audience.
        self._is_jwt = "additional_claims" in signature(credentials.get_access_token).parameters
        self._pool = futures.ThreadPoolExecutor(max_workers=1)

    def __call__(self, context: AuthMetadataContext, callback: AuthMetadataPluginCallback) -> None:
        if self._is_jwt:
            audience = {"aud": context.service_url}
            future = self._pool.submit(self._credentials.get_access_token, additional_claims=audience)
        else:
            future = self._pool.submit(self._credentials.get_access_token)

        def answer(done: Any) -> None:
            error = done.exception()
            _sign_request(callback, None if error else done.result().access_token, error)

        future.add_done_callback(answer)

    def __del__(self) -> None:
        self._pool.shutdown(wait=False)


class AccessTokenAuthMetadataPlugin(AuthMetadataPlugin):
    """Sends one token with every RPC."""

    def __init__(self, access_token: str) -> None:
        self._access_token = access_token

    def __call__(self, context: AuthMetadataContext, callback: AuthMetadataPluginCallback) -> None:
        _sign_request(callback, self._access_token, None)
