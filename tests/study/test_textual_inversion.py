"""Learnt words: they are learnt, and images follow from seed, emotion and number alone."""

import open_clip
import pytest
import torch

from tests.conftest import settings
from uniemo.emotions import N_EMOTIONS
from uniemo.study.textual_inversion import learn_words
from uniemo.study.trial import Profile, Scale, build_trials

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's

VIEW = (16, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)


def test_words_are_learnt_and_generate_the_same_images_in_any_batches(tiny_files, tmp_path):
    given = settings(tiny_files, runs=tmp_path)
    profile = Profile("tiny", (Scale(1.0, 1.0, 1.0),), 4, 2)
    trial = next(build_trials("emoscenes", given, profile, tmp_path / "results"))
    words = learn_words(trial.experiment, trial.experiment.head(), "a *", VIEW, tmp_path)
    assert words.standard.abs().min() > 0
    single, whole = (
        torch.cat([batch.image for batch in words.images(1, size, trial.experiment.sampling)])
        for size in (1, N_EMOTIONS)
    )
    assert len(whole) == N_EMOTIONS
    torch.testing.assert_close(single, whole, atol=1e-4, rtol=0)
