"""The labels: tables, posterior and Bayes ceilings, against sums written out by hand."""

from itertools import product

import numpy as np
import pytest

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES
from data_modules.emoscenes.recipe import (
    LEVELS,
    TEMPERATURE,
    Recipe,
    build_recipe,
    flattest_marginal,
    published,
)
from uniemo.emotions import EMOTIONS, N_EMOTIONS


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return build_recipe()


def test_tables_have_the_right_shapes_and_columns_sum_to_one(recipe: Recipe) -> None:
    assert recipe.scene.shape == (len(SCENE_NAMES), N_EMOTIONS)
    assert recipe.object.shape == (len(OBJECT_NAMES) + 1, N_EMOTIONS)
    assert recipe.brightness.shape == recipe.colorfulness.shape == (len(LEVELS), N_EMOTIONS)
    for table in (recipe.scene, recipe.object, recipe.brightness, recipe.colorfulness):
        assert np.allclose(table.sum(0), 1)
        assert (table >= 0).all()


@pytest.mark.parametrize("kind", ["scene", "object"])
def test_bayes_rule_gives_back_the_softened_published_table(recipe: Recipe, kind: str) -> None:
    table = recipe.scene if kind == "scene" else recipe.object[:-1]
    softened = published(kind) ** (1 / TEMPERATURE)
    softened /= softened.sum(1, keepdims=True)
    assert np.allclose(table / table.sum(1, keepdims=True), softened, atol=1e-9)


def test_published_rows_are_emosets() -> None:
    cemetery = published("scene")[SCENE_NAMES.index("cemetery")]
    lion = published("object")[OBJECT_NAMES.index("Lion")]
    assert cemetery[EMOTIONS.index("sadness")] == pytest.approx(0.97, abs=0.01)
    assert lion[EMOTIONS.index("anger")] == pytest.approx(0.93, abs=0.01)


def test_no_scene_and_no_object_is_rare(recipe: Recipe) -> None:
    assert recipe.scene.mean(1).min() > 0.4 / len(SCENE_NAMES)
    assert recipe.object[:-1].mean(1).min() > 0.4 / len(OBJECT_NAMES)


def test_ceilings_are_in_their_ranges(recipe: Recipe) -> None:
    ceilings = recipe.ceilings()
    assert 0.80 <= ceilings["everything"] <= 0.88
    assert ceilings["scene"] <= 0.66
    assert ceilings["object"] <= 0.66
    assert ceilings["tone"] < 0.3


def test_ceilings_equal_the_sum_over_the_joint_table() -> None:
    generator = np.random.default_rng(0)
    tables = [generator.dirichlet(np.ones(n), N_EMOTIONS).T for n in (3, 4, 2, 2)]
    total = sum(
        max(
            np.prod([table[i, y] for table, i in zip(tables, chosen, strict=True)]) / N_EMOTIONS
            for y in range(N_EMOTIONS)
        )
        for chosen in product(*(range(len(table)) for table in tables))
    )
    assert Recipe(*tables).ceilings()["everything"] == pytest.approx(total)


def test_the_posterior_is_calibrated_and_reaches_the_ceiling(recipe: Recipe) -> None:
    generator, count = np.random.default_rng(0), 6000
    drawn = [recipe.draw(generator, index % N_EMOTIONS) for index in range(count)]
    posterior = np.array([recipe.posterior(one) for one in drawn])  # [N, C]
    emotion = np.array([one.emotion for one in drawn])
    assert np.allclose(posterior.sum(1), 1)
    accuracy = (posterior.argmax(1) == emotion).mean()
    ceiling = recipe.ceilings()["everything"]
    assert accuracy == pytest.approx(ceiling, abs=0.02)
    assert posterior.max(1).mean() == pytest.approx(ceiling, abs=0.02)


def test_draws_follow_the_tables(recipe: Recipe) -> None:
    generator, fear = np.random.default_rng(1), EMOTIONS.index("fear")
    drawn = [recipe.draw(generator, fear) for _ in range(4000)]
    share = np.bincount([one.scene for one in drawn], minlength=len(SCENE_NAMES)) / len(drawn)
    assert np.abs(share - recipe.scene[:, fear]).max() < 0.03
    assert np.mean([one.scene_annotated for one in drawn]) == pytest.approx(0.7, abs=0.03)
    assert np.mean([one.object_annotated for one in drawn]) == pytest.approx(0.8, abs=0.03)
    assert np.mean([one.object == len(OBJECT_NAMES) for one in drawn]) == pytest.approx(
        0.08, abs=0.02
    )


def test_the_flattest_marginal_has_the_largest_entropy_of_all_that_serve_emotions_alike() -> None:
    conditional = published("scene")
    marginal = flattest_marginal(conditional)
    assert np.allclose(marginal @ conditional, 1 / N_EMOTIONS)
    # Directions along which sums and emotions stay as they are.
    free = np.linalg.svd(conditional.T)[2][N_EMOTIONS:]
    entropy = -(marginal * np.log(marginal)).sum()
    for direction in (*free, *-free):
        other = marginal + 1e-3 * direction
        assert -(other * np.log(other)).sum() < entropy


def test_an_impossible_table_is_refused() -> None:
    with pytest.raises(ValueError, match="rarest emotion"):
        flattest_marginal(np.eye(N_EMOTIONS)[:3])
