#!/usr/bin/env bash
# Builds the native scanners with AddressSanitizer and UBSan and holds them, line by line, against the definition of a line.
# usage: bench/fuzz_scan.sh [blocks of 300 lines] [first seed]
set -euo pipefail
cd "$(dirname "$0")/.."
blocks=${1:-60} seed=${2:-0} python=${PYTHON:-python}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
build() { g++ -std=c++17 -fPIC -shared -Wall -Wextra -Wshadow -Wconversion -Werror "-I$include" "$@"; }
sanitize=(-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all)
preload=$(for lib in libasan libubsan libstdc++; do g++ -print-file-name=$lib.so; done | paste -sd' ')
for source in scan text; do
  build "${sanitize[@]}" -o "$folder/sse2.so" "cachelog/ingest/$source.cpp"
  build "${sanitize[@]}" -U__SSE2__ -o "$folder/scalar.so" "cachelog/ingest/$source.cpp"
  for kind in sse2 scalar; do
    LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
      "$python" -m "bench.fuzz_$source" "$folder/$kind.so" "$blocks" "$seed"
  done
done
