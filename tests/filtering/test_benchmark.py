"""The benchmark of the filter on a small pool."""

import pytest

from uniemo.filtering import benchmark


def test_the_benchmark_prints_time_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.benchmark(candidates=400, real=300, width=8)
    printed = capsys.readouterr().out
    assert "total" in printed
    assert "GiB" in printed
