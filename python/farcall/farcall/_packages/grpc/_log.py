"""The logger "grpc", quiet until the program listens. Whatever logs imports this, and `import grpc` need not."""

import logging

logging.getLogger("grpc").addHandler(logging.NullHandler())
