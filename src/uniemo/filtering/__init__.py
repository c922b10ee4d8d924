"""The data filter: selects generated images to train on, from plain tensors (extension).

It needs CLIP features and the logits of a classifier (the verifier), but no images or networks, so
it filters labelled images of any source. :mod:`uniemo.filtering.filter` documents its steps and
guarantees; see also docs/method.md, "Generate and filter".

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
...     features=centre[emotion] + normal(200, 16),  # CLIP features of real images [M, E]
...     emotion=emotion,
...     temperature=calibrate_temperature(validation_logits, validation_emotion),
... )
>>> pool = Candidates(
...     features=centre[target] + normal(80, 16),  # CLIP features of generated images [N, E]
...     logits=4 * torch.eye(2)[target] + normal(80, 2),  # of the verifier [N, C]
...     target=target,
...     scene=torch.arange(80) % 5,  # retrieved, -1 for none
...     object=torch.arange(80) % 7,
... )
>>> selection = select(pool, reference, FilterConfig(budget=10))
>>> selection.kept.sum().item(), selection.shortfall.tolist()
(20, [0, 0])
>>> selection.reason_names()[:4]
['not_selected', 'kept', 'not_selected', 'kept']

The parts can be used alone: :func:`calibrate_temperature`, :func:`fidelity_scores`,
:func:`ball_radii`, :func:`realism_scores`, :func:`calibrate_duplicate_threshold`,
:func:`near_copies` and :func:`select_diverse`, on features normalised by :func:`unit`. Simpler
filters for comparison are in :mod:`uniemo.filtering.baselines`.
"""

from uniemo.filtering.diversity import select_diverse
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
    "fidelity_scores",
    "near_copies",
    "realism_scores",
    "score",
    "select",
    "select_diverse",
    "unit",
]
