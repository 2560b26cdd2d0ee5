"""Run the tests with the arithmetic of other processors: `python tests/portable.py [pytest's
arguments]`.

Libraries choose their kernels by what the processor can do, and sums come out differently in the
last digits. Variables make them choose as on an older one, so one machine can stand for several.
Without arguments the whole suite runs under each of the settings; `python tests/portable.py
notebooks` runs the notebooks alone.
"""

import os
import re
import subprocess
import sys
import time

import torch

UNSET = None
SETTINGS = {
    "this processor": {},
    "no vector instructions (SSE)": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "AVX2, as most laptops": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "kernels chosen by OpenBLAS itself": {"OPENBLAS_CORETYPE": UNSET, "OPENBLAS_L2_SIZE": UNSET},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "PyTorch without, the others with": {"ATEN_CPU_CAPABILITY": "default"},
}


def environment(setting: dict[str, str | None]) -> dict[str, str]:
    """The variables of this process, with those of a setting."""
    mixed = {**os.environ, **setting}
    return {name: value for name, value in mixed.items() if value is not UNSET}


def main() -> int:
    """Run the tests under each setting and print a row for each: 0 if all passed."""
    rows, failed = [], False
    for name, setting in SETTINGS.items():
        print(
            f"\n== {name}: {' '.join(f'{key}={value}' for key, value in setting.items())}",
            flush=True,
        )
        start, command = time.monotonic(), [sys.executable, "-m", "pytest", *sys.argv[1:]]
        done = subprocess.run(command, env=environment(setting), capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
        print(*lines, sep="\n", flush=True)
        counts = re.findall(r"\d+ (?:passed|failed|skipped|errors?)", done.stdout)
        rows.append(
            f"| {name} | {', '.join(counts) or done.stdout[-200:]} "
            f"| {time.monotonic() - start:.0f} s |"
        )
        failed |= done.returncode != 0
    print(f"\ntorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    print("| setting | result | time |\n| --- | --- | --- |", *rows, sep="\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
