"""The descriptors a server tells by reflection, as a DescriptorDatabase.

database = ProtoReflectionDescriptorDatabase(channel)
pool = descriptor_pool.DescriptorPool(database)
service = pool.FindServiceByName(database.get_services()[0])
"""

from __future__ import annotations

import grpc
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from grpc_reflection.v1.reflection_pb2 import ExtensionRequest, ServerReflectionRequest, ServerReflectionResponse
from grpc_reflection.v1.reflection_pb2_grpc import ServerReflectionStub


class ProtoReflectionDescriptorDatabase(DescriptorDatabase):
    """Asks a server for descriptors, and keeps what it has answered.

    Every method raises the `grpc.RpcError` of a call that fails.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        """Makes a database of what the server behind a channel tells."""
        super().__init__()
        self._stub = ServerReflectionStub(channel)
        self._known_files: set[str] = set()
        self._cached_extension_numbers: dict[str, list[int]] = {}
        self._files_of_extensions: dict[tuple[str, int], str] = {}

    def get_services(self) -> list[str]:
        """The full names of the services the server tells of."""
        response = self._ask(ServerReflectionRequest(list_services=""), "services")
        return [service.name for service in response.list_services_response.service]

    def FindFileByName(self, name: str) -> FileDescriptorProto:
        """The file of a name; KeyError if there is none."""
        try:
            return super().FindFileByName(name)
        except KeyError:
            self._add_files(self._ask(ServerReflectionRequest(file_by_filename=name), name))
            return super().FindFileByName(name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptorProto:
        """The file that defines a full name; KeyError if there is none."""
        try:
            return super().FindFileContainingSymbol(symbol)
        except KeyError:
            self._add_files(self._ask(ServerReflectionRequest(file_containing_symbol=symbol), symbol))
            return super().FindFileContainingSymbol(symbol)

    def FindAllExtensionNumbers(self, extendee_name: str) -> list[int]:
        """The numbers of all extensions of a message; KeyError if there is no such message."""
        known = self._cached_extension_numbers.get(extendee_name)
        if known is None:
            response = self._ask(ServerReflectionRequest(all_extension_numbers_of_type=extendee_name), extendee_name)
            known = list(response.all_extension_numbers_response.extension_number)
            self._cached_extension_numbers[extendee_name] = known
        return known

    def FindFileContainingExtension(self, extendee_name: str, extension_number: int) -> FileDescriptorProto | None:
        """The file that defines an extension; None if there is none.

        Args:
          extendee_name: the full name of the message it extends.
          extension_number: its field's number.
        """
        key = (extendee_name, extension_number)
        name = self._files_of_extensions.get(key)
        if name is None:
            asked = ExtensionRequest(containing_type=extendee_name, extension_number=extension_number)
            try:
                response = self._ask(ServerReflectionRequest(file_containing_extension=asked), key)
            except KeyError:
                return None
            # The file itself is the first; the others are what it imports.
            name = self._files_of_extensions[key] = self._add_files(response)
        return super().FindFileByName(name)

    def _ask(self, request: ServerReflectionRequest, key: object) -> ServerReflectionResponse:
        """The server's response to one request; KeyError if it knows no such thing."""
        response: ServerReflectionResponse = next(self._stub.ServerReflectionInfo(iter((request,))))
        if response.WhichOneof("message_response") == "error_response":
            error = response.error_response
            if error.error_code == grpc.StatusCode.NOT_FOUND.value[0]:
                raise KeyError(key)
            raise RuntimeError(f"the server's reflection failed: {error.error_message} (code {error.error_code})")
        return response

    def _add_files(self, response: ServerReflectionResponse) -> str:
        """Keeps the files of a response; answers the name of the first."""
        files = [
            FileDescriptorProto.FromString(serialized)
            for serialized in response.file_descriptor_response.file_descriptor_proto
        ]
        for file in files:
            if file.name not in self._known_files:
                self._known_files.add(file.name)
                self.Add(file)
        if not files:
            raise KeyError("the server's reflection answered no file")
        return str(files[0].name)
