#!/usr/bin/env bash
# Everything that needs a CUDA GPU, on one machine in under ten minutes: builds gsplat from its wheel's sources, runs the
# tests of the CUDA path, measures, and writes docs/gpu_report.md. Without a GPU it writes there that nothing was
# measured, and ends with 1. PYTHON: an interpreter with a CUDA build of torch. OUT: another report.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
OUT="${OUT:-docs/gpu_report.md}"
[ -n "${IG_GPU_CHECK:-}" ] || exec env IG_GPU_CHECK=1 timeout 600 "$0" "$@"
"$PYTHON" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' || {
  "$PYTHON" -m benchmarks.bench.gpu --out "$OUT" || true
  echo "gpu_check.sh: $PYTHON sees no CUDA GPU; set PYTHON to one whose torch does" >&2
  exit 1
}
TORCH_CUDA_ARCH_LIST="$("$PYTHON" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())')"
export TORCH_CUDA_ARCH_LIST
"$PYTHON" -c 'import gsplat' 2>/dev/null || "$PYTHON" -m pip install --no-build-isolation gsplat==1.5.3
"$PYTHON" -m pip install --quiet --no-deps -e .
"$PYTHON" -m ig_ros.cli gpu  # compiles gsplat's kernels here, not in a test's three minutes
"$PYTHON" -m pytest -q test/raster test/scaffold -m cuda
"$PYTHON" -m benchmarks.bench.gpu --out "$OUT"
# The CPU's ratios on the same machine, a short look: goals that were missed are marked, and do not undo the report.
"$PYTHON" -m benchmarks.bench --quick --only raster step instantiation --out out/bench_gpu_machine.json ||
  echo "gpu_check.sh: some goals of the CPU were missed on this machine, see above" >&2
