"""Where grpcio's observability plugins register. They are made of the C core's call tracers, so none can here.

What packages ask without having a plugin is answered; registering one raises an error that says what to use instead.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator
from typing import Any

_NO_PLUGINS = (
    "plugins of grpcio-observability trace calls inside grpcio's C core, which is not in Farcall: use the "
    "interceptors of opentelemetry-instrumentation-grpc, or FARCALL=0 in the environment to run the program on grpcio"
)


class ObservabilityPlugin(abc.ABC):
    """The base class of plugins."""

    _tracing_enabled: bool = False
    _stats_enabled: bool = False

    @abc.abstractmethod
    def create_client_call_tracer(self, method_name: bytes, target: bytes) -> Any:
        """Makes the tracer of a call."""

    @abc.abstractmethod
    def save_trace_context(self, trace_id: str, span_id: str, is_sampled: bool) -> None:
        """Takes the span of a server's response."""

    @abc.abstractmethod
    def create_server_call_tracer_factory(self, *, xds: bool = False) -> Any:
        """Makes what makes a server's tracers."""

    @abc.abstractmethod
    def record_rpc_latency(self, method: str, target: str, rpc_latency: float, status_code: Any) -> None:
        """Takes how long an RPC took, in milliseconds."""

    def set_tracing(self, enable: bool) -> None:
        """Switches traces."""
        self._tracing_enabled = enable

    def set_stats(self, enable: bool) -> None:
        """Switches metrics."""
        self._stats_enabled = enable

    def save_registered_method(self, method_name: bytes) -> None:
        """Takes a method whose name metrics may show."""
        raise NotImplementedError()

    @property
    def tracing_enabled(self) -> bool:
        """Whether there are traces."""
        return self._tracing_enabled

    @property
    def stats_enabled(self) -> bool:
        """Whether there are metrics."""
        return self._stats_enabled

    @property
    def observability_enabled(self) -> bool:
        """Whether there are traces or metrics."""
        return self.tracing_enabled or self.stats_enabled


@contextlib.contextmanager
def get_plugin() -> Iterator[ObservabilityPlugin | None]:
    """The plugin that is registered: None."""
    yield None


def set_plugin(observability_plugin: ObservabilityPlugin | None) -> None:
    """Registers a plugin.

    Raises:
      NotImplementedError: it is not None.
    """
    if observability_plugin is not None:
        raise NotImplementedError(_NO_PLUGINS)


def observability_init(observability_plugin: ObservabilityPlugin) -> None:
    """As `set_plugin`."""
    set_plugin(observability_plugin)


def observability_deinit() -> None:
    """Does nothing: no plugin can be registered."""


def maybe_record_rpc_latency(state: Any) -> None:
    """Does nothing: no plugin can be registered."""


def create_server_call_tracer_factory_option(xds: bool) -> tuple[()]:
    """The options that a plugin adds to a server's: none."""
    return ()
