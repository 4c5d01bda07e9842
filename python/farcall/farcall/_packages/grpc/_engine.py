"""The native module, told what received metadata are made of. Import it from here only."""

from __future__ import annotations

from farcall import _native as native

from grpc._common import _Metadatum

native.configure(_Metadatum)

__all__ = ["native"]
