"""Compiling .proto files at run time, by the package `grpc_tools`, which is a wheel of its own."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, cast

_MISSING = "Install the grpcio-tools package (farcall-tools) to use the {} function."


def _tool(name: str) -> Any:
    try:
        return getattr(importlib.import_module("grpc_tools.protoc"), "_" + name)
    except (ImportError, AttributeError):
        raise NotImplementedError(_MISSING.format(name)) from None


def protos(protobuf_path: str) -> ModuleType:
    """The module of messages (`_pb2`) made from a .proto file found on `sys.path`.

    Args:
      protobuf_path: the path of the file, as an import statement in another .proto file would have it.

    Raises:
      NotImplementedError: `grpc_tools` is not installed.
    """
    return cast(ModuleType, _tool("protos")(protobuf_path))


def services(protobuf_path: str) -> ModuleType:
    """The module of stubs and servicers (`_pb2_grpc`) made from a .proto file; as `protos`."""
    return cast(ModuleType, _tool("services")(protobuf_path))


def protos_and_services(protobuf_path: str) -> tuple[ModuleType, ModuleType]:
    """Both: what `protos` and what `services` answers."""
    return protos(protobuf_path), services(protobuf_path)
