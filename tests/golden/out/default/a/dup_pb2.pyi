from b import pub_pb2 as _pub_pb2
from b import pub2_pb2 as _pub2_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional
from b.pub_pb2 import Pub as Pub
from b.pub_pb2 import PE as PE

DESCRIPTOR: _descriptor.FileDescriptor
PUBOPT_FIELD_NUMBER: _ClassVar[int]
pubopt: _descriptor.FieldDescriptor
PE_FIELD_NUMBER: _ClassVar[int]
pe: _descriptor.FieldDescriptor
PA: _pub_pb2.PE
from: _pub_pb2.PE

class Dup(_message.Message):
    __slots__ = ("x",)
    X_FIELD_NUMBER: _ClassVar[int]
    x: int
    def __init__(self, x: _Optional[int] = ...) -> None: ...
