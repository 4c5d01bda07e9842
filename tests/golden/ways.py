"""How a file gets into both compilers: as text, or in a descriptor set, and what comes out."""

from __future__ import annotations

import itertools
import json
import os
import queue
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# abseil's log line has the time and the thread in it.
LOG_PREAMBLE = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
LOG_PREFIX = re.compile(r"^[WE]0000 \S+ +\d+ \S+\] ", re.MULTILINE)

# Flags that the set is made with.
SETS = {"set": ["--include_imports"], "set-info": ["--include_imports", "--include_source_info"]}
WAYS = ["text", *SETS]


@dataclass
class Result:
    code: int
    stderr: str
    files: dict[str, bytes]


# Starting Python and loading grpcio-tools takes longer than compiling: one process loads it and forks for each file.
WORKER = """
import json, os, sys
from grpc_tools import protoc
include = protoc._get_resource_file_name("grpc_tools", "_proto")
for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        stderr = os.open(request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stderr, 1)
        os.dup2(stderr, 2)
        bundled = ["-I" + include] if any(a.startswith("-I") for a in request["arguments"]) else []
        os._exit(protoc.main(["protoc", *request["arguments"], *bundled]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Reference:
    """A pool of workers that run grpcio-tools."""

    def __init__(self, python: str, size: int) -> None:
        self.idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        for _ in range(size):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.idle.put(subprocess.Popen([python, "-c", WORKER], **pipes))

    def __call__(self, arguments: list[str], stderr: str) -> int:
        worker = self.idle.get()
        worker.stdin.write(json.dumps({"arguments": arguments, "stderr": stderr}) + "\n")
        worker.stdin.flush()
        code = int(worker.stdout.readline())
        self.idle.put(worker)
        return code

    def close(self) -> None:
        while not self.idle.empty():
            self.idle.get().stdin.close()


class Ours:
    """Our command."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def __call__(self, arguments: list[str], stderr: str) -> int:
        with open(stderr, "wb") as file:
            return subprocess.run([*self.command, *arguments], stdout=file, stderr=file, check=False).returncode


Compiler = Reference | Ours


def make_set(reference: Reference, roots: Sequence[str], name: str, way: str) -> bytes | None:
    """The set that grpcio-tools makes of a file and its imports; None if it does not compile."""
    with tempfile.TemporaryDirectory() as directory:
        arguments = [*(f"-I{root}" for root in roots), f"--descriptor_set_out={directory}/in.pb", *SETS[way], name]
        if reference(arguments, f"{directory}/stderr") != 0:
            return None
        return Path(f"{directory}/in.pb").read_bytes()


def compile_text(
    compiler: Compiler, roots: Sequence[str], name: str, option: str = "", flags: Sequence[str] = ()
) -> Result:
    """What comes of a file below one of the roots."""
    return compile_one(compiler, [*(f"-I{root}" for root in roots), *flags, name], option)


def compile_set(compiler: Compiler, content: bytes, name: str, option: str = "", flags: Sequence[str] = ()) -> Result:
    """What comes of a file in this set."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/in.pb"
        Path(path).write_bytes(content)
        result = compile_one(compiler, [f"--descriptor_set_in={path}", *flags, name], option)
        result.stderr = result.stderr.replace(path, "IN")
        return result


def compile_one(compiler: Compiler, arguments: Sequence[str], option: str) -> Result:
    with tempfile.TemporaryDirectory() as directory:
        out = f"{directory}/out"
        os.mkdir(out)
        outputs = [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={option}{out}"]
        outputs += [f"--descriptor_set_out={out}/set.pb", "--include_imports", "--include_source_info"]
        code = compiler([*outputs, *arguments], f"{directory}/stderr")
        stderr = Path(f"{directory}/stderr").read_text(errors="replace").replace(out, "OUT").replace(LOG_PREAMBLE, "")
        files = {str(path.relative_to(out)): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
        return Result(code, in_order(LOG_PREFIX.sub("", stderr)), files)


def in_order(stderr: str) -> str:
    """Sorts runs of unused imports, which protoc prints in the order of a hash table."""
    lines = stderr.splitlines()
    for key, run in itertools.groupby(range(len(lines)), lambda index: lines[index].endswith(" is unused.")):
        indexes = list(run)
        if key:
            lines[indexes[0] : indexes[-1] + 1] = sorted(lines[index] for index in indexes)
    return "\n".join(lines)


def differences(ours: Result, reference: Result) -> list[str]:
    """What differs, in words that begin with the kind of thing."""
    found = []
    if ours.code != reference.code:
        found.append(f"exit code: {ours.code}, not {reference.code}")
    if ours.stderr != reference.stderr:
        found.append(f"stderr:\n  ours:      {ours.stderr.strip()}\n  reference: {reference.stderr.strip()}")
    for name in sorted(ours.files.keys() | reference.files.keys()):
        if ours.files.get(name) != reference.files.get(name):
            kind = "descriptor set" if name == "set.pb" else re.sub(r".*(_pb2.*)", r"\1", name)
            state = "missing" if name not in ours.files else "extra" if name not in reference.files else "differs"
            found.append(f"{kind}: {name} {state}")
    return found
