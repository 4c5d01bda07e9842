"""The route guide's client: calls one method of each of the four kinds.

python route_guide_client.py [ADDRESS]      (default: localhost:50052)
"""

import logging
import sys

import grpc
import route_guide_db
import route_guide_pb2
import route_guide_pb2_grpc


def make_point(latitude, longitude):
    return route_guide_pb2.Point(latitude=latitude, longitude=longitude)


def make_note(message, latitude, longitude):
    return route_guide_pb2.RouteNote(message=message, location=make_point(latitude, longitude))


def describe(feature):
    where = f"{feature.location.latitude}, {feature.location.longitude}"
    return f"{feature.name} at {where}" if feature.name else f"nothing known at {where}"


def get_features(stub):
    print(describe(stub.GetFeature(make_point(571210000, 81930000))))
    # The same call as a future: the answer is fetched when it is wanted.
    future = stub.GetFeature.future(make_point(0, 0))
    print(describe(future.result()))


def list_features(stub):
    area = route_guide_pb2.Rectangle(
        lo=make_point(571400000, 82000000),
        hi=make_point(571600000, 84000000),
    )
    for feature in stub.ListFeatures(area):
        print(describe(feature))


def record_route(stub):
    walk = (feature.location for feature in route_guide_db.read_features())
    summary = stub.RecordRoute(walk)
    print(f"passed {summary.point_count} points, {summary.feature_count} of them known")
    print(f"walked {summary.distance} metres in {summary.elapsed_time} seconds")


def route_chat(stub):
    notes = [
        make_note("first", 0, 0),
        make_note("second", 0, 1),
        make_note("third", 1, 0),
        make_note("fourth", 0, 0),
        make_note("fifth", 0, 0),
    ]

    def say():
        for note in notes:
            print(f"say {note.message} at {note.location.latitude}, {note.location.longitude}")
            yield note

    for note in stub.RouteChat(say()):
        print(f"hear {note.message} at {note.location.latitude}, {note.location.longitude}")


def run(address):
    with grpc.insecure_channel(address) as channel:
        stub = route_guide_pb2_grpc.RouteGuideStub(channel)
        for title, tour in (
            ("GetFeature", get_features),
            ("ListFeatures", list_features),
            ("RecordRoute", record_route),
            ("RouteChat", route_chat),
        ):
            print(f"-------------- {title} --------------")
            tour(stub)


if __name__ == "__main__":
    logging.basicConfig()
    run(sys.argv[1] if len(sys.argv) > 1 else "localhost:50052")
