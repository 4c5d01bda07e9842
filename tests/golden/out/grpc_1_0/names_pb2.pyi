import datetime

from a import dup_pb2 as _dup_pb2
from b import pub_pb2 as _pub_pb2
from b import dup_pb2 as _dup_pb2_1
from b import pub_pb2 as _pub_pb2_1
from b import pub2_pb2 as _pub2_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import wrappers_pb2 as _wrappers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union
from b.pub_pb2 import Pub as Pub
from b.pub_pb2 import PE as PE

DESCRIPTOR: _descriptor.FileDescriptor
PUBOPT_FIELD_NUMBER: _ClassVar[int]
pubopt: _descriptor.FieldDescriptor
PE_FIELD_NUMBER: _ClassVar[int]
pe: _descriptor.FieldDescriptor
PA: _pub_pb2_1.PE
from: _pub_pb2_1.PE

class is(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    W: _ClassVar[globals()['is']]
    V: _ClassVar[globals()['is']]
W: globals()['is']
V: globals()['is']

class M(_message.Message):
    __slots__ = ("ad", "bd", "p2", "pe2", "ts", "md", "mb", "me", "lv", "bs", "st", "bv", "nv", "mm", "n", "nc", "d")
    class def(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        Z: _ClassVar[getattr(M, 'def')]
    Z: getattr(M, 'def')
    class MdEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _duration_pb2.Duration
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    class MbEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    class MeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: bool
        value: _pub2_pb2.PE2
        def __init__(self, key: _Optional[bool] = ..., value: _Optional[_Union[_pub2_pb2.PE2, str]] = ...) -> None: ...
    class Inner(_message.Message):
        __slots__ = ("outer",)
        class M(_message.Message):
            __slots__ = ("i", "m", "em")
            I_FIELD_NUMBER: _ClassVar[int]
            M_FIELD_NUMBER: _ClassVar[int]
            EM_FIELD_NUMBER: _ClassVar[int]
            i: M.Inner
            m: M.Inner.M
            em: names_pb2.M
            def __init__(self, i: _Optional[_Union[M.Inner, _Mapping]] = ..., m: _Optional[_Union[M.Inner.M, _Mapping]] = ..., em: _Optional[_Union[names_pb2.M, _Mapping]] = ...) -> None: ...
        OUTER_FIELD_NUMBER: _ClassVar[int]
        outer: M
        def __init__(self, outer: _Optional[_Union[M, _Mapping]] = ...) -> None: ...
    class None(_message.Message):
        __slots__ = ("n", "n2", "c", "cc", "ccc")
        class class(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            A: _ClassVar[getattr(getattr(M, 'None'), 'class')]
        A: getattr(getattr(M, 'None'), 'class')
        class CccEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: int
            value: getattr(getattr(M, 'None'), 'class')
            def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[getattr(getattr(M, 'None'), 'class'), str]] = ...) -> None: ...
        N_FIELD_NUMBER: _ClassVar[int]
        N2_FIELD_NUMBER: _ClassVar[int]
        C_FIELD_NUMBER: _ClassVar[int]
        CC_FIELD_NUMBER: _ClassVar[int]
        CCC_FIELD_NUMBER: _ClassVar[int]
        n: getattr(M, 'None')
        n2: globals()['None']
        c: getattr(getattr(M, 'None'), 'class')
        cc: _containers.RepeatedScalarFieldContainer[getattr(getattr(M, 'None'), 'class')]
        ccc: _containers.ScalarMap[int, getattr(getattr(M, 'None'), 'class')]
        def __init__(self, n: _Optional[_Union[getattr(M, 'None'), _Mapping]] = ..., n2: _Optional[_Union[globals()['None'], _Mapping]] = ..., c: _Optional[_Union[getattr(getattr(M, 'None'), 'class'), str]] = ..., cc: _Optional[_Iterable[_Union[getattr(getattr(M, 'None'), 'class'), str]]] = ..., ccc: _Optional[_Mapping[int, getattr(getattr(M, 'None'), 'class')]] = ...) -> None: ...
    AD_FIELD_NUMBER: _ClassVar[int]
    BD_FIELD_NUMBER: _ClassVar[int]
    P2_FIELD_NUMBER: _ClassVar[int]
    PE2_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    MD_FIELD_NUMBER: _ClassVar[int]
    MB_FIELD_NUMBER: _ClassVar[int]
    ME_FIELD_NUMBER: _ClassVar[int]
    LV_FIELD_NUMBER: _ClassVar[int]
    BS_FIELD_NUMBER: _ClassVar[int]
    ST_FIELD_NUMBER: _ClassVar[int]
    BV_FIELD_NUMBER: _ClassVar[int]
    NV_FIELD_NUMBER: _ClassVar[int]
    MM_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    NC_FIELD_NUMBER: _ClassVar[int]
    D_FIELD_NUMBER: _ClassVar[int]
    ad: _dup_pb2.Dup
    bd: _dup_pb2_1.Dup
    p2: _pub2_pb2.Pub2
    pe2: _pub2_pb2.PE2
    ts: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    md: _containers.MessageMap[str, _duration_pb2.Duration]
    mb: _containers.ScalarMap[str, bool]
    me: _containers.ScalarMap[bool, _pub2_pb2.PE2]
    lv: _containers.RepeatedCompositeFieldContainer[_struct_pb2.ListValue]
    bs: _containers.RepeatedScalarFieldContainer[bool]
    st: _struct_pb2.Struct
    bv: _wrappers_pb2.BoolValue
    nv: _struct_pb2.NullValue
    mm: M.Inner.M
    n: getattr(M, 'None')
    nc: getattr(getattr(M, 'None'), 'class')
    d: getattr(M, 'def')
    def __init__(self, ad: _Optional[_Union[_dup_pb2.Dup, _Mapping]] = ..., bd: _Optional[_Union[_dup_pb2_1.Dup, _Mapping]] = ..., p2: _Optional[_Union[_pub2_pb2.Pub2, _Mapping]] = ..., pe2: _Optional[_Union[_pub2_pb2.PE2, str]] = ..., ts: _Optional[_Iterable[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]]] = ..., md: _Optional[_Mapping[str, _duration_pb2.Duration]] = ..., mb: _Optional[_Mapping[str, bool]] = ..., me: _Optional[_Mapping[bool, _pub2_pb2.PE2]] = ..., lv: _Optional[_Iterable[_Union[_struct_pb2.ListValue, _Mapping]]] = ..., bs: _Optional[_Iterable[bool]] = ..., st: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., bv: _Optional[_Union[_wrappers_pb2.BoolValue, _Mapping]] = ..., nv: _Optional[_Union[_struct_pb2.NullValue, str]] = ..., mm: _Optional[_Union[M.Inner.M, _Mapping]] = ..., n: _Optional[_Union[getattr(M, 'None'), _Mapping]] = ..., nc: _Optional[_Union[getattr(getattr(M, 'None'), 'class'), str]] = ..., d: _Optional[_Union[getattr(M, 'def'), str]] = ...) -> None: ...

class None(_message.Message):
    __slots__ = ("_x", "FooBar", "n", "mn", "self")
    _X_FIELD_NUMBER: _ClassVar[int]
    FOOBAR_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    MN_FIELD_NUMBER: _ClassVar[int]
    SELF_FIELD_NUMBER: _ClassVar[int]
    _x: int
    FooBar: int
    n: globals()['None']
    mn: getattr(M, 'None')
    self: str
    def __init__(self_, _x: _Optional[int] = ..., FooBar: _Optional[int] = ..., n: _Optional[_Union[globals()['None'], _Mapping]] = ..., mn: _Optional[_Union[getattr(M, 'None'), _Mapping]] = ..., self: _Optional[str] = ...) -> None: ...

class self(_message.Message):
    __slots__ = ("self_",)
    SELF__FIELD_NUMBER: _ClassVar[int]
    self_: int
    def __init__(self, self_: _Optional[int] = ...) -> None: ...

class U(_message.Message):
    __slots__ = ("i", "ii")
    I_FIELD_NUMBER: _ClassVar[int]
    II_FIELD_NUMBER: _ClassVar[int]
    i: globals()['is']
    ii: _containers.RepeatedScalarFieldContainer[globals()['is']]
    def __init__(self, i: _Optional[_Union[globals()['is'], str]] = ..., ii: _Optional[_Iterable[_Union[globals()['is'], str]]] = ...) -> None: ...
