"""Progress: a bar on a terminal, one line in a log."""

from uniemo.utils.progress import track


def test_a_log_takes_one_line_and_every_item_is_yielded(capsys):
    assert list(track(iter(range(200)), "Counting", 200)) == list(range(200))
    assert capsys.readouterr().out == "Counting\n"


def test_a_terminal_shows_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(track(range(3), "Counting")) == [0, 1, 2]
    assert "100%" in capsys.readouterr().out
