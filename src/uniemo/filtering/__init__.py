"""The data filter, on plain tensors: which generated images are worth learning from.

It needs CLIP features and a verifier's logits, and neither images nor networks, so it filters any
labelled pool, not only this project's. :func:`select` documents the steps and what they promise.

>>> import torch
>>> from uniemo.filtering import Candidates, FilterConfig, Reference, calibrate_temperature, select
>>> generator = torch.Generator().manual_seed(0)
>>> def normal(*shape):
...     return torch.randn(*shape, generator=generator)
>>> centre = 4 * normal(2, 16)  # two emotions
>>> emotion = torch.arange(200) % 2
>>> target = torch.arange(80) % 2
>>> validation_logits, validation_emotion = normal(50, 2), torch.arange(50) % 2
>>> reference = Reference(
...     features=centre[emotion] + normal(200, 16),  # CLIP's features of real images [M, E]
...     emotion=emotion,
...     temperature=calibrate_temperature(validation_logits, validation_emotion),
... )
>>> pool = Candidates(
...     features=centre[target] + normal(80, 16),  # CLIP's features of generated images [N, E]
...     logits=4 * torch.eye(2)[target] + normal(80, 2),  # the verifier's [N, C]
...     target=target,
...     scene=torch.arange(80) % 5,  # retrieved, -1 for none
...     object=torch.arange(80) % 7,
... )
>>> selection = select(pool, reference, FilterConfig(budget=10))
>>> selection.kept.sum().item(), selection.shortfall.tolist()
(20, [0, 0])
>>> selection.reason_names()[:4]
['not_selected', 'kept', 'not_selected', 'kept']

The parts stand alone too: :func:`calibrate_temperature`, :func:`fidelity_scores`,
:func:`ball_radii`, :func:`realism_scores`, :func:`calibrate_duplicate_threshold`,
:func:`near_copies`, :func:`select_diverse`, :func:`coverage`; features go through :func:`unit`
first. The filters to compare with are in :mod:`uniemo.filtering.baselines`.
"""

from uniemo.filtering.diversity import coverage, select_diverse
from uniemo.filtering.duplicates import calibrate_duplicate_threshold, near_copies
from uniemo.filtering.fidelity import calibrate_temperature, fidelity_scores
from uniemo.filtering.filter import (
    Candidates,
    FilterConfig,
    Reason,
    Reference,
    Scores,
    Selection,
    score,
    select,
)
from uniemo.filtering.realism import ball_radii, realism_scores
from uniemo.filtering.similarity import unit

__all__ = [
    "Candidates",
    "FilterConfig",
    "Reason",
    "Reference",
    "Scores",
    "Selection",
    "ball_radii",
    "calibrate_duplicate_threshold",
    "calibrate_temperature",
    "coverage",
    "fidelity_scores",
    "near_copies",
    "realism_scores",
    "score",
    "select",
    "select_diverse",
    "unit",
]
