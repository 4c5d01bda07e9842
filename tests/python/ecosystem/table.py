"""`make ecosystem`: popular packages that require grpcio, installed from the index beside our wheels, make real calls.

    python table.py WHEEL...: ours and the stand-ins

Each program `with_*.py` beside this file starts a local server, calls it by way of a package, and prints "done". What
is printed here is a table of them. The versions are those of requirements/ecosystem.txt.
"""

from __future__ import annotations

import ast
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

HERE = pathlib.Path(__file__).parent
REPOSITORY = HERE.parents[2]
REQUIREMENTS = REPOSITORY / "requirements" / "ecosystem.txt"
ENVIRONMENT = REPOSITORY / ".venvs" / "ecosystem"

# How long a program may take, in seconds.
PATIENCE = 120


class Program(NamedTuple):
    """A program, the packages that it is about, and whether every run of the tests has it."""

    name: str
    packages: tuple[str, ...]
    quick: bool = True

    def what(self) -> str:
        """What it does, in its own words."""
        documentation = ast.get_docstring(ast.parse((HERE / self.name).read_text()))
        assert documentation
        return " ".join(documentation.split("\n\n")[0].split()).rstrip(".")


PROGRAMS = (
    Program("with_api_core.py", ("google-api-core",)),
    Program("with_generated_async_client.py", ("google-cloud-secret-manager",)),
    Program("with_grpc_requests.py", ("grpc-requests",), quick=False),
    Program("with_grpclib.py", ("grpclib",)),
    Program("with_interceptors.py", ("grpc-interceptor",)),
    Program("with_otel_instrumentation.py", ("opentelemetry-instrumentation-grpc",)),
    Program("with_otlp.py", ("opentelemetry-exporter-otlp-proto-grpc",)),
    Program("with_prefork_server.py", ("gunicorn",)),
    Program("with_prometheus.py", ("py-grpc-prometheus", "prometheus-client")),
    Program("with_protoc_plugins.py", ("mypy-protobuf", "grpclib")),
    Program("with_pubsub.py", ("google-cloud-pubsub",)),
    Program("with_pytest.py", ("pytest-grpc", "pytest-asyncio")),
    Program("with_qdrant.py", ("qdrant-client",), quick=False),
    Program("with_sentry.py", ("sentry-sdk",), quick=False),
    Program("with_server_processes.py", ()),
    Program("with_web_framework.py", ("fastapi", "uvicorn")),
)


class Outcome(NamedTuple):
    """How a program went: nothing, or why it did not."""

    program: Program
    failure: str | None


def versions() -> dict[str, str]:
    """The packages of requirements/ecosystem.txt."""
    pinned = re.findall(r"^([\w-]+)(?:\[.*\])?==(\S+)$", REQUIREMENTS.read_text(), re.MULTILINE)
    return dict(pinned)


def pip(python: pathlib.Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def run(python: pathlib.Path, program: Program) -> Outcome:
    try:
        command = [str(python), str(HERE / program.name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return Outcome(program, f"not done after {PATIENCE} s")
    if done.returncode == 0 and done.stdout == "done\n":
        return Outcome(program, None)
    return Outcome(program, (done.stderr or done.stdout).strip() or f"exit code {done.returncode}")


def table(outcomes: list[Outcome]) -> str:
    known = versions()
    lines = ["| package | version | what was done | |", "|---|---|---|---|"]
    for program, failure in outcomes:
        packages = ", ".join(program.packages) or "multiprocessing"
        those = ", ".join(known[package] for package in program.packages)
        verdict = "ok" if failure is None else failure.splitlines()[-1]
        lines.append(f"| {packages} | {those} | {program.what()} | {verdict} |")
    return "\n".join(lines)


def install(own: list[str]) -> pathlib.Path:
    """The Python of an environment with all packages and, always new, our wheels."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    steps = (["install", *own, "-r", REQUIREMENTS], ["install", "--no-index", "--no-deps", "--force-reinstall", *own])
    for step in steps:
        done = pip(python, *step)
        if done.returncode != 0:
            sys.exit(f"ecosystem: cannot install: {done.stderr.strip()}")
    return python


def main(own: list[str]) -> None:
    python = install(own)
    outcomes = []
    for program in PROGRAMS:
        print(f"{program.name} ...", file=sys.stderr, flush=True)
        outcomes.append(run(python, program))
    print(table(outcomes))
    failed = [outcome for outcome in outcomes if outcome.failure]
    for program, failure in failed:
        print(f"\n{program.name}:\n{failure}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
