"""A report with every section."""

import torch

from uniemo.curriculum.curves import Series
from uniemo.emotions import EMOTIONS
from uniemo.evaluation.generation_metrics import GeneratedExample
from uniemo.evaluation.report import EvaluationReport, FilterExample
from uniemo.evaluation.understanding_metrics import AttentionExample


def full_report(side: int = 64) -> EvaluationReport:
    """A page with every section, its images smooth noise."""
    generator = torch.Generator().manual_seed(0)

    def image() -> torch.Tensor:
        small = torch.rand(1, 3, 4, 4, generator=generator)
        return torch.nn.functional.interpolate(small, (side, side), mode="bilinear")[0]

    row = {
        "n_images": 64, "emo_a_8": 0.7, "emo_a_2": 0.9, "kid": 0.01, "diversity": 1.2,
        "density": 0.8, "coverage": 0.6, "sem_d": 0.02, "sem_c": None,
    }  # fmt: skip
    confusion = [[20 if i == j else 3 for j in range(8)] for i in range(8)]
    network = "EfficientNet-Lite0 (ImageNet), 128 px"
    metrics = {
        "experiment": "emoscenes",
        "checkpoint": "runs/emoscenes/a_phase_with_a_long_name_that_must_wrap/best.ckpt",
        "seed": 0,
        "protocol": "published",
        "emotions": list(EMOTIONS),
        "understanding": {
            "accuracy": 0.71, "accuracy_polarity": 0.88, "f1_macro": 0.7, "ece": 0.04,
            "confusion": confusion, "ceiling": 0.83, "bayes_rule": 0.84,
            "linear_probe": 0.6, "names_baseline": 0.75,
            "intervals": {"accuracy": [0.69, 0.73]},
        },
        "generation": {
            "n_images": 512, "fid": 31.4, "fid_features": network, "fid_reference": "test split",
            "kid": 0.01, "diversity": 1.2, "diversity_metric": "perceptual distance (not LPIPS)",
            "density": 0.8, "coverage": 0.6, "emo_a_8": 0.65, "emo_a_2": 0.85, "judge": network,
            "judge_accuracy_real": 0.7, "judge_accuracy_reconstructed": 0.68, "sem_c": 0.9,
            "sem_c_classifiers": network, "sem_d": 0.02, "sem_d_features": network,
            "near_copies": 0.004, "per_emotion": dict.fromkeys(EMOTIONS, row),
            "published": {"fid": 35.2, "sem_d": 0.0213, "diversity": 1.3},
            "as_published": ["sem_d"],
            "intervals": {"emo_a_8": [0.6, 0.7]},
        },
        "queries": {
            "retrieval_scene": 1.0, "retrieval_object": 0.9,
            "pointing_scene": 0.2, "pointing_object": 0.5, "pointing_chance": 0.2,
        },
    }  # fmt: skip
    curve = [(float(step), 2.0 / (1 + step)) for step in range(40)]
    return EvaluationReport(
        metrics,
        "EmoScenes",
        other_data=True,
        attention_examples=[
            AttentionExample(
                image(), torch.rand(8, 8, generator=generator),
                torch.rand(8, 8, generator=generator),
                torch.tensor([0.2, 0.2, 0.7, 0.8]) if i else torch.full((4,), torch.nan), i, 0,
            )
            for i in range(4)
        ],
        generated_examples=[
            GeneratedExample((image() * 255).byte(), e, (e + k % 2) % 8, k, 0.9)
            for e in range(8)
            for k in range(8)
        ],
        copy_threshold=0.95,
        nearest={k: image() for k in range(8)},
        filter_examples=[
            FilterExample((image() * 255).byte(), EMOTIONS[i % 8], ["kept", "wrong_emotion"][i % 2])
            for i in range(10)
        ],
        curves={"joint": {"total": [Series("train", curve), Series("val", curve[::10])]}},
    )  # fmt: skip
