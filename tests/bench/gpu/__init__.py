"""Measurements on an accelerator, one module per subject; `tests/bench/gpu.sh` runs them in order."""
