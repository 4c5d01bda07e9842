"""Reflection by the protocol `grpc.reflection.v1alpha`, which most tools ask for."""
