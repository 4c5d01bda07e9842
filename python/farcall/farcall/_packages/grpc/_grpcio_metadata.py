"""The grpcio release whose API this package has. Whatever else needs the number reads it here."""

__version__ = """1.85.3"""
