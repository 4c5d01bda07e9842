# In place of what --pyi_out writes, whose bases are not typed unless types-protobuf is installed.

class Question:
    text: str
    def __init__(self, *, text: str = ...) -> None: ...

class Answer:
    text: str
    def __init__(self, *, text: str = ...) -> None: ...
