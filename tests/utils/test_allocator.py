"""Memory settings: freed blocks stay with the process, large tensors lie in huge pages."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource, sys
import numpy as np
from uniemo.utils.allocator import configure_memory

if sys.argv[1] == "configured":
    configure_memory()
faults = []
for _ in range(5):
    np.ones(2**23)  # 64 MiB
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[0])
"""

HUGE_PAGES = """
import sys, torch
from uniemo.utils.allocator import configure_memory

if sys.argv[1] == "configured":
    configure_memory()
tensor = torch.ones(2**25)  # 128 MiB
with open("/proc/self/smaps") as smaps:
    print(sum(int(line.split()[1]) for line in smaps if line.startswith("AnonHugePages")))
"""
SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def run(code: str, argument: str) -> int:
    command = [sys.executable, "-c", code, argument]
    # Without PyTorch's variable, which the process that runs the tests may have set.
    plain = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=plain)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_block_allocated_again_costs_no_page_faults():
    assert run(FAULTS, "configured") < 0.1 * run(FAULTS, "plain")


@pytest.mark.skipif(
    not SWITCH.is_file() or "[madvise]" not in SWITCH.read_text(),
    reason="the kernel gives huge pages to all or to none",
)
def test_large_tensors_lie_in_huge_pages_when_configured_after_importing_torch():
    assert run(HUGE_PAGES, "plain") == 0
    assert run(HUGE_PAGES, "configured") > 2**16  # kB, half of the tensor


def test_importing_sets_no_variable_and_no_heavy_package():
    code = (
        "import os, sys; before = dict(os.environ); import uniemo.utils.allocator;"
        "print(int(dict(os.environ) != before or 'torch' in sys.modules))"
    )
    assert run(code, "") == 0
