"""A name server on loopback, whose zone a test changes as it likes. Over UDP; what does not fit comes over TCP."""

from __future__ import annotations

import socket
import struct
import threading

A, TXT, SRV = 1, 16, 33
NAME_ERROR, SERVER_FAILURE = 3, 2


def name_of(name):
    labels = name.encode().split(b".")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def a(address):
    return A, socket.inet_aton(address)


def txt(text):
    data = text.encode()
    pieces = [data[start : start + 255] for start in range(0, len(data), 255)]
    return TXT, b"".join(bytes([len(piece)]) + piece for piece in pieces)


def srv(host, port, priority=0, weight=0):
    return SRV, struct.pack("!HHH", priority, weight, port) + name_of(host)


class NameServer:
    """`records` is by name; with `fails` set it answers everything with that code."""

    def __init__(self):
        self.records = {}
        self.fails = None
        self.over_tcp = 0
        while True:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.tcp = socket.socket()
            try:
                self.tcp.bind(self.udp.getsockname())
            except OSError:
                self.udp.close()
                self.tcp.close()
                continue
            break
        self.tcp.listen()
        self.port = self.udp.getsockname()[1]
        for serve in (self._datagrams, self._connections):
            threading.Thread(target=serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for served in (self.udp, self.tcp):
            # Wakes the thread that waits for it.
            try:
                served.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            served.close()

    def target(self, name):
        return f"dns://127.0.0.1:{self.port}/{name}"

    def _datagrams(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(512)
                if not query:
                    return
                answer = self._answer(query)
                if len(answer) > 512:
                    # Truncated: the header with that flag, and the question.
                    flags = struct.pack("!H", struct.unpack_from("!H", answer, 2)[0] | 0x0200)
                    answer = query[:2] + flags + b"\0\1\0\0\0\0\0\0" + query[12:]
                self.udp.sendto(answer, peer)
            except OSError:
                return

    def _connections(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            with client, client.makefile("rb") as read:
                (length,) = struct.unpack("!H", read.read(2))
                answer = self._answer(read.read(length))
                self.over_tcp += 1
                client.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        (kind,) = struct.unpack_from("!H", query, at + 1)
        records = self.records.get(".".join(labels).lower())
        code = self.fails if self.fails is not None else NAME_ERROR if records is None else 0
        found = [data for of, data in records or [] if of == kind and not code]
        header = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
        # Each record's name is that of the question, at offset 12.
        answers = [b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(data)) + data for data in found]
        return header + query[12 : at + 5] + b"".join(answers)
