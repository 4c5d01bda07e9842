"""The setuptools command `build_package_protos`, which compiles all `.proto` files of a package."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

import setuptools  # type: ignore[import-untyped, unused-ignore]  # typed only with types-setuptools

from grpc_tools import protoc

_get_resource_file_name = protoc._get_resource_file_name


def build_package_protos(package_root: str, strict_mode: bool = False) -> None:
    """Compiles every `.proto` file under `package_root`, writing the Python code beside it.

    A file that fails is a warning on standard error, or with `strict_mode` an Exception.
    """
    include = _get_resource_file_name("grpc_tools", "_proto")
    for directory, _, names in os.walk(package_root):
        for name in names:
            if not name.endswith(".proto"):
                continue
            command = [
                "grpc_tools.protoc",
                f"--proto_path={package_root}",
                f"--proto_path={include}",
                f"--python_out={package_root}",
                f"--pyi_out={package_root}",
                f"--grpc_python_out={package_root}",
                os.path.join(directory, name),
            ]
            if protoc.main(command) == 0:
                continue
            if strict_mode:
                raise Exception(f"error: {command} failed")
            sys.stderr.write(f"warning: {command} failed")


class BuildPackageProtos(setuptools.Command):  # type: ignore[misc, unused-ignore]
    """Compiles the `.proto` files under the root of the packages, `package_dir[""]`."""

    description = "build grpc protobuf modules"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = [
        ("strict-mode", "s", "exit with non-zero value if the proto compiling fails.")
    ]

    def initialize_options(self) -> None:
        self.strict_mode = False

    def finalize_options(self) -> None:
        pass

    def run(self) -> None:
        build_package_protos(self.distribution.package_dir[""], self.strict_mode)
