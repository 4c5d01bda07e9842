"""The old name of `grpc_health`."""

import sys

import grpc_health

sys.modules[__name__] = grpc_health
