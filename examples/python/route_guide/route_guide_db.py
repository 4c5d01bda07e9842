"""The places of the route guide, read from a file that lies beside this one."""

import json
import pathlib

import route_guide_pb2


def read_features():
    text = (pathlib.Path(__file__).parent / "route_guide_db.json").read_text(encoding="utf-8")
    return [
        route_guide_pb2.Feature(
            name=item["name"],
            location=route_guide_pb2.Point(**item["location"]),
        )
        for item in json.loads(text)
    ]
