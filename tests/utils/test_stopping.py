"""Signals to stop a command, at once or after the present step."""

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from uniemo.utils.stopping import StopSignals


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def listen(signals: StopSignals, work: Callable[[], Any]) -> None:
    with signals.listening():
        work()


def exit_code(signals: StopSignals, work: Callable[[], Any]) -> Any:
    with pytest.raises(SystemExit) as stop:
        listen(signals, work)
    return stop.value.code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_ends_with_the_signals_code_and_one_line(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)

    def work() -> None:
        send(number)
        pytest.fail("not stopped")

    assert exit_code(StopSignals(), work) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"stopped by {number.name}")
    assert signal.getsignal(number) == before


def test_a_step_ends_before_a_postponed_stop() -> None:
    signals, done = StopSignals(), []

    def step(number: signal.Signals) -> None:
        signals.postpone()
        send(number)
        done.append("begun")
        send(number)
        done.append("ended")
        signals.check()
        pytest.fail("not stopped")

    assert exit_code(signals, lambda: step(signal.SIGTERM)) == 143  # SLURM sends two
    assert done == ["begun", "ended"]
    assert exit_code(signals, lambda: step(signal.SIGINT)) == 130  # someone is in a hurry
    assert done == ["begun", "ended", "begun"]


def test_what_follows_from_a_stop_is_no_error_of_its_own() -> None:
    signals = StopSignals()

    def last_step() -> None:
        signals.postpone()
        send(signal.SIGTERM)

    def closed() -> None:
        last_step()
        raise RuntimeError("the other process has closed the connection")

    assert exit_code(signals, last_step) == 143
    assert exit_code(signals, closed) == 143
    with pytest.raises(ZeroDivisionError):
        listen(signals, lambda: 1 // 0)


def test_children_are_told_and_waited_for() -> None:
    signals = StopSignals()
    child = subprocess.Popen(["sleep", "60"])

    def work() -> None:
        signals.children = lambda: [child]
        send(signal.SIGTERM)

    assert exit_code(signals, work) == 143
    assert child.returncode == -signal.SIGTERM


def test_an_error_ends_the_children_that_may_wait_for_this_process() -> None:
    signals = StopSignals()
    child = subprocess.Popen(["sleep", "60"])

    def work() -> None:
        signals.children = lambda: [child]
        raise SystemExit(2)

    assert exit_code(signals, work) == 2
    assert child.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("environment", "job"),
    [
        ({"SLURM_JOB_ID": "12"}, "12"),
        ({"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "9", "SLURM_ARRAY_TASK_ID": "3"}, "9_3"),
    ],
)
def test_slurms_signal_requeues_the_job(
    environment: dict[str, str], job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals, called = StopSignals(), []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: called.append(command))
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    before = signal.getsignal(signal.SIGUSR1)

    def work() -> None:
        signals.listen_to_requeue(signal.SIGUSR1)
        send(signal.SIGUSR1)

    try:
        assert exit_code(signals, work) == 128 + signal.SIGUSR1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert called == [["scontrol", "requeue", job]]
