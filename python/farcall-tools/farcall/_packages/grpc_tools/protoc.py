"""Runs the protobuf compiler, from the command line and while a program imports.

`python -m grpc_tools.protoc ARGS` is the command. Importing this module also lets `import foo_pb2` and
`import foo_pb2_grpc` compile `foo.proto` from `sys.path` when no such module exists; set
GRPC_PYTHON_DISABLE_DYNAMIC_STUBS to any value to be without that.

Of the standard library it imports little: a small file compiles in a fraction of the time that importlib.abc and
importlib.resources take to import.
"""

from __future__ import annotations

import _thread
import importlib
import importlib.machinery
import os
import sys

from grpc_tools import _protoc_compiler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, ModuleType

    _Generate = Callable[[bytes, list[bytes]], list[tuple[bytes, bytes]]]

__all__ = ["entrypoint", "main"]

_PROTO_MODULE_SUFFIX = "_pb2"
_SERVICE_MODULE_SUFFIX = "_pb2_grpc"
_DISABLE_DYNAMIC_STUBS = "GRPC_PYTHON_DISABLE_DYNAMIC_STUBS"


def main(command_arguments: Sequence[str]) -> int:
    """Runs the compiler with these arguments, of which the first is ignored; returns the exit code, 0 or 1.

    The bundled `google/protobuf/*.proto` are not on the search path: add `-I` with the directory
    `grpc_tools/_proto` where they are imported.
    """
    return _protoc_compiler.run_main([argument.encode() for argument in command_arguments])


def _get_resource_file_name(package_or_requirement: str, resource_name: str) -> str:
    """The path of a file or directory inside an installed package. Build scripts use this name."""
    if package_or_requirement == __package__:
        return os.path.realpath(os.path.join(os.path.dirname(__file__), resource_name))
    from importlib import resources

    return str((resources.files(package_or_requirement) / resource_name).resolve())  # type: ignore[attr-defined]


def entrypoint() -> None:
    """The console script: `main` with `sys.argv` and the bundled include directory at the end."""
    include = _get_resource_file_name("grpc_tools", "_proto")
    sys.exit(main([*sys.argv, f"-I{include}"]))


_finders_lock = _thread.allocate_lock()
_finders_installed = False

# Code of modules that were compiled because another one imports them, until they are imported themselves.
_code: dict[str, CodeType | bytes] = {}
_code_lock = _thread.RLock()


def _maybe_install_proto_finders() -> None:
    global _finders_installed
    with _finders_lock:
        if not _finders_installed:
            sys.meta_path.append(ProtoFinder(_PROTO_MODULE_SUFFIX, _protoc_compiler.get_protos))
            sys.meta_path.append(ProtoFinder(_SERVICE_MODULE_SUFFIX, _protoc_compiler.get_services))
            sys.path.append(_get_resource_file_name("grpc_tools", "_proto"))
            _finders_installed = True


def _protos(protobuf_path: str) -> ModuleType:
    """The messages of a `.proto` file that lies under an entry of `sys.path`."""
    _maybe_install_proto_finders()
    return importlib.import_module(_module_name(protobuf_path, _PROTO_MODULE_SUFFIX))


def _services(protobuf_path: str) -> ModuleType:
    """The stubs and servicers of a `.proto` file that lies under an entry of `sys.path`."""
    _maybe_install_proto_finders()
    _protos(protobuf_path)
    return importlib.import_module(_module_name(protobuf_path, _SERVICE_MODULE_SUFFIX))


def _protos_and_services(protobuf_path: str) -> tuple[ModuleType, ModuleType]:
    return _protos(protobuf_path), _services(protobuf_path)


def _module_name(path: str, suffix: str = "") -> str:
    """`a/b.proto` -> `a.b` + suffix."""
    return os.path.splitext(path)[0].replace(os.path.sep, ".") + suffix


def _proto_file(module_name: str, suffix: str) -> str:
    """`a.b_pb2` -> `a/b.proto`; always with `/`, as imports in `.proto` files are written."""
    return module_name.removesuffix(suffix).replace(".", "/") + ".proto"


class ProtoLoader:
    """Executes the code that the compiler writes for one `.proto` file."""

    def __init__(self, suffix: str, codegen_fn: _Generate, module_name: str, protobuf_path: str, proto_root: str):
        self._suffix = suffix
        self._generate = codegen_fn
        self._module_name = module_name
        self._protobuf_path = protobuf_path
        self._proto_root = proto_root

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        with _code_lock:
            code = _code.get(self._module_name)
            if code is None:
                code = self._compile()
            exec(code, module.__dict__)

    def _compile(self) -> bytes:
        """This module's code, after importing the modules that its imports need."""
        # sys.path may hold anything; only text can name a directory.
        roots = [path.encode() for path in sys.path if isinstance(path, str) and _is_utf8(path)]
        *imports, (_, code) = self._generate(self._protobuf_path.encode(), roots)
        for name, import_code in imports:
            module_name = _module_name(name.decode())
            if module_name not in sys.modules:
                _code.setdefault(module_name, import_code)
                importlib.import_module(module_name)
        return code


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


class ProtoFinder:
    """Finds the `.proto` file for a module name that ends in `suffix`."""

    def __init__(self, suffix: str, codegen_fn: _Generate):
        self._suffix = suffix
        self._generate = codegen_fn

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.endswith(self._suffix):
            return None
        proto_file = _proto_file(fullname, self._suffix)
        for root in sys.path:
            if os.path.exists(os.path.join(root, proto_file)):
                loader = ProtoLoader(self._suffix, self._generate, fullname, proto_file, root)
                return importlib.machinery.ModuleSpec(fullname, loader)  # type: ignore[arg-type]  # no base, see above
        return None


if not os.getenv(_DISABLE_DYNAMIC_STUBS):
    _maybe_install_proto_finders()


if __name__ == "__main__":
    entrypoint()
