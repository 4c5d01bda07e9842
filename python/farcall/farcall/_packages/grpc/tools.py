"""The old name of `grpc_tools`."""

import sys

import grpc_tools

sys.modules[__name__] = grpc_tools
