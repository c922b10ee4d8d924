"""SIGTERM and Ctrl-C: a command stops at once, or where it postpones that, after the present step.

Imports neither PyTorch nor anything else of this package, so that a command listens from its start.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from signal import SIGINT, SIGTERM, Signals
from subprocess import Popen, TimeoutExpired
from types import FrameType
from typing import Any

PATIENCE = 30  # seconds that the processes of a command have to end their step


class Stopped(BaseException):
    """The process was asked to stop. No ``Exception``, so that nothing but a command catches it."""


class StopSignals:
    """Signals to stop that this process has received.

    Attributes:
        listens: Whether this process is a command that listens to them.
        received: The first of them; None before.
        postponed: Whether :meth:`check` raises, at the end of a step, instead of the signal itself.
            A second Ctrl-C raises in any case.
        requeue: The one that SLURM sends before a job's time is up; the job is then requeued.
        children: Returns the processes that this one has started to share its work; they are told.
    """

    def __init__(self) -> None:
        self.listens = False
        self.received: Signals | None = None
        self.postponed = False
        self.requeue: Signals | None = None
        self.children: Callable[[], Sequence[Popen[Any]]] = lambda: ()
        self._process = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to SIGTERM and Ctrl-C; exit with 128 + the signal's number after one of them.

        Whatever else is raised after the signal is taken for its consequence.
        """
        self.received, self.postponed, self.listens, self._process = None, False, True, os.getpid()
        before = {number: signal.signal(number, self.handle) for number in (SIGTERM, SIGINT)}
        try:
            yield
        except BaseException:
            if self.received is None:
                for child in self.children():  # they may wait for this process for hours
                    child.kill()
                raise
        finally:
            self.listens = False
            self.children, children = lambda: (), self.children()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.received is not None:
            _wait(children)
            if os.environ.get("SLURM_PROCID", os.environ.get("LOCAL_RANK", "0")) == "0":
                text = f"stopped by {self.received.name}; run the same command to go on"
                print(text, file=sys.stderr)
                if self.received == self.requeue:
                    subprocess.run(["scontrol", "requeue", _slurm_job()], check=False)
            sys.exit(128 + self.received)

    def listen_to_requeue(self, number: Signals) -> None:
        """Listen to SLURM's signal as well."""
        self.requeue = number
        signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a signal.

        Raises:
            Stopped: Unless that is postponed.
        """
        if os.getpid() != self._process:  # a worker, forked: Ctrl-C comes to its parent as well
            if number == SIGTERM:
                signal.signal(SIGTERM, signal.SIG_DFL)
                os.kill(os.getpid(), SIGTERM)
            return
        again = self.received == number == SIGINT
        first, self.received = self.received is None, self.received or Signals(number)
        if first:
            for child in self.children():
                child.send_signal(SIGTERM)
        if again or (first and not self.postponed):
            raise Stopped

    def postpone(self) -> None:
        """From now on let :meth:`check` raise, instead of the signal."""
        self.postponed = True

    def allow(self) -> None:
        """From now on let the signal raise; also one that has come already."""
        self.postponed = False
        self.check()

    def check(self) -> None:
        """Raise if a signal has come.

        Raises:
            Stopped: If so.
        """
        if self.received is not None:
            raise Stopped


def _slurm_job() -> str:
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        return "{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format(**os.environ)
    return os.environ["SLURM_JOB_ID"]


def _wait(children: Sequence[Popen[Any]]) -> None:
    """Wait for processes that end their step; kill those that do not."""
    for child in children:
        try:
            child.wait(PATIENCE)
        except TimeoutExpired:
            child.kill()


stop_signals = StopSignals()
"""Those of this process; without :meth:`StopSignals.listening`, in a notebook, there are none."""
