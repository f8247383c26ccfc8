"""A run that is killed and gone on with ends as one that nobody stopped; a run does not mix with another."""

import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from model.evaluation.metrics import Measures, Retrieval
from model.mcsan.network import MCSAN
from model.training.data.atomic_files import replacing
from model.training.data.epoch_sampler import EpochBatches
from model.training.loop.lightning_module import MatcherModule
from model.training.loop.mcsan_matcher import MCSANMatcher
from model.training.loop.run_record import History, Run
from model.training.loop.trainer import train_module
from quartet.errors import InputError

TOY_FILE = Path(__file__).with_name("test_training.py")
EPOCHS = 4  # of 8 batches

KILLED_RUNS = """
import importlib.util, os, signal, sys, torch
torch.set_num_threads({threads})
spec = importlib.util.spec_from_file_location("killed", {file!r})
killed = importlib.util.module_from_spec(spec); spec.loader.exec_module(killed)
for folder, step, save_every in {runs!r}:
    if not (child := os.fork()):
        killed.run_until(folder, step, save_every)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
"""


def run(folder: Path, save_every: float = 300.0, go_on: bool = True) -> tuple[MCSAN, History]:
    """The toy run of test_training.py with dropout everywhere, so that every random draw counts."""
    spec = importlib.util.spec_from_file_location("toy", TOY_FILE)
    assert spec and spec.loader
    toy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(toy)
    model = replace(toy.TOY.model, dropout=0.2, input_dropout=0.2, node_dropout=0.2, frame_dropout=0.2)
    preset = replace(toy.TOY, model=model, train=replace(toy.TOY.train, epochs=EPOCHS))
    torch.manual_seed(5)
    data = toy.toy_data(64, 0)
    words = {"entity": list(toy.KINDS), "action": list(toy.VERBS), "relation": []}
    model = MCSAN(preset.model, {"entity": 4, "action": 3, "relation": 1})
    module = MatcherModule(MCSANMatcher(model, preset.loss), preset.train, toy.toy_data(24, 1))
    pairs = toy.Pairs(data, words)
    train_module(module, pairs, preset.train, folder, 5, progress=False, resume=go_on, save_every=save_every)
    return model, module.history


def run_until(folder: str, step: int, save_every: float) -> None:
    """Train until the process kills itself at the start of a step."""
    real = MatcherModule.training_step

    def deadly(self: MatcherModule, batch: object, batch_idx: int) -> torch.Tensor:
        if self.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, batch, batch_idx)

    MatcherModule.training_step = deadly
    run(Path(folder), save_every)


def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    untouched, history = run(tmp_path / "untouched")
    # Killed in the third epoch: with the state of the second's end alone, and with one after every batch.
    killed = [("epochs", 19, 300.0), ("steps", 21, 0.0)]
    script = KILLED_RUNS.format(
        file=str(Path(__file__)),
        runs=[(str(tmp_path / n), s, e) for n, s, e in killed],
        threads=torch.get_num_threads(),  # sums in another order would differ in the last bit
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    for name, step, save_every in killed:
        state = torch.load(tmp_path / name / "last.ckpt", weights_only=True)
        assert state["global_step"] == (16 if save_every else step)
        resumed, again = run(tmp_path / name, save_every)
        assert again == history
        for one, two in zip(untouched.state_dict().items(), resumed.state_dict().items(), strict=True):
            assert one[0] == two[0] and torch.equal(one[1], two[1])
        metrics = [(tmp_path / n / "metrics.csv").read_text() for n in ("untouched", name)]
        assert metrics[0] == metrics[1] and len(metrics[0].splitlines()) == 1 + EPOCHS
        # A run that was killed after its last epoch has nothing left to train.
        finished, again = run(tmp_path / name)
        assert again == history and torch.equal(finished.head.weight, untouched.head.weight)
    # Without `resume` the state of an earlier run does not reach the new one.
    fresh, again = run(tmp_path / "epochs", go_on=False)
    assert again == history and torch.equal(fresh.head.weight, untouched.head.weight)


def test_the_order_of_an_epoch_goes_on_anywhere_and_is_shared_by_processes() -> None:
    def batches(step: int, rank: int = 0, world: int = 1) -> list[list[int]]:
        trainer = SimpleNamespace(global_step=step, global_rank=rank, world_size=world)
        return list(EpochBatches(11, 4, seed=3, trainer=trainer))

    epochs = [batches(0), batches(2), batches(4)]
    assert [len(rows) for rows in epochs[0]] == [4, 4]
    assert len({str(epoch) for epoch in epochs}) == 3
    assert batches(3) == epochs[1][1:]
    for whole, *parts in zip(epochs[1], batches(2, 0, 2), batches(2, 1, 2), strict=True):
        assert sorted(parts[0] + parts[1]) == sorted(whole) and len(parts[0]) == len(parts[1])
    few = SimpleNamespace(global_step=0, global_rank=0, world_size=1)
    assert sorted(next(iter(EpochBatches(3, 64, 0, few)))) == [0, 1, 2]


def test_a_run_refuses_other_arguments_by_name(tmp_path: Path) -> None:
    given = {"seed": 0, "preset": "paper", "captions": "sha256:a", "weights": None}
    Run(tmp_path / "log").agree(given | {"seed": 7})  # did not begin
    begun = Run(tmp_path / "log")
    begun.agree(given)
    begun.agree({"frame features": "sha256:f"})
    begun.begin()
    assert Run(tmp_path / "log").begun
    told = r"seed was 0, not 1; the content of the captions has changed; weights was None, not given\. Use the same"
    with pytest.raises(InputError, match=told):
        Run(tmp_path / "log").agree({"seed": 1, "captions": "sha256:b", "weights": "sha256:w"})
    with pytest.raises(InputError, match="the content of the frame features has changed"):
        Run(tmp_path / "log").agree({"frame features": "sha256:g"})
    fresh = Run(tmp_path / "log", fresh=True)
    fresh.agree({"seed": 1})
    assert Run(tmp_path / "log").begun and not fresh.begun
    fresh.begin()
    Run(tmp_path / "log").agree({"seed": 1})


def test_a_finished_run_keeps_its_metrics_and_drops_its_states(tmp_path: Path) -> None:
    run_ = Run(tmp_path)
    run_.agree({"seed": 0})
    run_.begin()
    (tmp_path / "last.ckpt").touch()
    (tmp_path / "best-3.pt").touch()
    recall = Measures(10.0, 20.0, 30.0, 4.0, 5.5, 7, 15.0, 18.0)
    run_.finish([{"fused": Retrieval(recall, recall)}])
    assert {path.name for path in tmp_path.iterdir()} == {"run.json"}
    found = Run(tmp_path).history
    assert found is not None and found[0]["fused"].sum_r == 120
    (tmp_path / "run.json").write_text('{"arguments"')
    with pytest.raises(InputError, match=r"run\.json is damaged .* --fresh"):
        Run(tmp_path)


def test_half_written_files_do_not_take_their_place(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("state", "old")]
