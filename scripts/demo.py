"""`make demo`: one contract, one server, two clients.

Compiles examples/proto/greeter.proto with our compiler, starts the Python server, calls it with the Python
client and with the Rust client, and shows what each printed.
"""

from __future__ import annotations

import argparse
import pathlib
import signal
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "testkit"))

import programs  # noqa: E402  (it lives with the tests, which use it most)


def say(title: str, text: str = "") -> None:
    print(f"==> {title}")
    for line in text.splitlines():
        print(f"    {line}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rust-bin", type=pathlib.Path, required=True, help="where cargo put the examples")
    arguments = parser.parse_args()

    generated = ROOT / "build" / "demo"
    generated.mkdir(parents=True, exist_ok=True)
    greeter = ROOT / "examples" / "python" / "greeter"
    python_path = {"PYTHONPATH": str(generated)}

    compile_command = [
        sys.executable,
        *("-m", "grpc_tools.protoc", f"-I{ROOT / 'examples' / 'proto'}"),
        *(f"--{kind}_out={generated}" for kind in ("python", "pyi", "grpc_python")),
        "greeter.proto",
    ]
    programs.run(compile_command)
    say("compiled examples/proto/greeter.proto", "\n".join(sorted(path.name for path in generated.glob("greeter_*"))))

    server_command = [sys.executable, str(greeter / "greeter_server.py"), "localhost:0"]
    with programs.Server(server_command, env=python_path) as server:
        address = f"localhost:{server.port}"
        say("started examples/python/greeter/greeter_server.py", server.output())
        client = [sys.executable, str(greeter / "greeter_client.py"), address]
        say("ran the Python client", programs.run(client, env=python_path))
        say("ran the Rust client", programs.run([str(arguments.rust_bin / "greeter-client"), address]))
    say("stopped the server")
    return 0


if __name__ == "__main__":
    # So that the server is stopped then, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(main())
    except programs.ProgramFailed as failure:
        sys.exit(f"demo failed: {failure}")
