"""Reflection: servers tell their services and messages. `grpc_reflection.v1alpha`, as grpcio has it, and `v1`."""
