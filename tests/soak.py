"""``make soak``: kills, stops, full disks, two at once and long runs, on tiny files.

Each phase is disturbed at random moments until it has ended, several times over, and compared with
an undisturbed one: weights, optimiser, curves and images bit for bit. Guarantees and what is left
out: docs/reliability.md.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning import Callback

from tests.conftest import settings
from tests.tiny import write_clip, write_emoset, write_stable_diffusion
from uniemo.config.experiment import Experiment
from uniemo.curriculum.curves import read_curves
from uniemo.curriculum.phases import PHASES
from uniemo.curriculum.resuming import ORDER

EXPERIMENT = "experiments/emoset.yaml"
PER_TRIAL = 5  # disturbances of one run, at most
SETTINGS = {
    "model.understanding_epochs": 2,
    "model.sampling.batch_size": 8,
    "data.init_args.batch_size": 4,
    "trainer.max_epochs": 4,
    "trainer.strategy": "auto",
    "trainer.precision": "32-true",
    "trainer.log_every_n_steps": 1,
    "checkpoints.every_n_steps": 3,
    "generate.n_images": 16,
    "generate.filter.confidence_threshold": 0,
    "generate.filter.realism_threshold": 0,
    "generate.filter.neighbours": 1,
    "generate.filter.duplicate_cosine": 1.0,
    "generate.filter.duplicate_quantile": "null",
    "finetune.epochs": 3,
}


class Soak:
    """Runs phases of an experiment on tiny files in subprocesses.

    Args:
        folder: Where everything goes.
        seed: Of the moments.
        processes: Of each command; they share the batches of four images.
    """

    def __init__(self, folder: Path, seed: int, processes: int = 1) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.several = (
            {}
            if processes == 1
            else {
                "trainer.devices": processes,
                "trainer.strategy": "ddp_find_unused_parameters_true",
                "data.init_args.batch_size": 4 // processes,
            }
        )
        root = folder / "tiny"
        self.files = {
            "emoset": write_emoset(root / "emoset", {"train": 4, "val": 1, "test": 2}),
            "clip": write_clip(root / "clip"),
            "stable_diffusion": write_stable_diffusion(root / "stable_diffusion"),
            "cache": root / "cache",
        }
        self.seconds: dict[str, float] = {}

    def start(self, phase: str, runs: Path, **options: Any) -> subprocess.Popen[str]:
        """Start a phase in a folder of runs."""
        values = {"runs": runs, "eval.cache": self.files["cache"], **SETTINGS, **self.several}
        flags = settings(self.files, **values)
        command = [sys.executable, "-m", "uniemo.cli", "train", "--experiment", EXPERIMENT]
        return subprocess.Popen(
            [*command, "--phase", phase, *flags],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip

    def finish(self, phase: str, runs: Path) -> None:
        """Run a phase to its end, undisturbed."""
        process = self.start(phase, runs)
        _, said = process.communicate()
        assert process.returncode == 0, said[-2000:]

    def undisturbed(self) -> None:
        """Run all phases once; note how long each takes."""
        for phase in ORDER:
            started = time.monotonic()
            self.finish(phase, self.folder / "whole")
            self.seconds[phase] = time.monotonic() - started

    def before(self, phase: str, name: str) -> Path:
        """Return a folder of runs in which the phases before one are done."""
        runs = self.folder / name
        for earlier in ORDER[: ORDER.index(phase)]:
            shutil.copytree(self.folder / "whole/emoset" / earlier, runs / "emoset" / earlier)
        return runs

    def disturb(self, phase: str, runs: Path, sent: signal.Signals) -> bool:
        """Start a phase and send it a signal at a random moment; return whether it had ended."""
        process = self.start(phase, runs)
        try:
            process.wait(self.random.uniform(0.3, 1) * self.seconds[phase])
        except subprocess.TimeoutExpired:
            process.send_signal(sent)
        _, said = process.communicate()
        if process.returncode == 0:
            return True
        if sent == signal.SIGKILL:
            assert process.returncode == -sent, said[-2000:]
        else:
            lines = said.splitlines()
            assert process.returncode == 128 + sent, (process.returncode, said[-2000:])
            assert lines[-1].startswith("stopped by"), said[-2000:]
            assert "Traceback" not in said, said[-2000:]
        return False

    def interruptions(self, phase: str, signals: list[signal.Signals]) -> str:
        """Disturb a phase by each of some signals; compare every run that was."""
        left, runs = list(signals), 0
        while left:
            runs += 1
            place = self.before(phase, f"{phase}{runs}")
            for _ in range(min(PER_TRIAL, len(left))):
                if self.disturb(phase, place, left[-1]):
                    break  # before the signal came
                left.pop()
            else:
                self.finish(phase, place)
            self.compare(phase, place)
            shutil.rmtree(place)
        return f"{len(signals)} signals in {runs} runs, all as undisturbed"

    def compare(self, phase: str, runs: Path) -> None:
        """Compare a phase with the undisturbed one, bit for bit."""
        expected, found = (root / "emoset" / phase for root in (self.folder / "whole", runs))
        if phase == "generate":
            files = [
                {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
                for root in (expected, found)
            ]
            assert files[0].keys() == files[1].keys(), files[0].keys() ^ files[1].keys()
            assert files[0] == files[1]
            return
        states = []
        for root in (expected, found):
            best, last = (
                torch.load(root / f"{n}.ckpt", weights_only=True) for n in ("best", "last")
            )
            states.append((best["state_dict"], last["optimizer_states"][0]["state"]))
        torch.testing.assert_close(states[1], states[0], rtol=0, atol=0, equal_nan=True)
        assert read_curves(found) == read_curves(expected)
        left = [path for path in found.parent.rglob("*") if path.suffix in (".part", ".lock")]
        assert not left, left

    def full_disk(self, phase: str) -> str:
        """Let no file grow beyond some sizes, as on a full disk; then run to the end."""
        sizes = [2_000, 20_000, 200_000]
        runs = self.before(phase, f"{phase}-full")
        for size in sizes:
            process = self.start(phase, runs, preexec_fn=lambda size=size: _limit_files(size))
            _, said = process.communicate()
            lines = [line for line in said.splitlines() if line.startswith("error: ")]
            assert process.returncode == 0 or (process.returncode == 2 and len(lines) == 1), said
            assert "Traceback" not in said, said
        self.finish(phase, runs)
        self.compare(phase, runs)
        return f"files limited to {sizes} bytes: one line each, then as undisturbed"

    def two_at_once(self) -> str:
        """Start a phase twice: one of the two runs, the other says so in a line."""
        runs = self.before("joint", "twice")
        processes = [self.start("joint", runs) for _ in range(2)]
        said = [process.communicate()[1] for process in processes]
        codes = [process.returncode for process in processes]
        assert sorted(codes) == [0, 2], said
        assert "is in use by process" in said[codes.index(2)], said
        self.compare("joint", runs)
        return "one ran, one gave a line"

    def memory(self, epochs: int, images: int) -> str:
        """Train so many epochs and generate so many images per emotion; memory must stay flat."""
        grown = []
        for phase, changes in (
            ("joint", {"trainer.max_epochs": epochs}),
            ("generate", {"generate.n_images": images}),
        ):
            seen: list[int] = []
            values = {"runs": self.folder / "long", "eval.cache": self.files["cache"]}
            flags = settings(self.files, **{**SETTINGS, **values, **changes})
            experiment = Experiment.read(EXPERIMENT, flags).changed({"phase": phase})
            experiment.trainer["callbacks"] = [Memory(seen)]
            PHASES[phase](experiment)
            early, late = seen[len(seen) // 4], seen[-1]
            grown.append(f"{phase} {early / 1e6:.0f} to {late / 1e6:.0f} MB")
            assert late < 1.05 * early, seen
        return f"{epochs} validations, {8 * images:,} images: {', '.join(grown)}"


class Memory(Callback):
    """Notes the resident memory of this process after each validation and each batch of images."""

    def __init__(self, seen: list[int]) -> None:
        self.seen = seen

    def on_validation_end(self, *_: Any) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.seen.append(pages * resource.getpagesize())

    def on_predict_batch_end(self, *_: Any) -> None:
        self.on_validation_end()


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def main() -> None:
    """Run everything; print a line for each part."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="in each phase")
    parser.add_argument("--stops", type=int, default=5, help="SIGTERMs in each phase")
    parser.add_argument("--epochs", type=int, default=60, help="validations with flat memory")
    parser.add_argument("--images", type=int, default=200, help="of each emotion, the same")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--processes", type=int, default=1, help="of each command; 1, 2 or 4")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        soak, failed = Soak(Path(folder), given.seed, given.processes), list[str]()

        def part(name: str, work: Callable[[], str | None]) -> None:
            started = time.monotonic()
            try:
                said = work() or "done"
            except AssertionError as error:
                said = f"FAILED: {error}"
                failed.append(name)
            print(f"{name}: {said} ({time.monotonic() - started:.0f} s)", flush=True)

        part("undisturbed", soak.undisturbed)
        for phase in ORDER:
            signals = [signal.SIGKILL] * given.kills + [signal.SIGTERM] * given.stops
            soak.random.shuffle(signals)
            part(phase, lambda phase=phase, signals=signals: soak.interruptions(phase, signals))
            part(f"{phase}, full disk", lambda phase=phase: soak.full_disk(phase))
        part("two at once", soak.two_at_once)
        part("memory", lambda: soak.memory(given.epochs, given.images))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
