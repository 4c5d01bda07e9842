"""The interoperation cases: what a client is to do, and what it must then have seen, whoever it talks to.

A case is performed by the client programs in `peers/` and `rust/`, which read cases as JSON lines and write
one outcome a line. Fields: `kind` of method; `requests` (fields of interop.proto's Request; `size` makes a
payload of that many bytes); `metadata` (values of "-bin" keys in hex); `timeout` in seconds; `ping_pong` (the next
request goes only when the reply to the last has come); `hold` (the request stream stays open after the last);
`cancel` (once the server says that the call blocks); `watch_end` (ask the server whether it saw the end);
`at_once` (that many of the same call side by side); `target` (on a channel of its own, to there).

An expectation names only what is fixed by the protocol: texts of errors made by the client itself are its own.
"""

from __future__ import annotations

import zlib
from typing import Any

KINDS = ("unary", "server_stream", "client_stream", "bidi")

# More than the initial flow-control windows (65,535 bytes) many times over, and beyond what is sent in one frame.
LARGE = 1_000_000

DETAILS = "nothing at 100%: ä 漢字\n(end)"


def _patterned(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def _described(payload: bytes) -> str:
    return f"{len(payload)} bytes, crc32 {zlib.crc32(payload):08x}"


def _reply_counts(kind: str, replies: int) -> dict[str, int]:
    return {"replies": replies} if kind in ("server_stream", "bidi") else {}


def _plain() -> list[dict[str, Any]]:
    a, b, c = {"payload": "a"}, {"payload": "b"}, {"payload": "c"}
    ok: dict[str, Any] = {"code": "OK", "details": "", "initial": [], "trailing": []}
    return [
        {"name": "unary", "kind": "unary", "requests": [a], "expect": {"replies": ["a"], **ok}},
        {
            "name": "server_stream",
            "kind": "server_stream",
            "requests": [{**a, "replies": 3}],
            "expect": {"replies": ["a"] * 3, **ok},
        },
        {
            "name": "server_stream_of_nothing",
            "kind": "server_stream",
            "requests": [{**a, "replies": 0}],
            "expect": {"replies": [], **ok},
        },
        {"name": "client_stream", "kind": "client_stream", "requests": [a, b, c], "expect": {"replies": ["abc"], **ok}},
        {
            "name": "client_stream_of_nothing",
            "kind": "client_stream",
            "requests": [],
            "expect": {"replies": [""], **ok},
        },
        {
            "name": "bidi",
            "kind": "bidi",
            "requests": [{**a, "replies": 2}, {**b, "replies": 0}, {**c, "replies": 1}],
            "expect": {"replies": ["a", "a", "c"], **ok},
        },
        {
            "name": "bidi_ping_pong",
            "kind": "bidi",
            "ping_pong": True,
            "requests": [{"payload": str(turn), "replies": 1} for turn in range(20)],
            "expect": {"replies": [str(turn) for turn in range(20)], **ok},
        },
        {"name": "unary_empty", "kind": "unary", "requests": [{}], "expect": {"replies": [""], **ok}},
        {
            "name": "unary_at_once",
            "kind": "unary",
            "at_once": 30,
            "requests": [a],
            "expect": {"replies": ["a"], "all_alike": True, **ok},
        },
    ]


def _large() -> list[dict[str, Any]]:
    payload = _patterned(LARGE)
    one, joined = _described(payload), _described(payload * 3)
    request = {"size": LARGE}
    return [
        {
            "name": "unary_large",
            "kind": "unary",
            "requests": [request],
            "expect": {"replies": [one], "code": "OK"},
        },
        {
            "name": "server_stream_large",
            "kind": "server_stream",
            "requests": [{**request, "replies": 5}],
            "expect": {"replies": [one] * 5, "code": "OK"},
        },
        {
            "name": "client_stream_large",
            "kind": "client_stream",
            "requests": [request] * 3,
            "expect": {"replies": [joined], "code": "OK"},
        },
        {
            "name": "bidi_large",
            "kind": "bidi",
            "requests": [{**request, "replies": 1}] * 3,
            "expect": {"replies": [one] * 3, "code": "OK"},
        },
    ]


def _metadata(kind: str) -> dict[str, Any]:
    return {
        "name": f"{kind}_metadata",
        "kind": kind,
        "requests": [{"payload": "m", **_reply_counts(kind, 1)}],
        "metadata": [
            ["x-echo-initial", "first value"],
            ["x-echo-initial", "second"],
            ["x-echo-trailing-bin", "000102ff"],
            ["x-echo-trailing-bin", ""],
        ],
        "expect": {
            "replies": ["m"],
            "code": "OK",
            "initial": [["x-echo-initial", "first value"], ["x-echo-initial", "second"]],
            "trailing": [["x-echo-trailing-bin", "000102ff"], ["x-echo-trailing-bin", ""]],
        },
    }


def _status(kind: str) -> list[dict[str, Any]]:
    request = {"payload": "s", "status": [5, DETAILS], **_reply_counts(kind, 2)}
    expect = {"replies": ["s"] * (2 if "replies" in request else 0), "code": "NOT_FOUND", "details": DETAILS}
    return [
        {"name": f"{kind}_status", "kind": kind, "requests": [request], "expect": {**expect, "trailing": []}},
        {
            "name": f"{kind}_status_with_metadata",
            "kind": kind,
            "requests": [request],
            "metadata": [["x-echo-initial", "seen"], ["x-echo-trailing-bin", "00ff"]],
            "expect": {
                **expect,
                "initial": [["x-echo-initial", "seen"]],
                "trailing": [["x-echo-trailing-bin", "00ff"]],
            },
        },
        {
            "name": f"{kind}_failing_handler",
            "kind": kind,
            "requests": [{"fail": True}],
            "expect": {"replies": [], "code": "UNKNOWN"},
        },
    ]


def _early_status(kind: str) -> dict[str, Any]:
    """The server ends the call while the client has more to send and its request stream is open."""
    return {
        "name": f"{kind}_early_status",
        "kind": kind,
        "hold": True,
        "requests": [{"status": [9, "not now"]}, {"payload": "never read"}],
        "expect": {"replies": [], "code": "FAILED_PRECONDITION", "details": "not now"},
    }


def _deadline(kind: str) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{kind}_deadline",
            "kind": kind,
            "timeout": 0.3,
            "watch_end": True,
            "requests": [{"block": True}],
            "expect": {"replies": [], "code": "DEADLINE_EXCEEDED", "server_saw_end": True},
        },
        {
            "name": f"{kind}_deadline_is_told",
            "kind": kind,
            "timeout": 300,
            "requests": [{"payload": "t", "report_deadline": True, **_reply_counts(kind, 1)}],
            "expect": {"replies": ["t"], "code": "OK", "time_left_ms": (200_000, 310_000)},
        },
    ]


def _cancel(kind: str) -> dict[str, Any]:
    replies = _reply_counts(kind, 1)
    return {
        "name": f"{kind}_cancel",
        "kind": kind,
        "cancel": True,
        "watch_end": True,
        "hold": kind in ("client_stream", "bidi"),
        "requests": [{"payload": "c", "block": True, **replies}],
        "expect": {"replies": ["c"] if replies else [], "code": "CANCELLED", "server_saw_end": True},
    }


def all_cases() -> list[dict[str, Any]]:
    cases = _plain() + _large()
    for kind in KINDS:
        cases.append(_metadata(kind))
        cases.extend(_status(kind))
        cases.extend(_deadline(kind))
        cases.append(_cancel(kind))
    cases.extend(_early_status(kind) for kind in ("client_stream", "bidi"))
    cases.append({"name": "no_such_method", "kind": "missing", "expect": {"replies": [], "code": "UNIMPLEMENTED"}})
    return cases


def _met(name: str, first: str, later: str, **expect: Any) -> dict[str, Any]:
    return {"name": name, "first": first, "later": later, "expect": {"details": "", **expect}}


def channel_scenarios() -> list[dict[str, Any]]:
    """What a channel makes of a server that goes wrong, fixed for our three kinds of hands: the code and the text of a
    unary call, and how many connections and streams the server saw.

    `first` and `later` are what the first connection and those after it meet (test_channel_parity.py has them),
    `target` another than the server; `tls` and `proxy` how the channel gets there. `port` in a text is the server's,
    `proxy_port` the proxy's. Of several `calls` on one channel, one after the other, the last one counts. Where hands
    do otherwise today, `drift` says what, by client: that row is expected to fail.
    """
    failed = "failed to connect to all addresses; last error: "
    unreached = {"code": "UNAVAILABLE", "connections": 0, "streams": 0}
    lost = {"code": "UNAVAILABLE", "details": "Stream removed (Socket closed)", "connections": 1, "streams": 1}

    def removed(code: str, error: int) -> dict[str, Any]:
        text = f"Stream removed (RST_STREAM (Received RST_STREAM with error code {error}))"
        return {"code": code, "details": text}

    return [
        {
            "name": "refused",
            "target": "127.0.0.1:{port}",
            "expect": {
                **unreached,
                "details": failed
                + "UNKNOWN: ipv4:127.0.0.1:{port}: Failed to connect to remote host: Connection refused",
            },
        },
        {
            "name": "no_such_name",
            "target": "nowhere.invalid:1",
            "expect": {
                **unreached,
                "details": "errors resolving nowhere.invalid:1: "
                "[field:hostname lookup error:address lookup failed for nowhere.invalid:1: Domain name not found]",
            },
        },
        _met("goaway_at_once", "goaway_at_once", "answer", code="OK", connections=2, streams=1),
        # Its last stream is below the call's, which the server has therefore not seen.
        _met("goaway_below", "goaway_below", "answer", code="OK", connections=2, streams=2),
        _met("goaway_with", "goaway_with", "answer", code="OK", connections=1, streams=1),
        # gRFC A6: a call that a server refused is made again, once.
        _met("refused_once", "refuse_once", "answer", code="OK", connections=1, streams=2),
        _met("refused_always", "refuse", "refuse", **removed("UNAVAILABLE", 7), connections=1, streams=2),
        _met("reset_before_headers", "reset", "reset", **removed("INTERNAL", 2), connections=1, streams=1),
        _met(
            "reset_after_headers",
            "headers_and_reset",
            "headers_and_reset",
            **removed("INTERNAL", 2),
            connections=1,
            streams=1,
        ),
        _met("closed_before_headers", "close", "close", **lost),
        _met("closed_after_headers", "headers_and_close", "headers_and_close", **lost),
        # A server with a short max_connection_age, say.
        {
            **_met("goaway_after_each", "goaway_with", "goaway_with", code="OK", connections=8, streams=8),
            "calls": 8,
        },
        {
            "name": "tls_to_a_plain_server",
            "first": "answer",
            "tls": True,
            "expect": {
                **unreached,
                "connections": 1,
                "details": failed + "UNKNOWN: ipv4:127.0.0.1:{port}: Tls handshake failed (TSI_PROTOCOL_FAILURE): "
                "SSL_ERROR_SSL: error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER: "
                "the peer does not speak TLS: OK",
            },
            "drift": {"ours-rust": "a failed TLS handshake has other words in Rust, and another code in them"},
        },
        {
            "name": "proxy_refuses",
            "target": "somewhere.invalid:1",
            "proxy": "HTTP/1.1 403 Forbidden\r\n\r\n",
            "expect": {
                **unreached,
                "details": failed + "UNKNOWN: ipv4:127.0.0.1:{proxy_port}: Failed to connect to remote host: "
                'the proxy answered "HTTP/1.1 403 Forbidden"',
            },
        },
    ]


def mismatch(expected: dict[str, Any], outcome: dict[str, Any]) -> list[str]:
    """What of the outcome is not as expected; a pair of numbers is a range."""
    wrong = []
    for key, wanted in expected.items():
        found = outcome.get(key)
        fits = (
            isinstance(found, int) and wanted[0] <= found <= wanted[1] if isinstance(wanted, tuple) else found == wanted
        )
        if not fits:
            wrong.append(f"{key}: expected {wanted!r}, saw {found!r}")
    return wrong
