from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Self(_message.Message):
    __slots__ = ("self", "self_", "self__")
    SELF_FIELD_NUMBER: _ClassVar[int]
    SELF__FIELD_NUMBER: _ClassVar[int]
    SELF___FIELD_NUMBER: _ClassVar[int]
    self: int
    self_: int
    self__: _containers.RepeatedCompositeFieldContainer[Self]
    def __init__(self___, self: _Optional[int] = ..., self_: _Optional[int] = ..., self__: _Optional[_Iterable[_Union[Self, _Mapping]]] = ...) -> None: ...

class NoSelf(_message.Message):
    __slots__ = ("self_",)
    SELF__FIELD_NUMBER: _ClassVar[int]
    self_: int
    def __init__(self, self_: _Optional[int] = ...) -> None: ...

class OneSelf(_message.Message):
    __slots__ = ("self",)
    SELF_FIELD_NUMBER: _ClassVar[int]
    IMPORT_FIELD_NUMBER: _ClassVar[int]
    self: int
    def __init__(self_, self: _Optional[int] = ..., **kwargs) -> None: ...
