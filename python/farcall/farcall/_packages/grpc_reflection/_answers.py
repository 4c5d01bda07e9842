"""What reflection answers to a request: the same in both versions of the protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool


def _error(code: grpc.StatusCode) -> dict[str, Any]:
    number, words = code.value
    return {"error_response": {"error_code": number, "error_message": words}}


def _files(file: Any, seen: dict[str, bytes]) -> dict[str, bytes]:
    """The file and all that it imports, as serialised descriptors, by name; the file itself first."""
    waiting = [file]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.name not in seen:
            proto = descriptor_pb2.FileDescriptorProto()
            descriptor.CopyToProto(proto)
            seen[descriptor.name] = proto.SerializeToString()
            waiting.extend(reversed(descriptor.dependencies))
    return seen


class Answers:
    """Answers requests about some services, and about whatever is in a pool of descriptors."""

    def __init__(self, service_names: Iterable[str], pool: Any = None) -> None:
        self._service_names = tuple(sorted(service_names))
        self._pool = descriptor_pool.Default() if pool is None else pool

    def to(self, request: Any) -> dict[str, Any]:
        """The fields of the response to a `ServerReflectionRequest`."""
        asked = request.WhichOneof("message_request")
        if asked is None:
            return _error(grpc.StatusCode.INVALID_ARGUMENT)
        try:
            answer: dict[str, Any] = getattr(self, asked)(getattr(request, asked))
        except KeyError:
            return _error(grpc.StatusCode.NOT_FOUND)
        return answer

    def list_services(self, _: str) -> dict[str, Any]:
        return {"list_services_response": {"service": [{"name": name} for name in self._service_names]}}

    def file_by_filename(self, name: str) -> dict[str, Any]:
        return self._file(self._pool.FindFileByName(name))

    def file_containing_symbol(self, symbol: str) -> dict[str, Any]:
        try:
            return self._file(self._pool.FindFileContainingSymbol(symbol))
        except KeyError:
            # The pool does not look for methods.
            service, _, method = symbol.rpartition(".")
            descriptor = self._pool.FindServiceByName(service)
            if method not in descriptor.methods_by_name:
                raise
            return self._file(descriptor.file)

    def file_containing_extension(self, extension: Any) -> dict[str, Any]:
        extendee = self._pool.FindMessageTypeByName(extension.containing_type)
        return self._file(self._pool.FindExtensionByNumber(extendee, extension.extension_number).file)

    def all_extension_numbers_of_type(self, name: str) -> dict[str, Any]:
        extensions = self._pool.FindAllExtensions(self._pool.FindMessageTypeByName(name))
        numbers = sorted(extension.number for extension in extensions)
        return {"all_extension_numbers_response": {"base_type_name": name, "extension_number": numbers}}

    def _file(self, file: Any) -> dict[str, Any]:
        return {"file_descriptor_response": {"file_descriptor_proto": list(_files(file, {}).values())}}
