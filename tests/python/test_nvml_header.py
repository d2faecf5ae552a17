# SPDX-License-Identifier: Apache-2.0
"""What the sources state about NVML, against the real nvml.h (PyPI's nvidia-nvml-dev)."""

from __future__ import annotations

import site
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADERS = [header for place in site.getsitepackages() for header in Path(place).rglob("nvml.h")]

#: Structs: ours, NVML's, and their members by both names.
STRUCTS = [
    ("nvml_utilization", "nvmlUtilization_t", [("gpu", "gpu"), ("memory", "memory")]),
    ("nvml_memory", "nvmlMemory_t", [("total", "total"), ("free", "free"), ("used", "used")]),
    (
        *("nvml_memory_v2", "nvmlMemory_v2_t"),
        [("version", "version"), ("reserved", "reserved"), ("free", "free"), ("used", "used")],
    ),
    (
        *("nvml_gpm_support", "nvmlGpmSupport_t"),
        [("version", "version"), ("is_supported", "isSupportedDevice")],
    ),
    (
        *("nvml_gpm_metric", "nvmlGpmMetric_t"),
        [("id", "metricId"), ("result", "nvmlReturn"), ("value", "value"), ("info", "metricInfo")],
    ),
]
#: Structs whose last member is an array of a size that grew.
GROWN = [
    (
        *("nvml_gpm_metrics_get", "nvmlGpmMetricsGet_t"),
        [("count", "numMetrics"), ("sample1", "sample1"), ("metrics", "metrics")],
    )
]
#: Numbers: ours, NVML's.
NUMBERS = [
    ("NVML_SUCCESS", "NVML_SUCCESS"),
    ("NVML_ERROR_NOT_SUPPORTED", "NVML_ERROR_NOT_SUPPORTED"),
    ("NVML_ERROR_FUNCTION_NOT_FOUND", "NVML_ERROR_FUNCTION_NOT_FOUND"),
    ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_GPU_IS_LOST"),
    ("NVML_ERROR_RESET_REQUIRED", "NVML_ERROR_RESET_REQUIRED"),
    ("NVML_ERROR_NOT_READY", "NVML_ERROR_NOT_READY"),
    ("NVML_ERROR_UNKNOWN", "NVML_ERROR_UNKNOWN"),
    ("GPU_LIBRARY_ABSENT", "NVML_ERROR_LIBRARY_NOT_FOUND"),
    ("NVML_TEMPERATURE_GPU", "NVML_TEMPERATURE_GPU"),
    ("NVML_CLOCK_SM", "NVML_CLOCK_SM"),
    ("NVML_CLOCK_MEM", "NVML_CLOCK_MEM"),
    ("NVML_DEVICE_MIG_ENABLE", "NVML_DEVICE_MIG_ENABLE"),
    ("NVML_HELD_SW_POWER_CAP", "nvmlClocksEventReasonSwPowerCap"),
    ("NVML_HELD_HW_SLOWDOWN", "nvmlClocksThrottleReasonHwSlowdown"),
    ("NVML_HELD_SW_THERMAL", "nvmlClocksEventReasonSwThermalSlowdown"),
    ("NVML_HELD_HW_THERMAL", "nvmlClocksThrottleReasonHwThermalSlowdown"),
    ("NVML_HELD_HW_POWER_BRAKE", "nvmlClocksThrottleReasonHwPowerBrakeSlowdown"),
    ("NVML_GPM_SUPPORT_VERSION", "NVML_GPM_SUPPORT_VERSION"),
    ("NVML_GPM_METRICS_GET_VERSION", "NVML_GPM_METRICS_GET_VERSION"),
    ("GPM_METRIC_GRAPHICS", "NVML_GPM_METRIC_GRAPHICS_UTIL"),
    ("GPM_METRIC_SM", "NVML_GPM_METRIC_SM_UTIL"),
    ("GPM_METRIC_OCCUPANCY", "NVML_GPM_METRIC_SM_OCCUPANCY"),
    ("GPM_METRIC_TENSOR", "NVML_GPM_METRIC_ANY_TENSOR_UTIL"),
    ("GPM_METRIC_DRAM", "NVML_GPM_METRIC_DRAM_BW_UTIL"),
    ("GPM_METRIC_PCIE_TX", "NVML_GPM_METRIC_PCIE_TX_PER_SEC"),
    ("GPM_METRIC_PCIE_RX", "NVML_GPM_METRIC_PCIE_RX_PER_SEC"),
    ("GPM_METRIC_NVLINK_TX", "NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC"),
    ("GPM_METRIC_NVLINK_RX", "NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC"),
]


def answers(folder: Path, include: str, expressions: list[str], options: list[str]) -> list[int]:
    source = folder / "ask.c"
    lines = "".join(f'    printf("%llu\\n", (unsigned long long)({e}));\n' for e in expressions)
    source.write_text(
        f"#include <stddef.h>\n#include <stdio.h>\n{include}\nint main(void)\n{{\n{lines}}}\n"
    )
    program = str(folder / "ask")
    subprocess.run(["cc", *options, str(source), "-o", program], check=True)
    ended = subprocess.run([program], check=True, capture_output=True, text=True)
    return [int(line) for line in ended.stdout.split()]


def layout(side: int) -> list[str]:
    expressions = [f"sizeof({struct[side]})" for struct in STRUCTS]
    for struct in STRUCTS + GROWN:
        expressions += [f"offsetof({struct[side]}, {member[side]})" for member in struct[2]]
    return expressions + [number[side] for number in NUMBERS]


@pytest.mark.skipif(not HEADERS, reason="nvml.h is not installed")
def test_against_the_real_header(tmp_path: Path) -> None:
    ours = answers(
        tmp_path,
        '#include "gpu/nvml_library.h"\n#include "gpu/sampler.h"',
        [*layout(0), "NVML_GPM_METRICS_ROOM"],
        ["-D_GNU_SOURCE", f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}"],
    )
    theirs = answers(
        tmp_path,
        "#include <nvml.h>",
        [*layout(1), "NVML_GPM_METRIC_MAX"],
        [f"-I{HEADERS[0].parent}"],
    )
    for name, one, other in zip(layout(0), ours, theirs, strict=False):
        assert one == other, f"{name} is {other} in nvml.h"
    assert ours[-1] >= theirs[-1]  # room for all that NVML might fill
