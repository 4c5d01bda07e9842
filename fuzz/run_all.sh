#!/usr/bin/env bash
# Runs fuzz targets one after the other, each for FUZZ_SECONDS, and says of each how long it ran, what it executed and
# what it found. Arguments are names of targets; without any, all of them. A target stops at its first finding, which
# lies under artifacts/; exits 1 if there was one.
#
#     FUZZ_SECONDS=1200 fuzz/run_all.sh huffman hpack_decode
#
# Needs cargo-fuzz (CARGO_FUZZ says where, if not on the path) and the nightly toolchain.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${FUZZ_SECONDS:-60}
cargo_fuzz=${CARGO_FUZZ:-cargo-fuzz}
logs=artifacts/logs
mkdir -p "$logs"
if [ $# -eq 0 ]; then
    mapfile -t targets < <(basename -s .rs fuzz_targets/*.rs)
    set -- "${targets[@]}"
fi

stat() { sed -n "s/^stat::$2: *//p" "$logs/$1.log" | tail -1; }

# Built first, all of them, and copied, so that what changes in the meantime does not change what runs.
binaries=$(mktemp -d)
trap 'rm -rf "$binaries"' EXIT
for target in "$@"; do
    RUSTUP_TOOLCHAIN=nightly "$cargo_fuzz" build "$target" >"$logs/$target.build.log" 2>&1 ||
        { cat "$logs/$target.build.log" >&2; exit 2; }
    cp "${CARGO_TARGET_DIR:-target}/$(rustc -vV | sed -n 's/^host: //p')/release/$target" "$binaries"
done

found=0
printf '%-20s %9s %9s %14s %8s\n' target seconds 'CPU s' executions findings
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    seeds=(); [ -d "seeds/$target" ] && seeds=("seeds/$target")
    started=$SECONDS findings=0
    TIMEFORMAT='%U %S'
    cpu=$({ time "$binaries/$target" "corpus/$target" "${seeds[@]}" -artifact_prefix="artifacts/$target/" \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 >"$logs/$target.log" 2>&1 ||
        echo failed >&2; } 2>&1)
    case $cpu in *failed*) findings=1 found=1 ;; esac
    printf '%-20s %9d %9.0f %14s %8d\n' "$target" $((SECONDS - started)) \
        "$(tail -1 <<<"$cpu" | awk '{ print $1 + $2 }')" "$(stat "$target" number_of_executed_units)" "$findings"
done
exit $found
