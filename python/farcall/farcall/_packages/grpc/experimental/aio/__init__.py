"""The names of `grpc.aio`, where they were when they were new."""

from grpc.aio import *  # noqa: F403
from grpc.aio import __all__ as __all__
