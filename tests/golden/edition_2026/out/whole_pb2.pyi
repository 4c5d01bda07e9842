import part_pb2 as _part_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Genre(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GENRE_UNSPECIFIED: _ClassVar[Genre]
    GENRE_NOVEL: _ClassVar[Genre]
GENRE_UNSPECIFIED: Genre
GENRE_NOVEL: Genre

class Book(_message.Message):
    __slots__ = ("title", "genre", "shelf", "pages", "notes", "borrower", "elsewhere")
    class NotesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Book.Note
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Book.Note, _Mapping]] = ...) -> None: ...
    class Note(_message.Message):
        __slots__ = ("text",)
        TEXT_FIELD_NUMBER: _ClassVar[int]
        text: str
        def __init__(self, text: _Optional[str] = ...) -> None: ...
    TITLE_FIELD_NUMBER: _ClassVar[int]
    GENRE_FIELD_NUMBER: _ClassVar[int]
    SHELF_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    BORROWER_FIELD_NUMBER: _ClassVar[int]
    ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    title: str
    genre: Genre
    shelf: Shelf
    pages: _containers.RepeatedScalarFieldContainer[int]
    notes: _containers.MessageMap[str, Book.Note]
    borrower: str
    elsewhere: _part_pb2.Place
    def __init__(self, title: _Optional[str] = ..., genre: _Optional[_Union[Genre, str]] = ..., shelf: _Optional[_Union[Shelf, _Mapping]] = ..., pages: _Optional[_Iterable[int]] = ..., notes: _Optional[_Mapping[str, Book.Note]] = ..., borrower: _Optional[str] = ..., elsewhere: _Optional[_Union[_part_pb2.Place, _Mapping]] = ...) -> None: ...

class Shelf(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class Kinds(_message.Message):
    __slots__ = ()
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Kinds.Kind]
    KIND_UNSPECIFIED: Kinds.Kind
    def __init__(self) -> None: ...

class Legacy(_message.Message):
    __slots__ = ("descriptor", "has_x", "x")
    DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    HAS_X_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    descriptor: str
    has_x: str
    x: str
    def __init__(self, descriptor: _Optional[str] = ..., has_x: _Optional[str] = ..., x: _Optional[str] = ...) -> None: ...
