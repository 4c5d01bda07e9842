"""What the Python clients of the interop tests share: reading cases, writing outcomes. See cases.py for the form."""

import json
import sys
import zlib

import interop_pb2

PAUSE_LIMIT = 10.0
"""Seconds until a call that should have ended, or a watch, is given up."""


def requests_of(case):
    made = []
    for spec in case.get("requests", [{}]):
        fields = dict(spec)
        payload = fields.pop("payload", "").encode()
        size = fields.pop("size", None)
        if size is not None:
            payload = bytes(i % 251 for i in range(251)) * (size // 251 + 1)
            payload = payload[:size]
        status = fields.pop("status", None)
        request = interop_pb2.Request(payload=payload, **fields)
        if status:
            request.status.code, request.status.details = status
        made.append(request)
    return made


def metadata_of(case):
    return [(key, bytes.fromhex(value) if key.endswith("-bin") else value) for key, value in case.get("metadata", [])]


def describe_payload(payload):
    if len(payload) <= 64:
        return payload.decode()
    return f"{len(payload)} bytes, crc32 {zlib.crc32(payload):08x}"


def describe_metadata(metadata):
    """Our own keys only; the transport's are the peer's business."""
    return [
        [key, value.hex() if isinstance(value, bytes) else value]
        for key, value in metadata or ()
        if key.startswith("x-")
    ]


def describe_reply(reply, outcome):
    if reply is None:  # grpcio's answer when OK came without a message
        return
    outcome["replies"].append(describe_payload(reply.payload))
    if reply.time_left_ms:
        outcome["time_left_ms"] = reply.time_left_ms


def read_cases():
    return [json.loads(line) for line in sys.stdin if line.strip()]


def write_outcome(case, outcome):
    print(json.dumps({"name": case["name"], **outcome}), flush=True)
