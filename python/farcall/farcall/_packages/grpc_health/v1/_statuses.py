"""What is known of services' health: what both servicers, blocking and asyncio, decide by."""

from __future__ import annotations

from grpc_health.v1 import health_pb2

#: The service that stands for the server as a whole.
OVERALL_HEALTH = ""

#: How many services are told of at once, so that the answer's size has a bound.
MOST_LISTED = 100

TOO_MANY = f"the server has more than {MOST_LISTED} services: ask for them one by one"


class Statuses:
    """The status of each service. Not for several threads at a time."""

    def __init__(self) -> None:
        serving = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
        self._responses = {OVERALL_HEALTH: serving}
        self._shutting_down = False

    def of(self, service: str) -> health_pb2.HealthCheckResponse | None:
        """The status of a service; None if it has none."""
        return self._responses.get(service)

    def watched(self, service: str) -> health_pb2.HealthCheckResponse:
        """The status of a service, for who watches it."""
        unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        return self._responses.get(service) or health_pb2.HealthCheckResponse(status=unknown)

    def all(self) -> health_pb2.HealthListResponse | None:
        """The status of each service; None if there are too many."""
        if len(self._responses) > MOST_LISTED:
            return None
        return health_pb2.HealthListResponse(statuses=self._responses)

    def set(
        self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus
    ) -> dict[str, health_pb2.HealthCheckResponse]:
        """Sets a status; answers what has changed."""
        if self._shutting_down:
            return {}
        response = health_pb2.HealthCheckResponse(status=status)
        if self._responses.get(service) == response:
            return {}
        self._responses[service] = response
        return {service: response}

    def shut_down(self) -> dict[str, health_pb2.HealthCheckResponse]:
        """Sets all to NOT_SERVING and heeds no more changes; answers what has changed."""
        changes: dict[str, health_pb2.HealthCheckResponse] = {}
        for service in tuple(self._responses):
            changes |= self.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)
        self._shutting_down = True
        return changes
