"""The Python programs printed in README.md run, as they stand there but for the port."""

import pathlib
import re
import sys

import programs

ROOT = pathlib.Path(__file__).resolve().parents[2]


def replaced(text, old, new):
    assert text.count(old) == 1, f"README.md was expected to say once: {old}"
    return text.replace(old, new)


def test_readme_programs(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    server, client = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    command = re.search(r"^python -m grpc_tools\.protoc (.*)$", readme, flags=re.MULTILINE)
    assert command is not None
    arguments = replaced(command[1], "-Iexamples/proto", f"-I{ROOT / 'examples' / 'proto'}")
    arguments = arguments.replace("_out=.", f"_out={tmp_path}").split()
    programs.run([sys.executable, "-m", "grpc_tools.protoc", *arguments])

    server = replaced(
        server, 'server.add_insecure_port("localhost:50051")', 'port = server.add_insecure_port("localhost:0")'
    )
    server = replaced(server, "server.start()\n", 'server.start()\nprint(f"LISTENING {port}", flush=True)\n')
    (tmp_path / "server.py").write_text(server)
    with programs.Server([sys.executable, str(tmp_path / "server.py")]) as running:
        (tmp_path / "client.py").write_text(replaced(client, "localhost:50051", f"localhost:{running.port}"))
        assert programs.run([sys.executable, str(tmp_path / "client.py")]) == "Hello, you!\n"
