"""What the page says of each group: its question, arms and measures."""

from dataclasses import dataclass

from uniemo.study.spaces import JITTER


@dataclass(frozen=True)
class Measure:
    """A number of every arm."""

    key: str
    """Its name in ``result.json``."""
    title: str
    scale: float = 1.0
    """What it is multiplied by on the page: 100 for percent."""
    digits: int = 3
    compared: bool = True
    """Whether the page says which arms differ in it."""


@dataclass(frozen=True)
class Group:
    """Arms that answer one question."""

    name: str
    title: str
    about: str
    arms: dict[str, str]
    """Names, and what they are."""
    baseline: str
    """The arm that the others are compared with."""
    headline: str
    """Key of the measure that is compared."""
    measures: tuple[Measure, ...]
    rated: bool = False
    """Whether the page names the best arm, which is to be the default."""

    def measure(self, key: str) -> Measure:
        """Return a measure by its key."""
        return next(measure for measure in self.measures if measure.key == key)


TEST = Measure("test/accuracy", "test accuracy, %", 100, 2)
VALIDATION = Measure("val/accuracy", "validation accuracy, %", 100, 2)
EMO_A = Measure("emo_a", "Emo-A, %", 100, 1)
PAINTED = (
    EMO_A,
    Measure("fid", "Frechet distance", digits=1),
    Measure("clip_coverage", "coverage (CLIP)"),
    Measure("coverage", "coverage"),
    Measure("density", "density"),
    Measure("nearest_cosine", "cosine to nearest training picture"),
)

POOL = (
    TEST,
    VALIDATION,
    Measure("emo_a", "pool's Emo-A, %", 100, 1),
    Measure("kept", "pictures", digits=0, compared=False),
    Measure("coverage", "coverage", compared=False),
)

GROUPS = (
    Group(
        "feedback",
        "Feedback: does generated data help understanding?",
        "All arms finetune the same joint checkpoint for the same number of steps, with the same "
        "number of further draws per epoch. They differ in what is drawn. Coverage is the share of "
        "validation pictures that the pool covers in frozen CLIP's features; the pool's Emo-A is "
        "by the evaluation's judge, which no filter asks. CLIP's zero-shot "
        "probability means little where CLIP was trained without emotion words, as the embedded "
        'small one was, but for "amusement park", the name of a scene.',
        {
            "none": "no generated data: the further draws are the same real rows again",
            "unfiltered": "all candidates, twice as many as a filter may keep",
            "random": "a random subset of the budget's size",
            "top_k": "the most confident by the verifier",
            "clip_probable": "CLIP's zero-shot p(target) > 1/C, then random",
            "realism": "inside the real images' k-NN balls, then random",
            "ours": "the whole filter",
            "more_real": "as many further real pictures as the budget: the honest upper baseline",
        },
        "none",
        "test/accuracy",
        POOL,
    ),
    Group(
        "published",
        "Does the filter pay where there is more to refuse?",
        "The same study on a worse pool: the one that the published emotion space (`diagonal`) "
        "paints, of one draw, with the same weights.",
        {
            "none": "no generated data, as above",
            "unfiltered": "all candidates, twice as many as a filter may keep",
            "random": "a random subset of the budget's size",
            "top_k": "the most confident by the verifier",
            "ours": "the whole filter",
        },
        "random",
        "test/accuracy",
        POOL,
    ),
    Group(
        "spaces",
        "Emotion space: which one paints best?",
        "All spaces are fitted to the same features of one joint checkpoint. Everything is held "
        "against the validation split. The networks under the distances and under Emo-A's judge "
        "are frozen and trained by others; the judge's probe saw real training pictures, crisp and "
        "as the VAE decodes them. Frechet distances of so few compare only within a table. "
        "Coverage and density are of the distances' network over all emotions; coverage (CLIP) is "
        "of the pretrained CLIP that the model is built on, within each emotion.",
        {
            "diagonal": "the published Gaussians, fe, fs and fo apart",
            "tied": "one low-rank Gaussian over [fe, fs, fo]",
            "mixture": "several modes over [fe, fs, fo]",
            "stored": f"features of training pictures, jittered by {JITTER}",
        },
        "diagonal",
        "emo_a",
        PAINTED,
        rated=True,
    ),
    Group(
        "draws",
        "Draws: should the surest of several be painted?",
        "The same measures as for the emotion spaces, with the experiment's own one. Of several "
        "draws those features are painted that the emotion head reads the emotion from most "
        "surely.",
        {
            "one": "one draw, as published",
            "four": "the surest of four",
        },
        "one",
        "emo_a",
        PAINTED,
        rated=True,
    ),
    Group(
        "structure",
        "Structure: what is each part good for?",
        "Joint trainings with one setting changed each. L(theta) and the painted images are held "
        "against the validation split.",
        {
            "default": "as the experiment's file says",
            "no_queries": "no expert queries: the mean patch stands in for both, losses as before",
            "scene_only": "scene queries alone",
            "object_only": "object queries alone",
            "feature_alone": "the emotion read from fe alone, as published",
            "neither": "the emotion read from fe alone, and no expert queries",
            "one": "both coefficients 1",
            "zero": "both coefficients 0",
            "public": "retrieval as in the public code",
            "no_condition_loss": "without L_cond",
            "understanding_alone": "no diffusion head, as many steps on L_U alone",
        },
        "default",
        "test/accuracy",
        (
            TEST,
            Measure("val/theta", "L(theta)", digits=4),
            EMO_A,
            Measure("emo_a_one_draw", "Emo-A of one draw, %", 100, 1),
        ),
    ),
    Group(
        "generation",
        "Generation: what do features add to a word?",
        "The same measures as for the emotion spaces, for simpler conditions.",
        {
            "uniemo": "all of UniEmo",
            "class_feature": "the emotion's feature alone: both coefficients 0",
            "learnt_word": "textual inversion: one learnt word per emotion",
        },
        "uniemo",
        "emo_a",
        PAINTED,
    ),
    Group(
        "guidance",
        "Guidance: does the emotion's feature say scene and object by itself?",
        "Validation pictures of a known scene and object are painted again from their own "
        "features, and pretrained CLIP names scene and object of the paintings, among all names. "
        "L(theta) is of these pictures; Emo-A is of pictures from the emotion space, as above. The "
        "`long` arms train on their part of the split for as many steps as `default` and `zero` do "
        "on all of it.",
        {
            "default": "as the experiment's file says",
            "withheld": "the same model; both coefficients 0 when it paints",
            "zero": "both coefficients 0 in training as well",
            "long": "as the experiment's file says, for longer",
            "long_zero": "both coefficients 0, for longer",
            "real": "the pictures themselves",
        },
        "default",
        "scene",
        (
            Measure("scene", "scene named, %", 100, 1),
            Measure("object", "object named, %", 100, 1),
            Measure("theta", "L(theta)", digits=4),
            EMO_A,
        ),
    ),
)
