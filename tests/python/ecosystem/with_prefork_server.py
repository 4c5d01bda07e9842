"""gunicorn forks workers after its application has called; they call over the channel they inherit and their own."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent import futures

import grpc

APPLICATION = """
import os
import grpc

channel = grpc.insecure_channel(os.environ["TARGET"])
look_up = channel.unary_unary("/test.Things/LookUp")
# Before the workers are forked.
assert look_up(b"loaded", timeout=30) == b"LOADED"
own = None

def application(environ, start_response):
    global own
    if own is None:
        own = grpc.insecure_channel(os.environ["TARGET"])
    path = environ["PATH_INFO"].encode()
    answers = [look_up(path, timeout=30), own.unary_unary("/test.Things/LookUp")(path, timeout=30)]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d " % os.getpid(), *answers]
"""
WORKERS = 2
REQUESTS = 60


def look_up(request, context):
    return request.upper()


server = grpc.server(futures.ThreadPoolExecutor(4))
handlers = {"LookUp": grpc.unary_unary_rpc_method_handler(look_up)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Things", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


with tempfile.TemporaryDirectory() as directory:
    pathlib.Path(directory, "app.py").write_text(APPLICATION)
    listening = pathlib.Path(directory, "listening")
    # Written by gunicorn once it listens: which port it got.
    pathlib.Path(directory, "gunicorn.conf.py").write_text(
        "import json, pathlib\n"
        "def when_ready(server):\n"
        "    address = server.LISTENERS[0].sock.getsockname()\n"
        f"    new = pathlib.Path({str(listening)!r} + '.new')\n"
        "    new.write_text(json.dumps(address))\n"
        f"    new.rename({str(listening)!r})\n"
    )
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", str(WORKERS), "--bind", "127.0.0.1:0"]
    command += ["--log-level", "warning", "--no-control-socket", "app:application"]
    environment = {**os.environ, "TARGET": f"127.0.0.1:{port}", "GRPC_ENABLE_FORK_SUPPORT": "1"}
    gunicorn = subprocess.Popen(command, cwd=directory, env=environment)
    try:
        give_up = time.monotonic() + 40
        while not listening.exists():
            assert gunicorn.poll() is None, "gunicorn has ended"
            assert time.monotonic() < give_up, "gunicorn does not listen"
            time.sleep(0.02)
        host, http_port = json.loads(listening.read_text())
        url = f"http://{host}:{http_port}/thing"
        with futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(fetch, [url] * REQUESTS))
        processes = {int(answer.split()[0]) for answer in answers}
        assert {answer.split(b" ", 1)[1] for answer in answers} == {b"/THING/THING"}, answers
        assert gunicorn.pid not in processes and processes, processes
        gunicorn.send_signal(signal.SIGTERM)
        assert gunicorn.wait(timeout=30) == 0, gunicorn.returncode
    finally:
        if gunicorn.poll() is None:
            gunicorn.kill()
            gunicorn.wait()
server.stop(None)
print("done")
