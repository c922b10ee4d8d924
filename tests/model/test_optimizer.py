"""Learning rates of the two stages."""

import numpy as np
import pytest

from uniemo.config.model import StageRates
from uniemo.model.optimizer import stage_rate


def test_rates_rise_then_fall_in_each_stage():
    stages = StageRates(visual=1.0, queries=2.0), StageRates(visual=0.0, queries=4.0)
    curve = np.array([stage_rate(stages, 0.1, "queries", s, 100, 300) for s in range(301)])
    assert curve[10] == pytest.approx(2.0)
    assert curve[120] == pytest.approx(4.0)
    assert curve[99] < 0.01
    assert curve[300] == pytest.approx(0, abs=1e-12)
    assert (np.diff(curve[10:100]) < 0).all()
    assert all(stage_rate(stages, 0.1, "visual", s, 100, 300) == 0 for s in range(100, 300))
