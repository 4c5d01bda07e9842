from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOW: _ClassVar[Level]
    HIGH: _ClassVar[Level]
LOW: Level
HIGH: Level
NUMBERS_FIELD_NUMBER: _ClassVar[int]
numbers: _descriptor.FieldDescriptor
SETTINGS_FIELD_NUMBER: _ClassVar[int]
settings: _descriptor.FieldDescriptor
LABEL_FIELD_NUMBER: _ClassVar[int]
label: _descriptor.FieldDescriptor
NAMES_FIELD_NUMBER: _ClassVar[int]
names: _descriptor.FieldDescriptor
LEVELS_FIELD_NUMBER: _ClassVar[int]
levels: _descriptor.FieldDescriptor
RATIO_FIELD_NUMBER: _ClassVar[int]
ratio: _descriptor.FieldDescriptor
TITLE_FIELD_NUMBER: _ClassVar[int]
title: _descriptor.FieldDescriptor
RAW_FIELD_NUMBER: _ClassVar[int]
raw: _descriptor.FieldDescriptor
FIXED_FIELD_NUMBER: _ClassVar[int]
fixed: _descriptor.FieldDescriptor
ZIGZAG_FIELD_NUMBER: _ClassVar[int]
zigzag: _descriptor.FieldDescriptor
HOW_FIELD_NUMBER: _ClassVar[int]
how: _descriptor.FieldDescriptor
FLAG_FIELD_NUMBER: _ClassVar[int]
flag: _descriptor.FieldDescriptor
FILE_SETTINGS_FIELD_NUMBER: _ClassVar[int]
file_settings: _descriptor.FieldDescriptor

class Settings(_message.Message):
    __slots__ = ("size", "name", "inner", "sizes", "table", "maybe", "a", "b")
    class TableEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SIZE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INNER_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    MAYBE_FIELD_NUMBER: _ClassVar[int]
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    size: int
    name: str
    inner: Settings
    sizes: _containers.RepeatedScalarFieldContainer[int]
    table: _containers.ScalarMap[str, int]
    maybe: int
    a: int
    b: str
    def __init__(self, size: _Optional[int] = ..., name: _Optional[str] = ..., inner: _Optional[_Union[Settings, _Mapping]] = ..., sizes: _Optional[_Iterable[int]] = ..., table: _Optional[_Mapping[str, int]] = ..., maybe: _Optional[int] = ..., a: _Optional[int] = ..., b: _Optional[str] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("x",)
    X_FIELD_NUMBER: _ClassVar[int]
    x: int
    def __init__(self, x: _Optional[int] = ...) -> None: ...
