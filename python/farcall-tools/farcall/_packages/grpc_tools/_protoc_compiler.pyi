"""The compiler itself, in Rust."""

class ProtocError(Exception):
    """One error in a `.proto` file. Lines and columns count from 0; a line of -1 means the whole file."""

    filename: bytes
    line: int
    column: int
    message: bytes
    def __init__(self, filename: bytes, line: int, column: int, message: bytes) -> None: ...

class ProtocWarning(Warning):
    """One warning about a `.proto` file; positions as in `ProtocError`."""

    filename: bytes
    line: int
    column: int
    message: bytes
    def __init__(self, filename: bytes, line: int, column: int, message: bytes) -> None: ...

class ProtocErrors(Exception):
    """All errors of a `.proto` file that could not be compiled."""

    def __init__(self, errors: list[ProtocError]) -> None: ...
    def errors(self) -> list[ProtocError]: ...

def run_main(args: list[bytes]) -> int:
    """Runs the command line `args` (the first is the program's name); returns the exit code.

    What it has to say goes to the process's own standard output and error.
    """

def get_protos(protobuf_path: bytes, include_paths: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Name and code of `_pb2.py` for a file and all it imports, each after its imports.

    Raises ProtocErrors if it does not compile.
    """

def get_services(protobuf_path: bytes, include_paths: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Name and code of `_pb2_grpc.py` for a file and all it imports, each after its imports.

    Raises ProtocErrors if it does not compile.
    """
