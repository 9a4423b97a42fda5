"""Compiled decoding against plain torch in float64: values, and the gradient of everything that is trained."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from ig_ros.config import ScaffoldConfig
from ig_ros.raster import library
from ig_ros.raster.anchor_decoding import AnchorLeaves, DecodeRequest, decode
from ig_ros.scaffold.decoder import DIRECTED, Decoder

CENTER = torch.tensor([0.1, 0.2, 0.3])
Leaves = dict[str, torch.Tensor]


def anchors(n: int, config: ScaffoldConfig) -> tuple[Leaves, torch.Tensor, torch.Tensor]:
    """Leaves, positions and turns of n random anchors."""
    random = torch.Generator().manual_seed(n)
    k, f = config.children, config.feature
    leaves = {
        "offsets": torch.randn(n, k, 3, generator=random),
        "log_scale": torch.randn(n, 6, generator=random) - 4,
        "embedding": torch.randn(n, config.embedding, generator=random),
        "color": torch.randn(n, 3, generator=random),
        "feature": torch.randn(n, f, generator=random),
    }
    turn = torch.nn.functional.normalize(torch.randn(n, 4, generator=random), dim=1)
    return leaves, torch.randn(n, 3, generator=random), turn


def outcome(
    decoder: Decoder, leaves: Leaves, position: torch.Tensor, turn: torch.Tensor | None, with_feature: bool
) -> dict[str, torch.Tensor]:
    """Outputs and gradients of a random linear function of them; float64 goes through the reference."""
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in leaves.items()}
    rows, center = torch.arange(len(position)), CENTER.to(position)
    run = decoder.reference if position.dtype == torch.float64 else decoder.forward
    g = run(leaves, position, rows, center, with_feature, turn)
    found = {name: getattr(g, name) for name in ("means", "quats", "scales", "opacities", "features")}
    random = torch.Generator().manual_seed(1)
    torch.autograd.backward([(t * torch.randn(t.shape, generator=random)).sum() for t in found.values()])
    gradients = {name: t.grad for name, t in [*leaves.items(), *decoder.named_parameters()]}
    return {name: t.detach() for name, t in found.items()} | {
        f"gradient of {name}": t for name, t in gradients.items() if t is not None
    }


def compare(n: int, turned: bool, with_feature: bool, **changes: object) -> None:
    config = dataclasses.replace(ScaffoldConfig(), **changes)
    torch.manual_seed(0)
    decoder = Decoder(config)
    leaves, position, turn = anchors(n, config)
    ours = outcome(decoder, leaves, position, turn if turned else None, with_feature)
    double = {name: leaf.double() for name, leaf in leaves.items()}
    twin = copy.deepcopy(decoder).double()
    twin.zero_grad()
    truth = outcome(twin, double, position.double(), turn.double() if turned else None, with_feature)
    assert ours.keys() == truth.keys()
    for name, expected in truth.items():
        assert ours[name].shape == expected.shape, name
        assert float((ours[name] - expected).norm()) <= 3e-6 * float(expected.norm()), name


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("with_feature", [False, True])
@pytest.mark.parametrize("n", [1, 63, 64, 200])
def test_values_and_gradients(n: int, turned: bool, with_feature: bool) -> None:
    compare(n, turned, with_feature)


@pytest.mark.parametrize(
    "changes",
    [
        {"children": 3, "embedding": 5, "hidden": 9, "feature": 2},
        {"children": 1, "embedding": 40, "hidden": 70, "feature": 16},
        {"children": 32, "embedding": 4, "hidden": 8},
    ],
)
def test_every_representation(changes: dict[str, object]) -> None:
    compare(130, False, True, **changes)
    compare(70, True, True, **changes)


@pytest.mark.parametrize("variant", library.available_variants())
def test_every_variant_of_the_kernels(variant: str) -> None:
    config = ScaffoldConfig()
    torch.manual_seed(0)
    decoder = Decoder(config)
    leaves, position, _ = anchors(100, config)
    request = DecodeRequest(position, None, (0.1, 0.2, 0.3), DIRECTED)
    mlps = [p for mlp in (decoder.opacity, decoder.covariance, decoder.color) for p in mlp.parameters()]
    embedding = leaves["embedding"].requires_grad_()
    out = decode(request, AnchorLeaves(**leaves), mlps, library.load(variant))
    truth = decoder.reference(leaves, position, torch.arange(100), CENTER, True)
    expected = (truth.means, truth.quats, truth.scales, truth.opacities, truth.features)
    for ours, theirs in zip(out, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    (slope,) = torch.autograd.grad(sum(t.square().sum() for t in expected), embedding)
    (ours,) = torch.autograd.grad(sum(t.square().sum() for t in out), embedding)
    assert float((ours - slope).norm() / slope.norm()) < 1e-5


def test_the_same_bits_for_any_number_of_threads() -> None:
    config = ScaffoldConfig()
    torch.manual_seed(0)
    decoder = Decoder(config)
    leaves, position, _ = anchors(3000, config)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            decoder.zero_grad()
            results.append(outcome(decoder, leaves, position, None, True))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for name, tensor in results[0].items():
            assert torch.equal(tensor, other[name]), name


def test_the_same_values_where_nothing_is_learnt() -> None:
    config = ScaffoldConfig()
    torch.manual_seed(0)
    decoder = Decoder(config)
    leaves, position, _ = anchors(70, config)
    learning = decoder(leaves, position, torch.arange(70), CENTER, True)
    with torch.no_grad():
        looking = decoder(leaves, position, torch.arange(70), CENTER, True)
    for name in ("means", "quats", "scales", "opacities", "features", "anchors"):
        assert torch.equal(getattr(looking, name), getattr(learning, name)), name
        assert not getattr(looking, name).requires_grad, name


def test_what_no_one_asks_for_gets_no_gradient_and_nan_stays_visible() -> None:
    config = ScaffoldConfig()
    torch.manual_seed(0)
    decoder = Decoder(config)
    leaves, position, _ = anchors(20, config)
    leaves["embedding"][3, 0] = torch.nan
    leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
    g = decoder(leaves, position, torch.arange(20), CENTER, True)
    bad = g.opacities.view(20, 5).isnan().any(1)
    assert bad.nonzero().flatten().tolist() == [3]
    assert bool(g.features.view(20, 5, -1)[3, :, :3].isnan().all())
    assert not g.means.isnan().any()
    g.features[:, 3:].sum().backward()
    gradient = leaves["offsets"].grad
    assert gradient is None or not gradient.any()


def test_zero_features_have_a_finite_gradient() -> None:
    config = ScaffoldConfig()
    decoder = Decoder(config)
    leaves, position, _ = anchors(2, config)
    leaves["feature"][0] = 0.0
    leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
    g = decoder(leaves, position, torch.arange(2), CENTER, True)
    assert bool((g.features[:5, 3:] == 0.5).all())
    g.features[5:].sum().backward()
    assert leaves["feature"].grad is not None
    assert bool(torch.isfinite(leaves["feature"].grad).all())
    assert not leaves["feature"].grad[0].any()
