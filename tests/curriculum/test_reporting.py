"""What a training prints."""

from types import SimpleNamespace

from lightning import Trainer

from uniemo.curriculum.reporting import (
    EpochTable,
    ProgressBar,
    kept_weights,
    progress_arguments,
)
from uniemo.model.saving import BestCheckpoint


def test_an_epoch_is_one_line_of_78_columns_under_its_titles(capsys, tmp_path):
    table, best = EpochTable(), BestCheckpoint(tmp_path)
    metrics = {"loss": 6.57041, "val/accuracy": 0.7575, "val/loss": 0.6345, "val/f1_macro": 0.7556}
    trainer = SimpleNamespace(
        is_global_zero=True,
        progress_bar_metrics=metrics,
        current_epoch=0,
        max_epochs=3,
        checkpoint_callbacks=[best],
    )
    module = SimpleNamespace(stage="understanding")
    table.on_train_start(trainer, module)
    table.on_train_epoch_end(trainer, module)
    titles, epoch = capsys.readouterr().out.splitlines()
    assert len(titles) == len(epoch) == 78
    assert epoch.split() == ["1/3", "understanding", "6.5704", "0.6345", "0.7575", "0.7556", "0:00"]
    assert epoch.index("0.7575") + 6 == titles.index("accuracy") + 8  # right-aligned
    best.start = {"val/accuracy": 0.75, "val/f1_macro": 0.7}
    table.on_train_start(trainer, module)
    start = capsys.readouterr().out.splitlines()[1]
    assert start.split() == ["0", "start", "0.7500", "0.7000"]
    assert start.index("0.7500") == epoch.index("0.7575")
    trainer.is_global_zero = False
    table.on_train_epoch_end(trainer, module)
    assert not capsys.readouterr().out


def test_the_kept_weights_are_told_with_what_they_are_better_by(tmp_path):
    best = BestCheckpoint(tmp_path)
    assert kept_weights([best]) == "best epoch on validation"
    best.start, best.trained = {"val/accuracy": 0.791}, 0.785
    assert kept_weights([best]).startswith("no epoch beats the start on validation (78.50 to 79.10")
    best.trained = 0.8
    assert kept_weights([best]) == "best epoch on validation (80.00 %, at the start 79.10 %)"


def test_a_bar_is_for_terminals_alone(monkeypatch):
    assert not progress_arguments(None)["enable_progress_bar"]
    monkeypatch.setenv("FORCE_COLOR", "1")  # as rich takes a terminal for granted
    arguments = progress_arguments(None)
    assert isinstance(Trainer(logger=False, **arguments).progress_bar_callback, ProgressBar)
    assert not progress_arguments(False)["enable_progress_bar"]
