"""Losses: each against its definition by hand, and each neutral setting against cross-entropy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from cv_model_experiments.losses.classification import (  # noqa: E402
    ClassificationLoss,
    ClassificationLossSettings,
    bootstrapped,
    cross_entropy,
    focal,
    generalised_cross_entropy,
    sample_weights,
    target_shares,
    weighted_bce,
)
from cv_model_experiments.losses.segmentation import dice_focal, dice_loss, uncertainty_band, voxel_focal  # noqa: E402
from weakbox.records.errors import ConfigurationError, InputError  # noqa: E402

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [-0.3, 0.2, 1.4]], dtype=torch.float64)
HARD = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
SOFT = torch.tensor([[0.1, 0.8, 0.1], [0.25, 0.25, 0.5]], dtype=torch.float64)


def test_cross_entropy_is_torchs() -> None:
    assert torch.allclose(cross_entropy(LOGITS, HARD), torch.nn.functional.cross_entropy(LOGITS, HARD.argmax(dim=1), reduction="none"))
    assert torch.allclose(cross_entropy(LOGITS, SOFT), torch.nn.functional.cross_entropy(LOGITS, SOFT, reduction="none"))


@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_every_loss_is_cross_entropy_at_its_neutral_setting(targets: torch.Tensor) -> None:
    expected = cross_entropy(LOGITS, targets)
    assert torch.allclose(focal(LOGITS, targets, gamma=0.0), expected)
    assert torch.allclose(bootstrapped(LOGITS, targets, beta=1.0), expected)
    if torch.equal(targets, HARD):
        assert torch.allclose(generalised_cross_entropy(LOGITS, targets, q=1e-6), expected, atol=1e-4)


def test_focal_with_two_classes_is_the_papers_with_alpha_on_the_right_class() -> None:
    """Lin 2017: alpha weighs the positive class, 1 - alpha the negative one; swapped is a common mistake."""
    alpha, gamma, logit = 0.75, 2.0, 0.4
    logits = torch.tensor([[0.0, logit], [0.0, logit]], dtype=torch.float64)
    targets = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    positive = 1.0 / (1.0 + math.exp(-logit))
    by_hand = [-alpha * (1 - positive) ** gamma * math.log(positive), -(1 - alpha) * positive**gamma * math.log(1 - positive)]
    assert focal(logits, targets, gamma, torch.tensor([1 - alpha, alpha])).tolist() == pytest.approx(by_hand)
    from torchvision.ops import sigmoid_focal_loss

    peer = sigmoid_focal_loss(logits[:, 1], targets[:, 1], alpha=alpha, gamma=gamma)
    assert focal(logits, targets, gamma, torch.tensor([1 - alpha, alpha])).tolist() == pytest.approx(peer.tolist())


def test_weighted_bce_is_torchs() -> None:
    alpha = torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)
    peer = torch.nn.functional.binary_cross_entropy_with_logits(LOGITS, SOFT, pos_weight=alpha, reduction="none").mean(dim=1)
    assert torch.allclose(weighted_bce(LOGITS, SOFT, alpha), peer)


@given(logit=st.floats(-30, 30))
def test_a_wrong_label_can_cost_gce_only_so_much(logit: float) -> None:
    logits = torch.tensor([[logit, 0.0]], dtype=torch.float64)
    assert 0.0 <= float(generalised_cross_entropy(logits, torch.tensor([[0.0, 1.0]], dtype=torch.float64), q=0.7)) <= 1 / 0.7 + 1e-6


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "weighted_bce", "gce", "bootstrap", "elr"])
def test_gradients_are_right_and_losses_finite_at_extreme_logits(kind: str) -> None:
    loss = ClassificationLoss(ClassificationLossSettings(kind=kind, alpha=(0.3, 0.7)), 2, 4)
    logits = torch.tensor([[60.0, -60.0], [-60.0, 60.0]], requires_grad=True)
    values = loss(logits, torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 3]))
    assert values.shape == (2,)
    values.sum().backward()
    assert bool(torch.isfinite(values).all())
    assert bool(torch.isfinite(logits.grad).all())
    assert torch.allclose(loss.probabilities(logits.detach()).sum(dim=1), torch.ones(2))


def test_elr_remembers_each_sample_on_its_own_and_only_while_training() -> None:
    loss = ClassificationLoss(ClassificationLossSettings(kind="elr", elr_momentum=0.5), 2, 5)
    logits, targets = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    loss.train()
    loss(logits, targets, torch.tensor([3]))
    share = float(torch.softmax(logits, dim=1)[0, 0])
    assert loss.memory[3, 0].item() == pytest.approx(0.5 * share, rel=1e-3)
    assert float(loss.memory[[0, 1, 2, 4]].abs().sum()) == 0.0
    loss.eval()
    before = loss.memory.clone()
    loss(logits, targets, torch.tensor([3]))
    assert torch.equal(loss.memory, before)
    assert "memory" in loss.state_dict()


def test_confidence_becomes_the_share_of_the_class() -> None:
    shares = target_shares([1, 0, 2], [0.7, 1.0, 0.1], 3, ClassificationLossSettings(targets="confidence"))
    assert torch.allclose(shares, torch.tensor([[0.15, 0.7, 0.15], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]))
    hard = target_shares([1], [0.7], 3, ClassificationLossSettings(smoothing=0.3))
    assert torch.allclose(hard, torch.tensor([[0.1, 0.8, 0.1]]))
    with pytest.raises(InputError, match="confidence"):
        target_shares([0], [1.2], 2, ClassificationLossSettings())


def test_tiers_weigh_in_proportion_and_the_mean_stays_one() -> None:
    weights = sample_weights(["expert", "report_sector", "report_sector"], [1.0, 1.0, 1.0], {"report_sector": 0.25})
    assert float(weights.mean()) == pytest.approx(1.0)
    assert float(weights[0] / weights[1]) == pytest.approx(4.0)
    with pytest.raises(ConfigurationError, match="weight 0"):
        sample_weights(["expert"], [1.0], {"expert": 0.0})


def test_alpha_needs_one_weight_a_class() -> None:
    with pytest.raises(ConfigurationError, match="2 weights for 3 classes"):
        ClassificationLoss(ClassificationLossSettings(kind="focal", alpha=(0.5, 0.5)), 3, 0)


# ---- segmentation


def test_dice_is_half_overlap_by_hand_and_perfect_at_the_ends() -> None:
    targets = torch.zeros(2, 1, 4, 4)
    targets[:, :, :2] = 1.0
    right, wrong = (targets * 2 - 1) * 50, -(targets * 2 - 1) * 50
    assert torch.allclose(dice_loss(right, targets), torch.zeros(2), atol=1e-5)
    assert torch.allclose(dice_loss(wrong, targets, smooth=0.0), torch.ones(2), atol=1e-5)
    assert float(dice_loss(torch.full((1, 1, 4, 4), -50.0), torch.zeros(1, 1, 4, 4))) == pytest.approx(0.0, abs=1e-5)


def test_voxel_focal_is_torchvisions() -> None:
    from torchvision.ops import sigmoid_focal_loss

    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(2, 1, 3, 4, 5, generator=generator), (torch.rand(2, 1, 3, 4, 5, generator=generator) > 0.7).float()
    peer = sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2.0).flatten(1).mean(dim=1)
    assert torch.allclose(voxel_focal(logits, targets), peer)


def test_voxels_in_the_band_have_no_say() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 1, 6, 8, 8, generator=generator)
    targets, judged = (one[None, None] for one in uncertainty_band((6, 8, 8), (1, 2, 2), (5, 6, 6), 1.0, (1.0, 1.0, 1.0)))
    changed = torch.where(judged > 0, logits, logits + 5)
    assert float((judged == 0).sum()) > 10
    assert torch.equal(dice_focal(logits, targets, judged), dice_focal(changed, targets, judged))
    assert not torch.equal(dice_focal(logits, targets), dice_focal(changed, targets))


@given(st.floats(0, 20), st.integers(0, 5))
def test_a_band_never_eats_the_whole_lesion(uncertainty: float, shift: int) -> None:
    start, stop = (2.0, 3.0 + shift, 3.0), (6.0, 11.0 + shift, 9.0)
    lesion, judged = uncertainty_band((10, 24, 16), start, stop, uncertainty, (3.0, 0.5, 0.5))
    assert float(lesion.sum()) > 0
    assert bool((judged[lesion > 0] == 1).all())
    sharp, all_judged = uncertainty_band((10, 24, 16), start, stop, 0.0, (3.0, 0.5, 0.5))
    assert bool((all_judged == 1).all())
    assert bool((sharp >= lesion).all())
    volume = float(sharp.sum())
    assert volume == pytest.approx(4 / 3 * np.pi * 2 * 4 * 3, rel=0.15)
