"""Reflection by the protocol `grpc.reflection.v1`."""
