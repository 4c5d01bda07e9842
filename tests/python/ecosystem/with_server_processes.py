"""multiprocessing's workers, forked and spawned, each serve on one port by SO_REUSEPORT; each is called."""

import multiprocessing
import os
import socket
from concurrent import futures

import grpc

WORKERS = 3
REUSE = (("grpc.so_reuseport", 1),)


def who(request, context):
    return b"%d" % os.getpid()


def serve(address, ready, stop):
    server = grpc.server(futures.ThreadPoolExecutor(4), options=REUSE)
    handlers = {"Who": grpc.unary_unary_rpc_method_handler(who)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Workers", handlers),))
    server.add_insecure_port(address)
    server.start()
    ready.release()
    stop.wait()
    server.stop(5).wait()


def run(method):
    context = multiprocessing.get_context(method)
    # Bound and not listening: it keeps the port for the workers.
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        ready, stop = context.Semaphore(0), context.Event()
        workers = [context.Process(target=serve, args=(address, ready, stop)) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        for _ in workers:
            assert ready.acquire(timeout=40), "a worker does not serve"
        found = set()
        # The kernel deals connections out by their ports: a few hundred reach every worker.
        for _ in range(400):
            with grpc.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
                found.add(int(channel.unary_unary("/test.Workers/Who")(b"", timeout=30)))
            if len(found) == WORKERS:
                break
        assert found == {worker.pid for worker in workers}, (found, [worker.pid for worker in workers])
        stop.set()
        for worker in workers:
            worker.join(30)
            assert worker.exitcode == 0, worker.exitcode


if __name__ == "__main__":
    # A program that has called before it forks.
    here = grpc.server(futures.ThreadPoolExecutor(1))
    handlers = {"Who": grpc.unary_unary_rpc_method_handler(who)}
    here.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Workers", handlers),))
    port = here.add_insecure_port("127.0.0.1:0")
    here.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert int(channel.unary_unary("/test.Workers/Who")(b"")) == os.getpid()
    here.stop(None).wait()
    for method in ("fork", "spawn"):
        run(method)
    print("done")
