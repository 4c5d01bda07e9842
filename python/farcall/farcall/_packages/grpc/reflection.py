"""The old name of `grpc_reflection`."""

import sys

import grpc_reflection

sys.modules[__name__] = grpc_reflection
