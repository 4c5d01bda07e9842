"""Health of services: `grpc_health.v1`."""
