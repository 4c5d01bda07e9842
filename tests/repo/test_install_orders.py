"""What pip and uv leave behind, after installs, upgrades and uninstalls of farcall and grpcio in every order.

The rule: no file has two owners, and after any order `import grpc` brings the whole of either. Wheels come from a
directory, as small as they may be: grpcio's have its layout and say who they are, ours lack the native module.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable

import installing
import programs
import pytest

ROOT = installing.ROOT
WHEELS = ROOT / os.environ.get("FARCALL_WHEELS", "build/wheels")


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory of wheels: grpcio's of two versions, ours of two, and the stand-ins."""
    directory = tmp_path_factory.mktemp("index")
    for version in ("1.85.3", "1.99.0"):
        installing.theirs(directory, "grpcio", version, "grpc")
        for name, package in (
            ("grpcio-tools", "grpc_tools"),
            ("grpcio-status", "grpc_status"),
            ("grpcio-health-checking", "grpc_health"),
        ):
            installing.theirs(directory, name, version, package, f"grpcio>={version}")
    for wheel in WHEELS.rglob("farcall*.whl"):
        for version in ("0.1.0", "0.2.0"):
            installing.ours(directory, wheel, version)
    assert len(list(directory.glob("farcall*.whl"))) == 4, f"a farcall and a farcall-tools wheel in {WHEELS}"
    installing.theirs(directory, "needs-grpcio", "1", "needs_grpcio", "grpcio>=1.99")
    return directory


@pytest.fixture(scope="session")
def stand_ins(index: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """As `index`, with the stand-ins among the wheels."""
    directory = tmp_path_factory.mktemp("stand-ins")
    shutil.copytree(index, directory, dirs_exist_ok=True)
    subprocess.run([sys.executable, str(ROOT / "scripts" / "stand_in_wheels.py"), str(directory)], check=True)
    for wheel in directory.glob("*+farcall*.whl"):
        # Without what they need of the index.
        installing.ours(directory, wheel, wheel.name.split("-")[1])
    return directory


@pytest.fixture(scope="session")
def uv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The uv that requirements/installers.txt names, from the index."""
    directory = tmp_path_factory.mktemp("uv")
    requirements = str(ROOT / "requirements" / "installers.txt")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    programs.run([*command, "--target", str(directory), "-r", requirements], patience=300)
    return str(directory / "bin" / "uv")


class Installer:
    """Runs `install ...` and `uninstall ...` on one environment."""

    def __init__(self, tool: str, python: pathlib.Path, index: pathlib.Path) -> None:
        self.python = python
        self._tool = tool
        self._from = ["--no-index", "--find-links", str(index)]

    def run(self, command: str) -> None:
        verb, *arguments = command.split()
        if self._tool == "pip":
            start = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", verb]
            end = ["--quiet", *(["--yes"] if verb == "uninstall" else [*self._from, "--no-compile"])]
        else:
            start = [self._tool, "pip", verb, "--python", str(self.python)]
            end = ["--quiet", *([] if verb == "uninstall" else [*self._from, "--link-mode=copy"])]
            arguments = ["--reinstall" if word == "--force-reinstall" else word for word in arguments]
        programs.run([*start, *arguments, *end], patience=120)


ALL_OURS = "farcall farcall-tools"
ALL_THEIRS = "grpcio==1.85.3 grpcio-tools==1.85.3 grpcio-status==1.85.3 grpcio-health-checking==1.85.3"

# Commands, and whose `grpc` and `grpc_tools` are imported after them.
ORDERS = {
    "grpcio, ours": (["install grpcio", "install farcall"], "farcall", None),
    "ours, grpcio": (["install farcall", "install grpcio"], "farcall", None),
    "both at once": (["install farcall grpcio"], "farcall", None),
    "all of both": ([f"install {ALL_THEIRS}", f"install {ALL_OURS}"], "farcall", "farcall"),
    "all of both, theirs last": ([f"install {ALL_OURS}", f"install {ALL_THEIRS}"], "farcall", "farcall"),
    "ours, then what wants a newer grpcio": (
        ["install farcall grpcio==1.85.3", "install needs-grpcio"],
        "farcall",
        None,
    ),
    "ours, grpcio upgraded": (
        [f"install {ALL_OURS} {ALL_THEIRS}", "install --upgrade grpcio grpcio-tools grpcio-status"],
        "farcall",
        "farcall",
    ),
    "ours upgraded": (["install farcall==0.1.0 grpcio", "install --upgrade farcall"], "farcall", None),
    "ours downgraded": (["install farcall==0.2.0 grpcio", "install farcall==0.1.0"], "farcall", None),
    "ours again": (["install farcall grpcio", "install --force-reinstall farcall"], "farcall", None),
    "grpcio again": (["install farcall grpcio", "install --force-reinstall grpcio"], "farcall", None),
    "without dependencies": (
        ["install --no-deps farcall-tools", "install --no-deps farcall", "install --no-deps grpcio-tools==1.85.3"],
        "farcall",
        "farcall",
    ),
    "our tools without ours": (["install --no-deps farcall-tools"], None, None),
    "our tools without ours, beside grpcio": (["install --no-deps farcall-tools grpcio"], "grpcio 1.99.0", None),
    "grpcio's tools beside ours": (["install farcall", "install grpcio-tools"], "farcall", "grpcio-tools 1.99.0"),
    "ours uninstalled": (["install grpcio farcall", "uninstall farcall"], "grpcio 1.99.0", None),
    "ours uninstalled, which came first": (
        ["install farcall", "install grpcio==1.85.3", "uninstall farcall"],
        "grpcio 1.85.3",
        None,
    ),
    "all of ours uninstalled": (
        [f"install {ALL_OURS}", f"install {ALL_THEIRS}", f"uninstall {ALL_OURS}"],
        "grpcio 1.85.3",
        "grpcio-tools 1.85.3",
    ),
    "grpcio uninstalled": (["install grpcio farcall", "uninstall grpcio"], "farcall", None),
    "all of grpcio's uninstalled": (
        [f"install {ALL_THEIRS}", f"install {ALL_OURS}", "uninstall grpcio grpcio-tools grpcio-status"],
        "farcall",
        "farcall",
    ),
    "both uninstalled": (["install farcall grpcio", "uninstall farcall", "uninstall grpcio"], None, None),
    "both uninstalled, the other way": (
        ["install farcall grpcio", "uninstall grpcio", "uninstall farcall"],
        None,
        None,
    ),
}


def whole(python: pathlib.Path, grpc: str | None, tools: str | None) -> None:
    """The environment is as it should be, and FARCALL=0 leaves it to grpcio."""
    seen = installing.look(python)
    assert (seen["missing"], seen["shared"]) == ([], [])
    assert (seen["found"]["grpc"], seen["found"]["grpc_tools"]) == (grpc, tools)
    installed = seen["installed"]
    without = installing.look(python, FARCALL="0")["found"]
    for package, name in (("grpc", "grpcio"), ("grpc_tools", "grpcio-tools")):
        expected = f"{name} {installed[name]}" if name in installed else None
        assert without[package] == expected


# pip takes seconds a command, so it goes through these alone unless FARCALL_EVERY_ORDER=1; uv goes through all.
OFTEN = (
    "all of both",
    "all of both, theirs last",
    "ours, grpcio upgraded",
    "ours upgraded",
    "all of ours uninstalled",
    "grpcio uninstalled",
    "in grpcio's place",
    "grpcio in its place, ours uninstalled",
)


def tools_for(orders: dict) -> list[tuple[str, str]]:
    """Each order with each installer that goes through it."""
    every = os.environ.get("FARCALL_EVERY_ORDER") == "1"
    return [(order, tool) for order in orders for tool in ("pip", "uv") if tool == "uv" or every or order in OFTEN]


@pytest.fixture
def install(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Callable[[str, pathlib.Path], Installer]:
    """Makes an environment, and what installs into it from an index."""

    def make(tool: str, index: pathlib.Path) -> Installer:
        command = tool if tool == "pip" else request.getfixturevalue("uv")
        return Installer(command, installing.venv(tmp_path / "environment"), index)

    return make


@pytest.mark.parametrize(("order", "tool"), tools_for(ORDERS))
def test_order(order: str, tool: str, install: Callable[..., Installer], index: pathlib.Path) -> None:
    installer = install(tool, index)
    commands, grpc, tools = ORDERS[order]
    for command in commands:
        installer.run(command)
    whole(installer.python, grpc, tools)


# With stand-ins there is no grpcio to leave anything to.
STAND_IN_ORDERS = {
    "stand-in": (["install grpcio==1.85.3+farcall.0.1.0"], "farcall"),
    "all stand-ins": (["install grpcio==1.85.3+farcall.0.1.0 grpcio-status==1.85.3+farcall.0.1.0"], "farcall"),
    "a stand-in goes before grpcio's own": (["install farcall", "install grpcio==1.85.3"], "farcall"),
    "in grpcio's place": (["install grpcio==1.85.3", "install grpcio==1.85.3+farcall.0.1.0"], "farcall"),
    "grpcio in its place": (["install grpcio==1.85.3+farcall.0.1.0", "install --upgrade grpcio"], "farcall"),
    "grpcio in its place, ours uninstalled": (
        ["install grpcio==1.85.3+farcall.0.1.0", "install --upgrade grpcio", "uninstall farcall"],
        "grpcio 1.99.0",
    ),
    "uninstalled": (["install grpcio==1.85.3+farcall.0.1.0", "uninstall grpcio farcall"], None),
}


@pytest.mark.parametrize(("order", "tool"), tools_for(STAND_IN_ORDERS))
def test_order_of_stand_ins(order: str, tool: str, install: Callable[..., Installer], stand_ins: pathlib.Path) -> None:
    installer = install(tool, stand_ins)
    commands, grpc = STAND_IN_ORDERS[order]
    for command in commands:
        installer.run(command)
    seen = installing.look(installer.python)
    assert (seen["missing"], seen["shared"]) == ([], [])
    assert seen["found"]["grpc"] == grpc


def test_constraints_keep_grpcio_out(stand_ins: pathlib.Path, tmp_path: pathlib.Path, uv: str) -> None:
    """What asks for grpcio gets the stand-in although there is a newer grpcio."""
    constraints = {name: str(stand_ins / "constraints.txt") for name in ("PIP_CONSTRAINT", "UV_CONSTRAINT")}
    for name, tool in (("pip", [sys.executable, "-m", "pip", "--python"]), ("uv", [uv, "pip", "install", "--python"])):
        python = installing.venv(tmp_path / name)
        command = [*tool, str(python), *(["install"] if name == "pip" else []), "--quiet", "--no-index"]
        programs.run([*command, "--find-links", str(stand_ins), "grpcio-status"], env=constraints, patience=120)
        seen = installing.look(python)
        assert seen["found"]["grpc"] == "farcall" and "+farcall" in seen["installed"]["grpcio"]


@pytest.mark.parametrize("first", ["farcall", "grpcio"])
def test_layers(first: str, index: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Two images of one environment, each with its own install, laid over each other: no file hides another's."""
    site = pathlib.Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    layers = {}
    for name in ("farcall", "grpcio"):
        python = installing.venv(tmp_path / name)
        Installer("pip", python, index).run(f"install {name}")
        layers[name] = tmp_path / name / site
    merged = installing.venv(tmp_path / "merged")
    second = "grpcio" if first == "farcall" else "farcall"
    for name in (first, second):
        shutil.copytree(layers[name], tmp_path / "merged" / site, dirs_exist_ok=True)
    whole(merged, "farcall", None)


@pytest.fixture
def both(index: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """The Python of an environment with farcall and grpcio."""
    python = installing.venv(tmp_path / "environment")
    Installer("pip", python, index).run("install farcall farcall-tools grpcio")
    return python


def said(python: pathlib.Path, *arguments: str, **environment: str) -> str:
    """What a program prints."""
    return programs.run([str(python), *arguments], env=environment)


WHOSE = "import grpc; print(getattr(grpc, 'FROM', 'farcall'))"


def test_the_programs_own_package_comes_first(both: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """As it does before an installed grpcio: beside the script, or in PYTHONPATH. A mere directory does not."""
    (tmp_path / "own" / "grpc").mkdir(parents=True)
    (tmp_path / "own" / "program.py").write_text(WHOSE)
    assert said(both, str(tmp_path / "own" / "program.py")) == "farcall\n"
    (tmp_path / "own" / "grpc" / "__init__.py").write_text("FROM = 'own'")
    assert said(both, str(tmp_path / "own" / "program.py")) == "own\n"
    assert said(both, "-c", WHOSE, PYTHONPATH=str(tmp_path / "own")) == "own\n"


def test_where_the_start_runs_nothing(both: pathlib.Path, index: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """`python -S`, a directory of PYTHONPATH, and one file with all modules: farcall.install() does it."""
    site = said(both, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))").strip()
    path = f"import sys; sys.path.append({site!r}); "
    assert said(both, "-S", "-c", path + WHOSE) == "grpcio 1.99.0\n"
    assert said(both, "-S", "-c", path + "import farcall; farcall.install(); " + WHOSE) == "farcall\n"
    bare = installing.venv(tmp_path / "bare")
    assert said(bare, "-c", WHOSE, PYTHONPATH=site) == "grpcio 1.99.0\n"
    assert said(bare, "-c", "import farcall; farcall.install(); " + WHOSE, PYTHONPATH=site) == "farcall\n"
    archive = str(next(index.glob("farcall-0.1.0-*.whl")))
    assert said(bare, "-c", "import farcall; farcall.install(); " + WHOSE, PYTHONPATH=archive) == "farcall\n"
    assert said(both, "-c", "import farcall; farcall.install(); " + WHOSE, FARCALL="0") == "grpcio 1.99.0\n"
    late = "import grpc, farcall\ntry: farcall.install()\nexcept RuntimeError as error: print(error)"
    assert "call farcall.install() before that" in said(bare, "-c", late, PYTHONPATH=site)


def test_stand_ins_need_no_start(stand_ins: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A directory that `pip install --target` fills, as for functions in a cloud: the stand-in leads to ours."""
    target = tmp_path / "target"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        str(target),
    ]
    programs.run([*command, "--no-index", "--find-links", str(stand_ins), "grpcio==1.85.3+farcall.0.1.0"], patience=120)
    python = installing.venv(tmp_path / "bare")
    program = "import grpc._common; print(grpc.__file__, grpc.StatusCode.OK)"
    printed = said(python, "-c", program, PYTHONPATH=str(target))
    assert "farcall/_packages/grpc/__init__.py StatusCode.OK" in printed
    with pytest.raises(
        programs.ProgramFailed, match="FARCALL=0 leaves 'grpc' to grpcio, for which only a stand-in is here"
    ):
        said(python, "-c", "import grpc", PYTHONPATH=str(target), FARCALL="0")


def test_a_project_of_uv_may_override(stand_ins: pathlib.Path, tmp_path: pathlib.Path, uv: str) -> None:
    """As the guide has it: what asks for a newer grpcio than the stand-in's version gets the stand-in."""
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["needs-grpcio"]\n'
        f'[tool.uv]\npackage = false\nfind-links = ["{stand_ins}"]\n'
        'override-dependencies = ["grpcio==1.85.3+farcall.0.1.0"]\n'
    )
    command = [uv, "sync", "--quiet", "--no-index", "--link-mode=copy", "--python", sys.executable]
    programs.run([*command, "--directory", str(tmp_path)], patience=120)
    seen = installing.look(tmp_path / ".venv" / "bin" / "python")
    assert seen["found"]["grpc"] == "farcall" and "+farcall" in seen["installed"]["grpcio"]


def test_type_checkers_find_our_types(both: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """grpcio has none; ours are found in the environment's own directories, not by a finder."""
    program = tmp_path / "program.py"
    program.write_text("import grpc\nfrom grpc import aio\n\ngrpc.insecure_channel(5)\naio.insecure_channel(5)\n")
    options = ["--strict", "--config-file=", f"--cache-dir={os.devnull}", f"--python-executable={both}"]
    command = [sys.executable, "-m", "mypy", *options, program.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    wrong = 'error: Argument 1 to "insecure_channel" has incompatible type "int"; expected "str"  [arg-type]'
    assert done.stdout.splitlines()[:-1] == [f"program.py:{line}: {wrong}" for line in (4, 5)], done.stdout


def test_what_only_farcall_has_says_whose_grpc_it_needs(both: pathlib.Path) -> None:
    """Its credentials would mean nothing to grpcio."""
    with pytest.raises(
        programs.ProgramFailed, match=r"farcall\.tls makes credentials for Farcall's grpc, and this is .*/grpc/"
    ):
        said(both, "-c", "import farcall.tls", FARCALL="0")


@pytest.mark.parametrize("switch", ["", "0"])
def test_processes_that_are_spawned(switch: str, both: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Each starts as the first did, and what is pickled in one is read in the other."""
    program = tmp_path / "spawns.py"
    program.write_text(
        "import multiprocessing\ndef child(given):\n    import grpc\n    return getattr(grpc, 'FROM', 'farcall')\n"
        "if __name__ == '__main__':\n"
        "    import grpc\n    given = getattr(grpc, 'StatusCode', None) and grpc.StatusCode.ABORTED\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: print(*pool.map(child, [given]))\n"
    )
    assert said(both, str(program), FARCALL=switch) == ("grpcio 1.99.0\n" if switch else "farcall\n")


def test_tools_that_look_at_files(both: pathlib.Path) -> None:
    """`inspect`, `pkgutil` and `python -m` see our files; what is beside them in the directory is nobody's name."""
    program = (
        "import importlib.util, inspect, pkgutil, grpc, grpc._common\n"
        "print(inspect.getsourcefile(grpc._common), importlib.util.find_spec('grpc_tools.protoc').origin)\n"
        "print(sorted(module.name for module in pkgutil.iter_modules(grpc.__path__))[:1])"
    )
    files, names = said(both, "-c", program).splitlines()
    assert files.count("farcall/_packages/") == 2 and names == "['_auth']"


def test_isolated_builds_see_nothing_of_it(both: pathlib.Path) -> None:
    """pip takes the environment off `sys.path` for a build that asks for a grpcio-tools of its own."""
    taken = "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
    program = taken + "try: import grpc\nexcept ModuleNotFoundError: print('nothing')"
    assert said(both, "-c", program) == "nothing\n"


def test_the_start_of_an_interpreter_loads_next_to_nothing(both: pathlib.Path) -> None:
    program = "import sys; print(*sorted(name for name in sys.modules if 'farcall' in name or name == '__future__'))"
    assert said(both, "-c", program) == "farcall farcall._finder\n"
    loaded = "import sys; print(len(sys.modules))"
    assert int(said(both, "-c", loaded)) - int(said(both, "-c", loaded, FARCALL="0")) == 0


def test_python_315_calls_the_same(index: pathlib.Path) -> None:
    """From 3.15 on a `.start` file says what the `.pth` file of its name says (PEP 829)."""
    with zipfile.ZipFile(next(index.glob("farcall-0.1.0-*.whl"))) as wheel:
        assert wheel.read("farcall-finder.start").decode() == "farcall._finder:start\n"
        assert wheel.read("farcall-finder.pth").decode().splitlines() == [
            "farcall/_packages",
            "import farcall._finder; farcall._finder.start()",
        ]


def doctor(python: pathlib.Path, **environment: str) -> tuple[int, str]:
    """What `python -m farcall` answers and prints."""
    command = [str(python), "-m", "farcall"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_the_doctor(both: pathlib.Path, tmp_path: pathlib.Path) -> None:
    code, printed = doctor(both)
    assert code == 0 and "Nothing to repair." in printed
    assert "_packages/grpc (Farcall)" in printed and "grpcio 1.99.0 has grpc too: whole, not used" in printed

    code, printed = doctor(both, FARCALL="0")
    assert code == 1 and "unset it" in printed

    (tmp_path / "own" / "grpc").mkdir(parents=True)
    (tmp_path / "own" / "grpc" / "__init__.py").write_text("")
    code, printed = doctor(both, PYTHONPATH=str(tmp_path / "own"))
    assert code == 1 and f"{tmp_path / 'own'} comes before" in printed

    site = said(both, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))").strip()
    code, printed = doctor(installing.venv(tmp_path / "bare"), PYTHONPATH=site)
    assert code == 1 and "call farcall.install() first" in printed

    pathlib.Path(site, "grpc", "_common.py").unlink()
    code, printed = doctor(both)
    assert code == 1 and "pip install --force-reinstall --no-deps grpcio==1.99.0" in printed
