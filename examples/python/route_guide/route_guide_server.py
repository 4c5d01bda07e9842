"""The route guide's server: one method of each of the four kinds.

python route_guide_server.py [ADDRESS]      (default: localhost:50052; port 0 picks a free one)
"""

import logging
import math
import sys
import threading
import time
from concurrent import futures

import grpc
import route_guide_db
import route_guide_pb2
import route_guide_pb2_grpc

EARTH_RADIUS_METRES = 6_371_000
UNITS_PER_DEGREE = 10_000_000


def distance_between(start, end):
    """The length in metres of the great circle from one point to the other (haversine)."""
    lat1, lon1, lat2, lon2 = (
        math.radians(value / UNITS_PER_DEGREE)
        for value in (start.latitude, start.longitude, end.latitude, end.longitude)
    )
    a = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_METRES * math.asin(math.sqrt(a))


def is_inside(point, rectangle):
    left, right = sorted((rectangle.lo.longitude, rectangle.hi.longitude))
    bottom, top = sorted((rectangle.lo.latitude, rectangle.hi.latitude))
    return left <= point.longitude <= right and bottom <= point.latitude <= top


class RouteGuide(route_guide_pb2_grpc.RouteGuideServicer):
    def __init__(self):
        self._features = route_guide_db.read_features()
        self._lock = threading.Lock()
        self._notes = {}

    def _feature_at(self, point):
        return next((f for f in self._features if f.location == point), None)

    def GetFeature(self, request, context):
        return self._feature_at(request) or route_guide_pb2.Feature(location=request)

    def ListFeatures(self, request, context):
        for feature in self._features:
            if feature.name and is_inside(feature.location, request):
                yield feature

    def RecordRoute(self, request_iterator, context):
        summary = route_guide_pb2.RouteSummary()
        distance = 0.0
        previous = None
        started = time.monotonic()
        for point in request_iterator:
            summary.point_count += 1
            feature = self._feature_at(point)
            if feature is not None and feature.name:
                summary.feature_count += 1
            if previous is not None:
                distance += distance_between(previous, point)
            previous = point
        summary.distance = int(distance)
        summary.elapsed_time = int(time.monotonic() - started)
        return summary

    def RouteChat(self, request_iterator, context):
        for note in request_iterator:
            key = (note.location.latitude, note.location.longitude)
            with self._lock:
                said = self._notes.setdefault(key, [])
                earlier = list(said)
                said.append(note)
            yield from earlier


def serve(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    route_guide_pb2_grpc.add_RouteGuideServicer_to_server(RouteGuide(), server)
    port = server.add_insecure_port(address)
    server.start()
    print(f"LISTENING {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    logging.basicConfig()
    try:
        serve(sys.argv[1] if len(sys.argv) > 1 else "localhost:50052")
    except KeyboardInterrupt:
        pass
