from google.protobuf.internal import python_message as _python_message
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class A(_message.Message):
    __slots__ = ("x",)
    class L(_message.Message):
        __slots__ = ("y",)
        Y_FIELD_NUMBER: _ClassVar[int]
        y: int
        def __init__(self, y: _Optional[int] = ...) -> None: ...
    class E(_message.Message):
        __slots__ = ()
        Extensions: _python_message._ExtensionDict
        def __init__(self) -> None: ...
    X_FIELD_NUMBER: _ClassVar[int]
    x: str
    def __init__(self, x: _Optional[str] = ...) -> None: ...
