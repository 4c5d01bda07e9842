from b import pub2_pb2 as _pub2_pb2
from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf.internal import python_message as _python_message
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional
from b.pub2_pb2 import Pub2 as Pub2
from b.pub2_pb2 import PE2 as PE2

DESCRIPTOR: _descriptor.FileDescriptor
PA2: _pub2_pb2.PE2

class PE(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PA: _ClassVar[PE]
    from: _ClassVar[PE]
PA: PE
from: PE
PUBOPT_FIELD_NUMBER: _ClassVar[int]
pubopt: _descriptor.FieldDescriptor
PE_FIELD_NUMBER: _ClassVar[int]
pe: _descriptor.FieldDescriptor

class Pub(_message.Message):
    __slots__ = ("x",)
    Extensions: _python_message._ExtensionDict
    X_FIELD_NUMBER: _ClassVar[int]
    x: int
    def __init__(self, x: _Optional[int] = ...) -> None: ...
