"""The examples, run as a reader would run them, print what they should: Python and Rust, in every pairing.

The Python ones are written against grpcio's blocking API; `FARCALL_EXAMPLES_PYTHON` runs them with another
interpreter, for instance one that has grpcio, to show that the same programs do the same there.
"""

import os
import pathlib
import re
import sys

import programs
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "python"
PYTHON = os.environ.get("FARCALL_EXAMPLES_PYTHON", sys.executable)
RUST_BIN = pathlib.Path(os.environ.get("FARCALL_RUST_BIN", ROOT / "target" / "debug"))

GREETER = """\
Greeter client received: Hello, you!
Greeter client received: Hello again, you!
"""

# In RouteChat, saying and hearing go on side by side: each has an order of its own.
ROUTE_GUIDE = """\
-------------- GetFeature --------------
Vesterport lighthouse at 571210000, 81930000
nothing known at 0, 0
-------------- ListFeatures --------------
Heather hill at 571455000, 82407500
Mill pond bridge at 571460000, 83020000
Church of the two towers at 571498700, 83310400
Market square at 571502300, 83342200
Ropewalk museum at 571533000, 83602000
Railway station at 571580500, 83790500
-------------- RecordRoute --------------
passed 12 points, 10 of them known
walked 19360 metres in N seconds
-------------- RouteChat --------------
say first at 0, 0
say second at 0, 1
say third at 1, 0
say fourth at 0, 0
say fifth at 0, 0
hear first at 0, 0
hear first at 0, 0
hear fourth at 0, 0
"""

TOUR_IN_PYTHON = """\
-------------- metadata --------------
Hello, you!
before the answer: seen-by = tour_server
after the answer: answered-to = 'tour_client'
after the answer: digest-bin = b'\\xff\\x02\\x01\\x00'
-------------- error status --------------
NOT_FOUND: there is nobody of that name
reason: no name
-------------- deadline --------------
DEADLINE_EXCEEDED: Deadline Exceeded
-------------- cancellation --------------
cancelled: True
CANCELLED: Locally cancelled by application!
"""

TOUR_IN_RUST = """\
-------------- metadata --------------
Hello, you!
before the answer: seen-by = tour_server
after the answer: answered-to = tour_client
after the answer: digest-bin = \\xff\\x02\\x01\\x00
-------------- error status --------------
NOT_FOUND: there is nobody of that name
reason: no name
-------------- deadline --------------
DEADLINE_EXCEEDED: Deadline Exceeded
-------------- cancellation --------------
cancelled by dropping the call
"""

# name -> (folder of the Python programs, what the Python client prints, what the Rust client prints)
PROGRAMS = {
    "greeter": ("greeter", GREETER, GREETER),
    "route_guide": ("route_guide", ROUTE_GUIDE, ROUTE_GUIDE),
    "tour": ("metadata_deadline_cancel", TOUR_IN_PYTHON, TOUR_IN_RUST),
}


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """The contracts of the examples, compiled as their README says."""
    folder = tmp_path_factory.mktemp("generated")
    outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
    contracts = ROOT / "examples" / "proto"
    names = sorted(path.name for path in contracts.glob("*.proto"))
    programs.run([PYTHON, "-m", "grpc_tools.protoc", f"-I{contracts}", *outputs, *names])
    return folder


def saying_before_hearing(printed):
    """Moves what was said before what was heard, keeping the order of each.

    Two threads print, and print() writes a line and its end apart: lines may run into each other.
    """
    printed = re.sub(r"in \d+ seconds", "in N seconds", printed)
    printed = re.sub(r"\n+", "\n", re.sub(r"(?<!\n)(?=(?:say|hear) )", "\n", printed))
    lines = printed.splitlines(keepends=True)
    said = [line for line in lines if line.startswith("say ")]
    heard = [line for line in lines if line.startswith("hear ")]
    return "".join([line for line in lines if line not in said and line not in heard] + said + heard)


def command(name, role, language):
    if language == "rust":
        return [str(RUST_BIN / f"{name.replace('_', '-')}-{role}")]
    return [PYTHON, str(EXAMPLES / PROGRAMS[name][0] / f"{name}_{role}.py")]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("server_language", ["python", "rust"])
@pytest.mark.parametrize("client_language", ["python", "rust"])
def test_example(name, client_language, server_language, generated):
    env = {"PYTHONPATH": str(generated)}
    with programs.Server([*command(name, "server", server_language), "localhost:0"], env=env) as server:
        client = command(name, "client", client_language)
        printed = programs.run([*client, f"localhost:{server.port}"], env=env)
        assert server.is_running(), server.output()
    _, in_python, in_rust = PROGRAMS[name]
    expected = in_python if client_language == "python" else in_rust
    assert (saying_before_hearing(printed) if name == "route_guide" else printed) == expected


BALANCING = """\
in turn to a, b, c
in turn to a, b
answered after 1 failed attempt
"""


@pytest.mark.parametrize(
    "command",
    [[PYTHON, str(EXAMPLES / "balancing" / "balancing.py")], [str(RUST_BIN / "discovery")]],
    ids=["python", "rust"],
)
def test_balancing(command, generated):
    assert programs.run(command, env={"PYTHONPATH": str(generated)}) == BALANCING
