"""Weights and training state on disk."""

from __future__ import annotations

import contextlib
import io
import json
import pickletools
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dlx.core.errors import CheckpointError, RunError
from dlx.tracking.checkpoints import load_tensors, save_tensors

TENSORS = {
    "0.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4) / 7,
    "1.bias": torch.tensor([-0.0, float("nan"), float("inf"), 1e-45]),
    "scalar": torch.tensor(3.5, dtype=torch.float64),
    "empty": torch.zeros(0, 3),
    "steps": torch.tensor([1, 2**40]),
}
STATE = {"epoch": 3, "losses": [0.1 + 0.2, None], "courses": [{"best_loss": float("inf")}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "state.safetensors"
    save_tensors(path, TENSORS, STATE)
    return path


def header_length(path: Path) -> int:
    return 8 + struct.unpack("<Q", path.read_bytes()[:8])[0]


def test_what_is_saved_is_loaded(path: Path) -> None:
    tensors, state = load_tensors(path)
    assert state == STATE
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert tensors[name].numpy().tobytes() == tensor.numpy().tobytes(), name


def test_plain_safetensors_reads_it(path: Path) -> None:
    loaded = load_file(path)
    assert loaded["0.weight"].numpy().tobytes() == TENSORS["0.weight"].numpy().tobytes()


def test_views_and_gradients_are_saved_as_they_look(tmp_path: Path) -> None:
    base = torch.arange(12.0, requires_grad=True).reshape(3, 4)
    save_tensors(tmp_path / "a.safetensors", {"row": base[1], "column": base[:, 2], "turned": base.T})
    tensors, state = load_tensors(tmp_path / "a.safetensors")
    assert state is None
    assert tensors["row"].tolist() == [4, 5, 6, 7]
    assert tensors["column"].tolist() == [2, 6, 10]
    assert torch.equal(tensors["turned"], base.detach().T)


def test_equal_content_gives_equal_bytes(path: Path, tmp_path: Path) -> None:
    save_tensors(tmp_path / "again", TENSORS, STATE)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_nothing_is_pickled(path: Path) -> None:
    content = path.read_bytes()
    json.loads(content[8 : header_length(path)])
    with pytest.raises(ValueError):  # noqa: PT011 - pickle's own words
        list(pickletools.genops(io.BytesIO(content)))


def test_every_flipped_bit_is_found(path: Path) -> None:
    content = bytearray(path.read_bytes())
    positions = torch.randperm(len(content) * 8, generator=torch.Generator().manual_seed(0))[:300].tolist()
    for position in positions:
        content[position // 8] ^= 1 << position % 8
        path.write_bytes(content)
        with contextlib.suppress(CheckpointError):
            tensors, state = load_tensors(path)
            # A bit that means nothing, as in the name of the format, may be any.
            assert state == STATE
            assert all(tensors[n].numpy().tobytes() == t.numpy().tobytes() for n, t in TENSORS.items())
        content[position // 8] ^= 1 << position % 8


def test_flipped_tensor_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[header_length(path) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"state\.safetensors is damaged: .* checksum; delete it to start"):
        load_tensors(path)


@pytest.mark.parametrize("kept", [0, 3, 8, 50, -1])
def test_truncated(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"state\.safetensors is truncated or damaged .*; delete it to start"):
        load_tensors(path)


@pytest.mark.parametrize("content", [b"epoch 3, loss 0.1\n" * 10, bytes(100), b"\x80\x04N.", b"PK\x03\x04" + bytes(99)])
def test_no_safetensors_at_all(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"state\.safetensors is truncated or damaged"):
        load_tensors(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"dlx": "{"}, {"dlx": "3"}, {"dlx": "{}"}])
def test_foreign_safetensors(path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"weight": torch.zeros(3, dtype=torch.bfloat16)}, path, metadata)
    with pytest.raises(CheckpointError, match=r"state\.safetensors is not a checkpoint of dlx"):
        load_tensors(path)


def test_missing(path: Path) -> None:
    path.unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_tensors(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(RunError, match=r"cannot make .*taken: "):
        save_tensors(tmp_path / "taken" / "a.safetensors", TENSORS)
