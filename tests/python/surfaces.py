"""What a module of grpcio and its satellites offers: names, signatures, members. Written down from the originals by

    python tests/python/surfaces.py tests/python/surface

in an environment with grpcio and its satellites: one file for each package, with the versions it comes from.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import pathlib
import sys
import typing

TABLES = pathlib.Path(__file__).with_name("surface")

# Which packages' names each distribution brings, as modules that programs import.
MODULES = {
    "grpcio": [
        "grpc",
        "grpc.experimental",
        "grpc.experimental.gevent",
        "grpc.experimental.session_cache",
    ],
    "grpcio-aio": ["grpc.aio", "grpc.experimental.aio"],
    "grpcio-beta": [
        "grpc.beta",
        "grpc.beta.implementations",
        "grpc.beta.interfaces",
        "grpc.beta.utilities",
        "grpc.framework",
        "grpc.framework.common",
        "grpc.framework.common.cardinality",
        "grpc.framework.common.style",
        "grpc.framework.foundation",
        "grpc.framework.foundation.abandonment",
        "grpc.framework.foundation.callable_util",
        "grpc.framework.foundation.future",
        "grpc.framework.foundation.logging_pool",
        "grpc.framework.foundation.stream",
        "grpc.framework.foundation.stream_util",
        "grpc.framework.interfaces",
        "grpc.framework.interfaces.base",
        "grpc.framework.interfaces.base.base",
        "grpc.framework.interfaces.base.utilities",
        "grpc.framework.interfaces.face",
        "grpc.framework.interfaces.face.face",
        "grpc.framework.interfaces.face.utilities",
    ],
    "grpcio-health-checking": [
        "grpc_health",
        "grpc_health.v1",
        "grpc_health.v1.health",
        "grpc_health.v1.health_pb2",
        "grpc_health.v1.health_pb2_grpc",
    ],
    "grpcio-reflection": [
        "grpc_reflection",
        "grpc_reflection.v1alpha",
        "grpc_reflection.v1alpha.proto_reflection_descriptor_database",
        "grpc_reflection.v1alpha.reflection",
        "grpc_reflection.v1alpha.reflection_pb2",
        "grpc_reflection.v1alpha.reflection_pb2_grpc",
    ],
    "grpcio-status": ["grpc_status", "grpc_status.rpc_status"],
    "grpcio-channelz": [
        "grpc_channelz",
        "grpc_channelz.v1",
        "grpc_channelz.v1.channelz",
        "grpc_channelz.v1.channelz_pb2",
        "grpc_channelz.v1.channelz_pb2_grpc",
    ],
    "grpcio-testing": ["grpc_testing"],
    "grpcio-admin": ["grpc_admin"],
}

# Classes of what programs are handed, by the private names that programs get hold of them.
HANDED_OUT = [
    "grpc._channel.Channel",
    "grpc._channel._InactiveRpcError",
    "grpc._channel._MultiThreadedRendezvous",
    "grpc._channel._SingleThreadedRendezvous",
    "grpc._channel._UnaryUnaryMultiCallable",
    "grpc._channel._StreamUnaryMultiCallable",
    "grpc._interceptor._FailureOutcome",
    "grpc._interceptor._UnaryOutcome",
    "grpc._server._Context",
    "grpc._server._Server",
    "grpc.aio._call.StreamStreamCall",
    "grpc.aio._call.StreamUnaryCall",
    "grpc.aio._call.UnaryStreamCall",
    "grpc.aio._call.UnaryUnaryCall",
    "grpc.aio._channel.Channel",
    "grpc.aio._interceptor.InterceptedStreamStreamCall",
    "grpc.aio._interceptor.InterceptedStreamUnaryCall",
    "grpc.aio._interceptor.InterceptedUnaryStreamCall",
    "grpc.aio._server.Server",
    "grpc._cython.cygrpc._ServicerContext",
]

# Special methods that are part of what a class promises.
SPECIAL = {
    *("__aenter__", "__aexit__", "__aiter__", "__anext__", "__await__", "__call__", "__enter__", "__exit__"),
    *("__add__", "__contains__", "__delitem__", "__eq__", "__getitem__", "__int__", "__iter__", "__len__"),
    *("__next__", "__setitem__"),
}


def signature(function):
    """Parameters with kinds and defaults, as text, and whether it is awaited; annotations are ours."""
    try:
        described = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    parameters = [
        parameter.replace(annotation=parameter.empty, default=_plain(parameter.default))
        for parameter in described.parameters.values()
    ]
    text = str(described.replace(parameters=parameters, return_annotation=described.empty))
    return f"async {text}" if inspect.iscoroutinefunction(function) else text


class _Shown:
    """A default whose text would be another in every run, or on every version of the interpreter."""

    def __init__(self, text):
        self._text = text

    def __repr__(self):
        return self._text


def _plain(default):
    if isinstance(default, enum.Enum):
        return _Shown(f"{type(default).__name__}.{default.name}")
    return _Shown("<object>") if " at 0x" in repr(default) else default


def members(cls):
    """The public members of a class, its own and its bases' of these packages, and special methods."""
    found = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] in TOPS:
            found.update(vars(base))
    public = {name: member for name, member in found.items() if not name.startswith("_") or name in SPECIAL}
    return {name: _member(member) for name, member in sorted(public.items()) if member is not None}


def _member(member):
    kind = ""
    if isinstance(member, (staticmethod, classmethod)):
        kind, member = f"{type(member).__name__} ", member.__func__
    if isinstance(member, type) and issubclass(member, enum.Enum):
        # What it takes to make one is the interpreter's, and differs between versions.
        return "enum"
    return f"{kind}{signature(member)}" if callable(member) else type(member).__name__


TOPS = {module.partition(".")[0] for modules in MODULES.values() for module in modules}


def bases(cls):
    """All of its public classes, in order. (enum.ReprEnum and typing.Generic are the interpreter's.)

    Where a public class lives is nobody's affair: grpc.aio._base_call.Call is told as grpc.aio.Call.
    """
    names = []
    for base in cls.__mro__:
        *path, name = f"{base.__module__}.{base.__qualname__}".split(".")
        if not name.startswith("_"):
            names.append(".".join([part for part in path if not part.startswith("_")] + [name]))
    return [name for name in names if name not in ("enum.ReprEnum", "typing.Generic", "typing.Protocol")]


def describe(thing):
    if inspect.ismodule(thing):
        return {"module": {name: describe(getattr(thing, name)) for name in names(thing)}}
    if isinstance(thing, type) and issubclass(thing, enum.Enum):
        return {"enum": {member.name: repr(member.value) for member in thing}, "bases": bases(thing)}
    if isinstance(thing, type):
        abstract = sorted(getattr(thing, "__abstractmethods__", ()))
        return {"bases": bases(thing), "members": members(thing), "abstract": abstract}
    if callable(thing):
        return {"signature": signature(thing)}
    return {"value": repr(thing) if isinstance(thing, (str, int, bool, enum.Enum)) else type(thing).__name__}


def names(module):
    """What `__all__` lists, or else what is public and the package's own. (GRPC_ is of generated modules' versions.)"""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    public = ((name, thing) for name, thing in vars(module).items() if not name.startswith(("_", "GRPC_")))
    return sorted(name for name, thing in public if _own(thing))


def _own(thing):
    if inspect.ismodule(thing):
        # A private one that is given a public name.
        return thing.__name__.startswith(tuple(TOPS)) and thing.__name__.rpartition(".")[2].startswith("_")
    owner = getattr(thing, "__module__", None) or ""
    if isinstance(thing, typing.TypeVar) or owner.endswith("_pb2"):
        return False
    return isinstance(thing, (str, int, enum.Enum)) or owner.partition(".")[0] in TOPS


def surface(name):
    """One module: what each of its names is; of what protoc generated from messages, only the names."""
    module = importlib.import_module(name)
    if name.endswith("_pb2"):
        return {name: {} for name, thing in sorted(vars(module).items()) if isinstance(thing, type)}
    return {each: describe(getattr(module, each)) for each in names(module)}


def offered(dotted):
    """The public members of a class that has a private name, beside those of any exception."""
    module, _, name = dotted.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    return sorted(member for member in dir(cls) if not member.startswith("_") and not hasattr(Exception, member))


def recorded(package):
    """What was written down of a package: by module, and there by name."""
    return json.loads((TABLES / f"{package}.json").read_text())["modules"]


def main():
    from importlib import metadata

    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(exist_ok=True)
    for package, modules in MODULES.items():
        distribution = package.replace("-aio", "").replace("-beta", "")
        table = {
            "of": f"{distribution} {metadata.version(distribution)}",
            "modules": {module: surface(module) for module in modules},
        }
        if package == "grpcio":
            table["modules"]["handed out"] = {dotted: offered(dotted) for dotted in HANDED_OUT}
        (directory / f"{package}.json").write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
