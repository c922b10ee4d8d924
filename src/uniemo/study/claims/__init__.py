"""The claims, in the order in which they are run and stand on the page."""

from uniemo.study.claim import Claim
from uniemo.study.claims.budgets import Budgets
from uniemo.study.claims.conditions import Generation
from uniemo.study.claims.draws import Draws
from uniemo.study.claims.feedback import Feedback
from uniemo.study.claims.field import Field
from uniemo.study.claims.gradients import Gradients
from uniemo.study.claims.guidance import Guidance
from uniemo.study.claims.limits import Limits
from uniemo.study.claims.published_pool import PublishedPool
from uniemo.study.claims.regimes import REGIMES
from uniemo.study.claims.spaces import EmotionSpaces
from uniemo.study.claims.structure import Structure

CLAIMS: tuple[Claim, ...] = (
    Feedback(),
    Budgets(),
    Limits(),
    Field(),
    *REGIMES,
    Gradients(),
    PublishedPool(),
    EmotionSpaces(),
    Draws(),
    Structure(),
    Generation(),
    Guidance(),
)
