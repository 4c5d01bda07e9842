from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class E(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ZERO: _ClassVar[E]
    ONE: _ClassVar[E]
ZERO: E
ONE: E
T_FIELD_NUMBER: _ClassVar[int]
t: _descriptor.FieldDescriptor
TS_FIELD_NUMBER: _ClassVar[int]
ts: _descriptor.FieldDescriptor

class V(_message.Message):
    __slots__ = ("x",)
    X_FIELD_NUMBER: _ClassVar[int]
    x: int
    def __init__(self, x: _Optional[int] = ...) -> None: ...

class T(_message.Message):
    __slots__ = ("a", "b", "c", "d", "e", "f")
    class AEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class BEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: V
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[V, _Mapping]] = ...) -> None: ...
    class CEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: bool
        value: E
        def __init__(self, key: _Optional[bool] = ..., value: _Optional[_Union[E, str]] = ...) -> None: ...
    class DEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: float
        def __init__(self, key: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...
    class EEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    class FEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: float
        def __init__(self, key: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    C_FIELD_NUMBER: _ClassVar[int]
    D_FIELD_NUMBER: _ClassVar[int]
    E_FIELD_NUMBER: _ClassVar[int]
    F_FIELD_NUMBER: _ClassVar[int]
    a: _containers.ScalarMap[str, int]
    b: _containers.MessageMap[int, V]
    c: _containers.ScalarMap[bool, E]
    d: _containers.ScalarMap[int, float]
    e: _containers.ScalarMap[str, bytes]
    f: _containers.ScalarMap[int, float]
    def __init__(self, a: _Optional[_Mapping[str, int]] = ..., b: _Optional[_Mapping[int, V]] = ..., c: _Optional[_Mapping[bool, E]] = ..., d: _Optional[_Mapping[int, float]] = ..., e: _Optional[_Mapping[str, bytes]] = ..., f: _Optional[_Mapping[int, float]] = ...) -> None: ...
