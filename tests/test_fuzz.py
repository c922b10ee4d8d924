"""Files of any content are read or refused in one line (the short form of ``make fuzz``)."""

from tests.fuzz import fuzz, fuzz_experiments


def test_damaged_files_are_read_or_refused():
    counts, findings = fuzz(2000)
    assert findings == []
    for kind in ("info.json", "split", "annotation", "configuration", "image", "checkpoint"):
        assert counts[f"{kind}, refused"] > 20, counts


def test_damaged_experiments_are_read_or_refused():
    assert fuzz_experiments(10) == []
