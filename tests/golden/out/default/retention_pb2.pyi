from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf.internal import python_message as _python_message
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class E(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NEG: _ClassVar[E]
    POS: _ClassVar[E]
NEG: E
POS: E
SRC_FIELD_NUMBER: _ClassVar[int]
src: _descriptor.FieldDescriptor
SUB_FIELD_NUMBER: _ClassVar[int]
sub: _descriptor.FieldDescriptor
REPS_FIELD_NUMBER: _ClassVar[int]
reps: _descriptor.FieldDescriptor
ZZ_FIELD_NUMBER: _ClassVar[int]
zz: _descriptor.FieldDescriptor
SUBS_FIELD_NUMBER: _ClassVar[int]
subs: _descriptor.FieldDescriptor
PACKD_FIELD_NUMBER: _ClassVar[int]
packd: _descriptor.FieldDescriptor
P3_FIELD_NUMBER: _ClassVar[int]
p3: _descriptor.FieldDescriptor
GG_FIELD_NUMBER: _ClassVar[int]
gg: _descriptor.FieldDescriptor
F32_FIELD_NUMBER: _ClassVar[int]
f32: _descriptor.FieldDescriptor
S32_FIELD_NUMBER: _ClassVar[int]
s32: _descriptor.FieldDescriptor
EN_FIELD_NUMBER: _ClassVar[int]
en: _descriptor.FieldDescriptor
RG_FIELD_NUMBER: _ClassVar[int]
rg: _descriptor.FieldDescriptor
MSRC_FIELD_NUMBER: _ClassVar[int]
msrc: _descriptor.FieldDescriptor
X_FIELD_NUMBER: _ClassVar[int]
x: _descriptor.FieldDescriptor
SX_FIELD_NUMBER: _ClassVar[int]
sx: _descriptor.FieldDescriptor

class Gg(_message.Message):
    __slots__ = ("a", "b")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    a: int
    b: int
    def __init__(self, a: _Optional[int] = ..., b: _Optional[int] = ...) -> None: ...

class Sub(_message.Message):
    __slots__ = ("b", "a", "s", "sub", "m", "r", "rp", "es")
    Extensions: _python_message._ExtensionDict
    class MEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    B_FIELD_NUMBER: _ClassVar[int]
    A_FIELD_NUMBER: _ClassVar[int]
    S_FIELD_NUMBER: _ClassVar[int]
    SUB_FIELD_NUMBER: _ClassVar[int]
    M_FIELD_NUMBER: _ClassVar[int]
    R_FIELD_NUMBER: _ClassVar[int]
    RP_FIELD_NUMBER: _ClassVar[int]
    ES_FIELD_NUMBER: _ClassVar[int]
    b: int
    a: int
    s: str
    sub: Sub
    m: _containers.ScalarMap[str, int]
    r: _containers.RepeatedScalarFieldContainer[int]
    rp: _containers.RepeatedScalarFieldContainer[int]
    es: _containers.RepeatedScalarFieldContainer[E]
    def __init__(self, b: _Optional[int] = ..., a: _Optional[int] = ..., s: _Optional[str] = ..., sub: _Optional[_Union[Sub, _Mapping]] = ..., m: _Optional[_Mapping[str, int]] = ..., r: _Optional[_Iterable[int]] = ..., rp: _Optional[_Iterable[int]] = ..., es: _Optional[_Iterable[_Union[E, str]]] = ...) -> None: ...

class P3(_message.Message):
    __slots__ = ("x",)
    X_FIELD_NUMBER: _ClassVar[int]
    x: int
    def __init__(self, x: _Optional[int] = ...) -> None: ...

class M(_message.Message):
    __slots__ = ("a", "b", "c", "d", "e", "f", "g", "h")
    Extensions: _python_message._ExtensionDict
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    C_FIELD_NUMBER: _ClassVar[int]
    D_FIELD_NUMBER: _ClassVar[int]
    E_FIELD_NUMBER: _ClassVar[int]
    F_FIELD_NUMBER: _ClassVar[int]
    G_FIELD_NUMBER: _ClassVar[int]
    H_FIELD_NUMBER: _ClassVar[int]
    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    h: int
    def __init__(self, a: _Optional[int] = ..., b: _Optional[int] = ..., c: _Optional[int] = ..., d: _Optional[int] = ..., e: _Optional[int] = ..., f: _Optional[int] = ..., g: _Optional[int] = ..., h: _Optional[int] = ...) -> None: ...
