"""The compression algorithms, by the names that programs import from here."""

from __future__ import annotations

from grpc._vocabulary import Compression

NoCompression = Compression.NoCompression
Deflate = Compression.Deflate
Gzip = Compression.Gzip

_METADATA_STRING_MAPPING = {NoCompression: "identity", Gzip: "gzip", Deflate: "deflate"}


def create_channel_option(compression: Compression | None) -> tuple[tuple[str, int], ...]:
    """The channel option that makes this the default, if anything was chosen."""
    return (("grpc.default_compression_algorithm", int(compression)),) if compression else ()


def number(compression: Compression | int) -> int:
    """The number of an algorithm.

    Raises:
      ValueError: there is no such algorithm.
    """
    return int(Compression(compression))
