#!/bin/sh
# Checks that what `make` cannot install itself is there, and prints the Python to use.
#
#   check-prerequisites.sh      prints the path of a Python 3.10 or newer that can make environments
#
# Anything missing is named on stderr with the command that installs it; then the exit code is 1.
# PYTHON=... chooses the interpreter.
set -u

missing=0

# hint DEBIAN-PACKAGE FEDORA-PACKAGE HOMEBREW-FORMULA: the command of the package manager that is here.
hint() {
    if command -v apt-get >/dev/null 2>&1; then
        echo "apt-get install -y $1"
    elif command -v dnf >/dev/null 2>&1; then
        echo "dnf install -y $2"
    elif command -v brew >/dev/null 2>&1; then
        echo "brew install $3"
    else
        echo "your package manager's equivalent of: apt-get install -y $1"
    fi
}

complain() {
    missing=1
    printf 'missing: %s\n    install it with: %s\n' "$1" "$2" >&2
}

rustup_command="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""

if ! command -v cargo >/dev/null 2>&1; then
    complain "cargo (Rust)" "$rustup_command"
elif ! version=$(cargo --version 2>&1); then
    complain "a Rust toolchain that works (cargo says: $version)" "rustup toolchain install"
else
    minor=$(printf '%s\n' "$version" | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')
    if [ -n "$minor" ] && [ "$minor" -lt 88 ]; then
        complain "Rust 1.88 or newer (this is $version)" "$rustup_command"
    fi
fi

command -v cc >/dev/null 2>&1 || complain "cc (a C linker, which Rust needs)" "$(hint gcc gcc gcc)"

# Asks the interpreter itself: a name on PATH can be a stub that starts nothing.
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }
makes_environments() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

python=
without_venv=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10 python}; do
    is_new_enough "$candidate" || continue
    if makes_environments "$candidate"; then
        python=$candidate
        break
    fi
    : "${without_venv:=$candidate}"
done
if [ -z "$python" ]; then
    if [ -n "$without_venv" ]; then
        complain "the venv module of $without_venv" "$(hint python3-venv python3 python3)"
    elif [ -n "${PYTHON:-}" ]; then
        complain "Python 3.10 or newer at PYTHON=$PYTHON" "$(hint 'python3 python3-venv' python3 python3)"
    else
        complain "Python 3.10 or newer" "$(hint 'python3 python3-venv' python3 python3)"
    fi
fi

[ "$missing" -eq 0 ] || exit 1
"$python" -c 'import sys; print(sys.executable)'
