"""The error on lines and planes, against closed forms and torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import vector_to_parameters

from dlx.commands.subject import Subject, load_subject
from dlx.engine import cross_section, error_surface
from dlx.engine.cross_section import CrossSection
from dlx.engine.error_surface import collect
from dlx.engine.objective import EmpiricalRisk

MLP = "data: iris\nmodel: {name: mlp, hidden: [5, 4], activation: tanh%s}\nloss: cross_entropy\ndevice: cpu\n"
LINEAR = "data: diabetes\nmodel: linear\nloss: mse\ndevice: cpu\n"
PRIOR = "prior: {name: gaussian, precision: 3.0}\n"


def subject_of(folder: Path, text: str) -> Subject:
    path = folder / "config.yaml"
    path.write_text(text)
    return load_subject(path, [])


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def on_section(subject: Subject, directions: Tensor, coordinates: Tensor) -> Tensor:
    surface = subject.surface(subject.train)
    return collect(CrossSection(surface, surface.theta, directions).evaluate(coordinates), len(coordinates))


def test_a_linear_model_with_mse_is_a_parabola_along_a_line(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, LINEAR)
    surface, member = subject.surface(subject.train), subject.member
    direction, place = drawn(0, 1, len(surface.theta)), torch.linspace(-2, 2, 9, dtype=torch.float64)
    x = (subject.examples.inputs[subject.train] - member.input_scale.shift) / member.input_scale.scale
    scale = member.target_scale
    assert scale is not None
    y = ((subject.examples.targets[subject.train] - scale.shift) / scale.scale)[:, 0]
    design = torch.from_numpy(np.concatenate([x, np.ones((len(x), 1))], 1))
    rest, slope = design @ surface.theta - torch.from_numpy(y), design @ direction[0]
    found = on_section(subject, direction, place[:, None])
    at_0 = float(surface.value(surface.theta))
    factor = at_0 / float(rest.square().mean())  # by which convention a half belongs to the loss
    assert min(abs(factor - 1), abs(factor - 0.5)) < 1e-12
    wanted = factor * (rest.square().mean() + 2 * place * (rest * slope).mean() + place**2 * slope.square().mean())
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=0)


def test_points_of_a_plane_are_torchs(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, MLP % "")
    surface, member = subject.surface(subject.train), subject.member
    directions, coordinates = drawn(0, 2, len(surface.theta)), drawn(1, 30, 2)
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    scale = member.input_scale
    x = torch.from_numpy((subject.examples.inputs[subject.train] - scale.shift) / scale.scale)
    y = torch.from_numpy(subject.examples.targets[subject.train])
    wanted = []
    with torch.no_grad():
        for point in surface.theta + coordinates @ directions:
            vector_to_parameters(point, module.parameters())
            wanted.append(cross_entropy(module(x), y))
    found = on_section(subject, directions, coordinates)
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-11, atol=0)


@pytest.mark.parametrize(
    "text", [MLP % "" + PRIOR, MLP % ", batch_norm: true", MLP.replace("[5, 4]", "[]") % "", LINEAR + PRIOR]
)
@pytest.mark.parametrize("bytes_of_chunk", [1, 20_000, 1 << 21])
def test_a_section_is_the_surface(
    tmp_path: Path, text: str, bytes_of_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_surface, "CHUNK_BYTES", bytes_of_chunk)
    subject = subject_of(tmp_path, text)
    surface = subject.surface(subject.train)
    directions, coordinates = drawn(0, 2, len(surface.theta)), drawn(1, 23, 2)
    wanted = surface.values(surface.theta + coordinates @ directions)
    torch.testing.assert_close(on_section(subject, directions, coordinates), wanted, rtol=1e-10, atol=0)


def test_the_first_layer_is_combined_not_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(tmp_path, MLP % "")
    monkeypatch.setattr(EmpiricalRisk, "value", lambda *_: pytest.fail("the whole model was computed"))
    on_section(subject, drawn(0, 1, len(subject.surface(subject.train).theta)), drawn(1, 3, 1))


def test_a_layer_that_only_calls_itself_linear_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Normalised(nn.Linear):
        """Has the direction of its weights alone: no linear function of them."""

        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            return input @ (self.weight / self.weight.norm()).mT + self.bias

    def build(self: object, spec: object) -> nn.Module:
        return nn.Sequential(Normalised(4, 3, dtype=torch.float64))

    subject = subject_of(tmp_path, MLP.replace("[5, 4]", "[]") % "")
    monkeypatch.setattr(type(subject.member.recipe.model), "build", build)
    surface = subject.surface(subject.train)
    directions, coordinates = drawn(0, 2, len(surface.theta)), drawn(1, 9, 2)
    wanted = surface.values(surface.theta + coordinates @ directions)
    torch.testing.assert_close(on_section(subject, directions, coordinates), wanted, rtol=1e-10, atol=0)
    monkeypatch.setattr(cross_section, "LINEAR_TO", 1e9)  # without the look it would be wrong
    assert not torch.allclose(on_section(subject, directions, coordinates), wanted, rtol=1e-3)


def sizes_of_runs(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Collect how many examples are taken at once."""
    found: set[int] = set()
    compute: Callable[..., Tensor] = EmpiricalRisk.value_behind

    def spy(self: EmpiricalRisk, theta: Tensor, shares: Tensor, parts: list[Tensor]) -> Tensor:
        found.update(part.shape[2] for part in parts)
        return compute(self, theta, shares, parts)

    monkeypatch.setattr(EmpiricalRisk, "value_behind", spy)
    return found


@pytest.mark.parametrize(("text", "is_cut"), [(MLP % "", True), (MLP % ", batch_norm: true", False)])
def test_examples_are_cut_where_the_model_takes_each_by_itself(
    tmp_path: Path, text: str, is_cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_surface, "CHUNK_BYTES", 20_000)
    sizes, subject = sizes_of_runs(monkeypatch), subject_of(tmp_path, text)
    on_section(subject, drawn(0, 2, len(subject.surface(subject.train).theta)), drawn(1, 23, 2))
    assert len(sizes) == 1
    assert (sizes.pop() < len(subject.train)) == is_cut


def test_a_model_of_ones_own_that_mixes_examples_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Centred(nn.Module):
        """Takes the mean of the examples away, which nothing about it tells."""

        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean(0)

    def build(self: object, spec: object) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 5, dtype=torch.float64), Centred(), nn.Linear(5, 3, dtype=torch.float64))

    monkeypatch.setattr(error_surface, "CHUNK_BYTES", 20_000)
    subject = subject_of(tmp_path, MLP % "")
    monkeypatch.setattr(type(subject.member.recipe.model), "build", build)
    surface = subject.surface(subject.train)
    directions, coordinates = drawn(0, 2, len(surface.theta)), drawn(1, 9, 2)
    wanted = surface.values(surface.theta + coordinates @ directions)
    torch.testing.assert_close(on_section(subject, directions, coordinates), wanted, rtol=1e-10, atol=0)
    monkeypatch.setattr(cross_section, "LINEAR_TO", 1e9)  # without the look it would be wrong
    assert not torch.allclose(on_section(subject, directions, coordinates), wanted, rtol=1e-3)
