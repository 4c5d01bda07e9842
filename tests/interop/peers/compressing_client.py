"""Calls compressing_server.py, compressing as it is told, and writes what came back right.

python compressing_client.py ADDRESS ALGORITHM SIZE
"""

import sys

import grpc


def call(address, algorithm, size):
    message = b"0123456789abcdef" * (size // 16)
    with grpc.insecure_channel(address, compression=grpc.Compression(algorithm)) as channel:
        right = [channel.unary_unary("/test/one")(message) == message]
        echoed = channel.stream_stream("/test/each")(iter([message] * 3))
        right += [response == message for response in echoed]
    print(f"{sum(right)} of {len(right)}")


if __name__ == "__main__":
    call(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
