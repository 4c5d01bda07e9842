"""The answers of channelz, in the JSON of its messages, from what the engine counts."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from grpc._engine import native

_STATES = ("IDLE", "CONNECTING", "READY", "TRANSIENT_FAILURE", "SHUTDOWN")

# How many are told of at once, and how many a caller may ask for.
_PAGE = 100
_MOST = 500


class _Entity(NamedTuple):
    """A channel, server, connection or listener. Times are nanoseconds since 1970; 0 for never."""

    id: int
    kind: str
    owner: int
    name: str
    created: int
    state: int
    started: int
    succeeded: int
    failed: int
    # Those that the server ended, whatever their status.
    completed: int
    last_started: int
    sent: int
    received: int
    #: Of a connection: this end's address.
    local: str


# A client's connection is a subchannel and a socket too, whose numbers differ by this.
_SUBCHANNEL = 1 << 62


def _entities() -> dict[int, _Entity]:
    found = {}
    for *facts, counts, local in native.channelz():
        entity = _Entity._make((*facts, *counts, local))
        found[entity.id] = entity
    return found


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _calls(entity: _Entity) -> dict[str, Any]:
    data: dict[str, Any] = {
        "callsStarted": str(entity.started),
        "callsSucceeded": str(entity.succeeded),
        "callsFailed": str(entity.failed),
        "trace": {"creationTimestamp": _time(entity.created)},
    }
    if entity.last_started:
        data["lastCallStartedTimestamp"] = _time(entity.last_started)
    return data


def _address(name: str) -> dict[str, Any]:
    """An address as gRPC writes it, "ipv4:127.0.0.1:80", as a message."""
    scheme, _, rest = name.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return {"udsAddress": {"filename": rest}} if rest else {}
    host, _, port = urllib.parse.unquote(rest).rpartition(":")
    packed = ipaddress.ip_address(host.strip("[]").partition("%")[0]).packed
    return {"tcpipAddress": {"ipAddress": base64.b64encode(packed).decode(), "port": int(port)}}


def _lives(entity: _Entity) -> bool:
    return _STATES[entity.state] != "SHUTDOWN"


def _connections(entities: dict[int, _Entity], owner: _Entity) -> list[_Entity]:
    return [one for one in entities.values() if one.kind == "connection" and one.owner == owner.id and _lives(one)]


def _socket_ref(connection: _Entity) -> dict[str, str]:
    return {"socketId": str(connection.id), "name": connection.name}


def _channel(entities: dict[int, _Entity], channel: _Entity) -> dict[str, Any]:
    data = {"state": {"state": _STATES[channel.state]}, "target": channel.name, **_calls(channel)}
    subchannels = [{"subchannelId": str(one.id + _SUBCHANNEL)} for one in _connections(entities, channel)]
    return {"ref": {"channelId": str(channel.id)}, "data": data, "subchannelRef": subchannels}


def _server(entities: dict[int, _Entity], server: _Entity) -> dict[str, Any]:
    listeners = [_socket_ref(one) for one in entities.values() if one.kind == "listener" and one.owner == server.id]
    return {"ref": {"serverId": str(server.id)}, "data": _calls(server), "listenSocket": listeners}


def _subchannel(_: dict[int, _Entity], connection: _Entity) -> dict[str, Any]:
    state = {"state": _STATES[connection.state]}
    data = {"state": state, "target": connection.name, **_calls(connection)}
    ref = {"subchannelId": str(connection.id + _SUBCHANNEL)}
    return {"ref": ref, "data": data, "socketRef": [_socket_ref(connection)]}


def _socket(entities: dict[int, _Entity], socket: _Entity) -> dict[str, Any]:
    if socket.kind == "listener":
        return {"ref": _socket_ref(socket), "local": _address(socket.name)}
    owner = entities.get(socket.owner)
    side = "Remote" if owner is not None and owner.kind == "server" else "Local"
    # A stream that ended as the protocol has it has succeeded, whatever status it brought.
    failed = max(socket.succeeded + socket.failed - socket.completed, 0)
    data = {
        "streamsStarted": str(socket.started),
        "streamsSucceeded": str(socket.completed),
        "streamsFailed": str(failed),
        "messagesSent": str(socket.sent),
        "messagesReceived": str(socket.received),
    }
    if socket.last_started:
        data[f"last{side}StreamCreatedTimestamp"] = _time(socket.last_started)
    addresses = {"local": _address(socket.local), "remote": _address(socket.name)}
    return {"ref": _socket_ref(socket), "data": data, **addresses}


def _page(
    entities: Iterable[_Entity], start: int, most: int, key: str, tell: Callable[[_Entity], dict[str, Any]]
) -> bytes:
    found = [entity for entity in entities if entity.id >= start]
    limit = min(most or _PAGE, _MOST)
    return json.dumps({key: [tell(entity) for entity in found[:limit]], "end": len(found) <= limit}).encode()


def top_channels(start: int) -> bytes:
    """Channels from a number on."""
    entities = _entities()
    channels = (one for one in entities.values() if one.kind == "channel")
    return _page(channels, start, 0, "channel", lambda one: _channel(entities, one))


def servers(start: int) -> bytes:
    """Servers from a number on."""
    entities = _entities()
    found = (one for one in entities.values() if one.kind == "server")
    return _page(found, start, 0, "server", lambda one: _server(entities, one))


def server_sockets(server_id: int, start: int, most: int) -> bytes:
    """A server's connections from a number on."""
    entities = _entities()
    server = entities.get(server_id)
    if server is None or server.kind != "server":
        raise ValueError(
            f"Failed to get server sockets, please ensure your server_id=={server_id} and "
            f"start_socket_id=={start} and max_results=={most} is valid"
        )
    return _page(_connections(entities, server), start, most, "socketRef", _socket_ref)


def one(what: str, number: int) -> bytes:
    """One "channel", "server", "subchannel" or "socket".

    Raises:
      ValueError: there is none.
    """
    kinds, tell = _ONE[what]
    entities = _entities()
    entity = entities.get(number - _SUBCHANNEL if what == "subchannel" else number)
    if entity is None or entity.kind not in kinds:
        raise ValueError(f"Failed to get the {what}, please ensure your {what}_id=={number} is valid")
    return json.dumps({what: tell(entities, entity)}).encode()


_ONE: dict[str, tuple[tuple[str, ...], Callable[[dict[int, _Entity], _Entity], dict[str, Any]]]] = {
    "channel": (("channel",), _channel),
    "server": (("server",), _server),
    "subchannel": (("connection",), _subchannel),
    "socket": (("connection", "listener"), _socket),
}
