"""The grpcio release whose API and generated code this package stands in for."""

__version__ = """1.85.1"""
