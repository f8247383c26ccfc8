"""Two processes with a half of the batch each compute the loss and the gradients of one with the whole batch."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, distributed, nn

from model.mcsan.network import MCSAN
from model.training.distributed import gather_rows, is_first_process
from model.training.loop.mcsan_matcher import MCSANMatcher

TOY_FILE = Path(__file__).with_name("test_training.py")
ROWS = range(0, 30, 2)  # 15 pairs: the second process has one fewer
PROCESSES = """
import importlib.util, os, torch
spec = importlib.util.spec_from_file_location("halves", {file!r})
halves = importlib.util.module_from_spec(spec); spec.loader.exec_module(halves)
children = []
for rank in range(2):
    children.append(os.fork())
    if not children[-1]:
        halves.run_rank(rank, {folder!r})
        os._exit(0)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
"""


def _toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("toy", TOY_FILE)
    assert spec and spec.loader
    toy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(toy)
    return toy


class Loss(nn.Module):
    """The sum of a matcher's losses as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, ranking: str) -> None:
        super().__init__()
        toy = _toy()
        preset = replace(toy.TOY, loss=replace(toy.TOY.loss, ranking=ranking, kl_weight=0.1, concept_weight=1.0))
        data = toy.toy_data(16, 0)
        torch.manual_seed(0)
        self.matcher = MCSANMatcher(MCSAN(preset.model, {"entity": 4, "action": 3, "relation": 1}), preset.loss)
        data.texts[4] = replace(data.texts[4], parse=data.texts[2].parse)  # the same words about another video
        self.pairs = toy.Pairs(data, {"entity": list(toy.KINDS), "action": list(toy.VERBS), "relation": []})

    def forward(self, rows: range) -> Tensor:
        return torch.stack(list(self.matcher.losses(self.pairs.collate(rows)).values())).sum()

    def gradients(self) -> dict[str, Tensor]:
        return {name: p.grad for name, p in self.matcher.named_parameters() if p.grad is not None}


def run_rank(rank: int, folder: str) -> None:
    """One of two processes: save its loss and its gradients after DistributedDataParallel has averaged them."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    for ranking in ("infonce", "hardest"):
        loss = Loss(ranking)
        wrapped = nn.parallel.DistributedDataParallel(loss, find_unused_parameters=True)
        value = wrapped(ROWS[rank::2])
        value.backward()
        torch.save((value.detach(), loss.gradients()), Path(folder) / f"{ranking}-{rank}.pt")
    wide = gather_rows({"x": torch.full((1 + rank, 2 + rank), float(rank)), "names": ("a", "b")})
    torch.save(wide["x"], Path(folder) / f"wide-{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_are_one_with_the_whole_batch(tmp_path: Path) -> None:
    script = PROCESSES.format(file=str(Path(__file__)), folder=str(tmp_path))
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, capture_output=True, text=True)
    for ranking in ("infonce", "hardest"):
        whole = Loss(ranking)
        value = whole(ROWS)
        value.backward()
        for rank in range(2):
            found, gradients = torch.load(tmp_path / f"{ranking}-{rank}.pt", weights_only=True)
            torch.testing.assert_close(found, value.detach(), rtol=1e-5, atol=1e-5)
            for name, gradient in whole.gradients().items():
                torch.testing.assert_close(gradients[name], gradient, rtol=1e-5, atol=1e-5, msg=name)
    # Rows in order of rank; what is shorter is padded with zeros.
    expected = [[0, 0, 0], [1, 1, 1], [1, 1, 1]]
    assert all(torch.load(tmp_path / f"wide-{rank}.pt", weights_only=True).tolist() == expected for rank in range(2))


def test_one_process_has_nothing_to_gather() -> None:
    rows = {"a": torch.ones(2, 3)}
    assert gather_rows(rows) is rows
    assert is_first_process()


@pytest.mark.parametrize("ranking", ["hardest", "infonce"])
def test_half_precision_towers_leave_the_losses_in_single_precision(ranking: str) -> None:
    loss = Loss(ranking)
    expected = loss(ROWS)
    with torch.autocast("cpu", torch.bfloat16):
        losses = loss.matcher.losses(loss.pairs.collate(ROWS))
    assert all(value.dtype == torch.float32 and value.isfinite() for value in losses.values())
    total = torch.stack(list(losses.values())).sum()
    torch.testing.assert_close(total, expected, rtol=0.05, atol=0.0)
    total.backward()
    assert all(gradient.isfinite().all() for gradient in loss.gradients().values())
