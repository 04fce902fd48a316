#!/usr/bin/env bash
# gpu.sh BUNDLE OUT [arguments of tests/bench/gpu/run.py]: measure on the GPU of this machine, without a network.
# BUNDLE is a folder made by `python -m tests.bench.gpu.bundle`; an empty one runs with what is installed and made terrain.
# Results: OUT/gpu.json, OUT/*.png, OUT/run.log. Ends by itself within 8 minutes.
set -uo pipefail
cd "$(dirname "$0")/../.."
bundle=$1 out=$2
shift 2
mkdir -p "$out"
begun=$SECONDS
site=${OROGRAPH_SITE:-/tmp/orograph-site}
if [ -f "$bundle/site.tar.xz" ] && ! python3 -c "import ray, rasterio, pyproj, pydantic, odc.geo" 2>/dev/null; then
  mkdir -p "$site"
  xz -dc -T0 "$bundle/site.tar.xz" | tar -C "$site" -xf - || exit 1
  # Before the machine's own packages: these versions were tested together. torch and numpy are the machine's.
  export PYTHONPATH="$PWD:$site${PYTHONPATH:+:$PYTHONPATH}"
  echo "unpacked packages in $((SECONDS - begun)) s"
fi
export PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore NUMBA_CACHE_DIR=${NUMBA_CACHE_DIR:-/tmp/orograph-numba}
export RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0 CUBLAS_WORKSPACE_CONFIG=:4096:8
budget=$((470 - (SECONDS - begun)))
timeout -k 5 "$((budget + 8))" python3 -m tests.bench.gpu.run --out "$out" --rasters "$bundle/rasters" --seconds "$budget" "$@" 2>&1 | tee "$out/run.log"
exit "${PIPESTATUS[0]}"
