from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf.internal import python_message as _python_message
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TE(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    A: _ClassVar[TE]
A: TE

class E(_message.Message):
    __slots__ = ("nm", "other_name")
    Extensions: _python_message._ExtensionDict
    NM_FIELD_NUMBER: _ClassVar[int]
    OTHER_NAME_FIELD_NUMBER: _ClassVar[int]
    nm: str
    other_name: str
    def __init__(self, nm: _Optional[str] = ..., other_name: _Optional[str] = ...) -> None: ...

class OnlyKw(_message.Message):
    __slots__ = ()
    CLASS_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    LAMBDA_FIELD_NUMBER: _ClassVar[int]
    def __init__(self, **kwargs) -> None: ...

class R(_message.Message):
    __slots__ = ("gr",)
    class Gr(_message.Message):
        __slots__ = ("b",)
        B_FIELD_NUMBER: _ClassVar[int]
        b: bool
        def __init__(self, b: _Optional[bool] = ...) -> None: ...
    GR_FIELD_NUMBER: _ClassVar[int]
    gr: _containers.RepeatedCompositeFieldContainer[R.Gr]
    def __init__(self, gr: _Optional[_Iterable[_Union[R.Gr, _Mapping]]] = ...) -> None: ...
