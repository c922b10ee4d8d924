"""What a training prints."""

from types import SimpleNamespace

from lightning import Trainer

from uniemo.curriculum.reporting import EpochTable, ProgressBar, progress_arguments


def test_an_epoch_is_one_line_of_78_columns_under_its_titles(capsys):
    table = EpochTable()
    metrics = {"loss": 6.57041, "val/accuracy": 0.7575, "val/loss": 0.6345, "val/f1_macro": 0.7556}
    trainer = SimpleNamespace(
        is_global_zero=True, progress_bar_metrics=metrics, current_epoch=0, max_epochs=3
    )
    module = SimpleNamespace(stage="understanding")
    table.on_train_start(trainer, module)
    table.on_train_epoch_end(trainer, module)
    titles, epoch = capsys.readouterr().out.splitlines()
    assert len(titles) == len(epoch) == 78
    assert epoch.split() == ["1/3", "understanding", "6.5704", "0.6345", "0.7575", "0.7556", "0:00"]
    assert epoch.index("0.7575") + 6 == titles.index("accuracy") + 8  # right-aligned
    trainer.is_global_zero = False
    table.on_train_epoch_end(trainer, module)
    assert not capsys.readouterr().out


def test_a_bar_is_for_terminals_alone(monkeypatch):
    assert not progress_arguments(None)["enable_progress_bar"]
    monkeypatch.setenv("FORCE_COLOR", "1")  # as rich takes a terminal for granted
    arguments = progress_arguments(None)
    assert isinstance(Trainer(logger=False, **arguments).progress_bar_callback, ProgressBar)
    assert not progress_arguments(False)["enable_progress_bar"]
