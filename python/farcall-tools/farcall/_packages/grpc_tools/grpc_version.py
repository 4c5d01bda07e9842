"""The grpcio-tools version whose outputs these tools write."""

VERSION = "1.85.1"
