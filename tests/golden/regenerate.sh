#!/bin/sh
# Writes the goldens anew: tests/golden/regenerate.sh PYTHON, a Python that has grpcio-tools.
set -eu
cd "$(dirname "$0")"
rm -rf out
grep -v '^#' variants.txt | while read -r name grpc python files; do
    [ "${grpc:--}" = - ] && grpc= || grpc="$grpc:"
    [ "${python:--}" = - ] && python= || python="$python:"
    [ -n "${files:-}" ] || files=$(cd in && find . -name '*.proto' | sed 's|^\./||' | sort)
    out=$PWD/out/$name
    mkdir -p "$out"
    [ -n "$python" ] || pyi="--pyi_out=$out"
    # shellcheck disable=SC2086 # names of files and flags without spaces
    "$1" -m grpc_tools.protoc -Iin "--python_out=$python$out" ${pyi:-} "--grpc_python_out=$grpc$out" $files
    unset pyi
done
