"""Running programs beside a test, a demonstration or a measurement: started, waited for, always ended."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType


class ProgramFailed(Exception):
    """A program ended, or said nothing, when it should have gone on; the text has all it printed."""


class Server:
    """A server program, from `LISTENING <port>` (its first such line on stdout) to the end of the `with` block."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, patience: float = 60) -> None:
        self.command = list(command)
        self._process = subprocess.Popen(
            self.command,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._printed: list[str] = []
        self._ports: queue.Queue[int | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            port = self._ports.get(timeout=patience)
        except queue.Empty:
            port = None
        if port is None:
            self.stop()
            raise ProgramFailed(f"{' '.join(self.command)}\nnever said LISTENING; it printed:\n{self.output()}")
        self.port = port

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._printed.append(line)
            words = line.split()
            if len(words) == 2 and words[0] == "LISTENING":
                self._ports.put(int(words[1]))
        self._ports.put(None)

    @property
    def pid(self) -> int:
        return self._process.pid

    def output(self) -> str:
        """What the server has printed so far, stdout and stderr together."""
        return "".join(self._printed)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Ends the server, by force if it does not go; idempotent."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(timeout=5)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    patience: float = 60,
    stdin: str = "",
) -> str:
    """Runs a program to its end and answers what it printed on stdout; ProgramFailed when it failed or hung."""
    name = " ".join(command)
    try:
        done = subprocess.run(
            list(command),
            env={**os.environ, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=patience,
        )
    except subprocess.TimeoutExpired as expired:
        printed = expired.stdout.decode(errors="replace") if isinstance(expired.stdout, bytes) else expired.stdout
        raise ProgramFailed(f"{name}\ndid not end within {patience} s; it printed:\n{printed or ''}") from None
    if done.returncode != 0:
        raise ProgramFailed(f"{name}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
