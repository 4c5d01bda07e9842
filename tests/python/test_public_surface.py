"""The names of `grpc`, their signatures and members, compared with those of grpcio 1.85.1.

surface.json is made from an installed grpcio:  python tests/python/test_public_surface.py > tests/python/surface.json
"""

import enum
import inspect
import json
import pathlib

import grpc
import grpc.experimental

TABLE = pathlib.Path(__file__).with_name("surface.json")


def signature(function):
    """Parameters with kinds and defaults, as text; annotations are ours."""
    try:
        described = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    bare = [parameter.replace(annotation=parameter.empty) for parameter in described.parameters.values()]
    return str(described.replace(parameters=bare, return_annotation=described.empty))


def members(cls):
    """The public members a class adds, and the special methods that are part of its contract."""
    special = {"__call__", "__enter__", "__exit__", "__int__"}
    return {
        name: signature(member) if callable(member) else type(member).__name__
        for name, member in sorted(vars(cls).items())
        if not name.startswith("_") or name in special
    }


def describe(thing):
    if isinstance(thing, type) and issubclass(thing, enum.Enum):
        return {"enum": {member.name: repr(member.value) for member in thing}, "bases": bases(thing)}
    if isinstance(thing, type):
        return {
            "bases": bases(thing),
            "members": members(thing),
            "abstract": sorted(getattr(thing, "__abstractmethods__", ())),
        }
    return {"signature": signature(thing)}


def bases(cls):
    """All of its classes that can be named, in order. (enum.ReprEnum and typing.Generic are the interpreter's.)"""
    names = [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__]
    return [name for name in names if name not in ("enum.ReprEnum", "typing.Generic")]


def surface():
    return {
        module.__name__: {name: describe(getattr(module, name)) for name in sorted(module.__all__)}
        for module in (grpc, grpc.experimental)
    }


def test_names():
    expected = json.loads(TABLE.read_text())
    assert sorted(grpc.__all__) == sorted(expected["grpc"])
    assert sorted(grpc.experimental.__all__) == sorted(expected["grpc.experimental"])


def test_signatures_and_members():
    expected, ours = json.loads(TABLE.read_text()), surface()
    differences = [
        f"{module}.{name}: {ours[module].get(name)} instead of {description}"
        for module, names in expected.items()
        for name, description in names.items()
        if ours[module].get(name) != description
    ]
    assert differences == []


def test_everything_is_documented():
    undocumented = [name for name in grpc.__all__ if not (getattr(grpc, name).__doc__ or "").strip()]
    assert undocumented == []


if __name__ == "__main__":
    print(json.dumps(surface(), indent=1, sort_keys=True))
