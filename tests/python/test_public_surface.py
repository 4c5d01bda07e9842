"""The names of `grpc` and of the packages beside it, their signatures and members, held against grpcio's 1.85.1.

What grpcio has is in surface/; surfaces.py wrote it, and says how.
"""

from __future__ import annotations

import importlib
import inspect
import pydoc
import re

import pytest
import surfaces
from peers import ON_GRPCIO

# What is not the same, and why.
DIFFERENCES = {
    # An asynchronous generator here, there a coroutine function that writes; the server takes both. List is not
    # implemented there.
    "grpc_health.v1.health.aio",
}

MODULES = [(package, module) for package, modules in surfaces.MODULES.items() for module in modules]


@pytest.fixture(params=MODULES, ids=[module for _, module in MODULES])
def module(request):
    """Name, surface as it should be, surface as it is."""
    package, name = request.param
    if ON_GRPCIO:
        pytest.importorskip(name)
    return name, surfaces.recorded(package)[name], surfaces.surface(name)


def test_names(module):
    _, expected, ours = module
    assert sorted(ours) == sorted(expected)


def test_signatures_and_members(module):
    name, expected, ours = module
    differences = {
        f"{name}.{each}": (ours[each], description)
        for each, description in expected.items()
        if ours[each] != description
    }
    assert ON_GRPCIO or differences.keys() <= DIFFERENCES, differences
    assert not ON_GRPCIO or not differences


def test_asyncio_health_has_every_member():
    health = pytest.importorskip("grpc_health.v1.health")
    expected = surfaces.recorded("grpcio-health-checking")["grpc_health.v1.health"]["aio"]["module"]["HealthServicer"]
    ours = surfaces.describe(health.aio.HealthServicer)
    plain = {name: text.removeprefix("async ") for name, text in ours["members"].items()}
    assert plain == {name: text.removeprefix("async ") for name, text in expected["members"].items()}


@pytest.mark.parametrize("dotted", surfaces.HANDED_OUT)
def test_what_programs_are_handed_has_every_member(dotted):
    expected = surfaces.recorded("grpcio")["handed out"][dotted]
    assert [name for name in expected if name not in surfaces.offered(dotted)] == []


@pytest.mark.parametrize("name", ["grpc", "grpc.aio"])
def test_help_tells_of_every_name(name):
    module = importlib.import_module(name)
    text = pydoc.plain(pydoc.render_doc(module))
    told = set(re.findall(r"^    (?:class )?(\w+)\b", text, re.MULTILINE))
    assert set(module.__all__) - told == set()


def documented(thing):
    return bool((inspect.getdoc(thing) or "").strip())


@pytest.mark.better_than_grpcio("leaves some of it undocumented")
def test_everything_is_documented(module):
    name, expected, _ = module
    module = importlib.import_module(name)
    undocumented = [] if documented(module) else [name]
    for each in [] if name.endswith(("_pb2", "_pb2_grpc")) else expected:
        thing = getattr(module, each)
        if callable(thing) and not documented(thing):
            undocumented.append(each)
        if isinstance(thing, type):
            members = [member for member in expected[each].get("members", ()) if not member.startswith("_")]
            undocumented += [f"{each}.{member}" for member in members if not documented(getattr(thing, member))]
    assert undocumented == []
