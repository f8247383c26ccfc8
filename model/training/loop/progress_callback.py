"""What people see of a training run: a bar with the running SumR and the time left, one line per epoch, warnings."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model.training.loop.checkpoint_callback import KeepState
from model.training.loop.level_health import health_line, warnings

LINE_INTERVAL = 60.0
"""Seconds between two lines where there is no terminal for a bar."""


class ShowProgress(L.Callback):
    """One line after every epoch with the health of every level; a bar on a terminal, elsewhere a line a minute.

    `quiet` leaves nothing but the warnings of dead levels. `state` must come before this callback.
    """

    def __init__(self, state: KeepState, quiet: bool) -> None:
        self.state, self.quiet = state, quiet
        self.console, self.errors = Console(), Console(stderr=True)
        self._bar: Progress | None = None
        self._began, self._first_step, self._last_line = 0.0, 0, 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self._began, self._first_step = time.monotonic(), trainer.global_step
        self._last_line = self._began
        if self.quiet or not trainer.is_global_zero or not self.console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[found]}"), console=self.console, speed_estimate_period=600.0,
        )  # fmt: skip
        total = int(trainer.estimated_stepping_batches)
        self._bar.add_task("Training", total=total, completed=trainer.global_step, found=_found(pl_module))
        self._bar.start()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        if self._bar is not None:
            name = f"Epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            self._bar.update(self._bar.task_ids[0], completed=trainer.global_step, description=name)
        elif not self.quiet and trainer.is_global_zero and time.monotonic() - self._last_line >= LINE_INTERVAL:
            self._last_line = time.monotonic()
            total = int(trainer.estimated_stepping_batches)
            self.console.print(
                f"step {trainer.global_step}/{total}; {_duration(self._seconds_left(trainer))} left", highlight=False
            )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        for warning in warnings(pl_module.health):
            out = self.console if self._bar else self.errors  # a bar is not to be written over
            out.print(f"[yellow]Warning:[/] {warning}", highlight=False, soft_wrap=True)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], found=_found(pl_module))
        if not self.quiet:
            self.console.print(self._line(trainer, pl_module), highlight=False, markup=False, soft_wrap=True)

    def _line(self, trainer: L.Trainer, pl_module: Any) -> str:
        parts = [f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"]
        loss = sum(value for name, value in self.state.rows[-1].items() if name.startswith("loss/"))
        parts += [f"loss {loss:.3f}", _found(pl_module)]
        if pl_module.health:
            parts.append(health_line(pl_module.health))
        left = int(trainer.estimated_stepping_batches) > trainer.global_step
        return "; ".join([*parts, f"{_duration(self._seconds_left(trainer))} left" if left else "done"])

    def _seconds_left(self, trainer: L.Trainer) -> float:
        left = int(trainer.estimated_stepping_batches) - trainer.global_step
        return (time.monotonic() - self._began) / (trainer.global_step - self._first_step) * left

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        self._stop()

    def on_exception(self, trainer: L.Trainer, pl_module: Any, exception: BaseException) -> None:
        self._stop()
        if isinstance(exception, KeyboardInterrupt) and trainer.is_global_zero and not self.quiet:
            self.console.print("Stopped. Run the same command again to resume from the last saved state.")

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _found(module: Any) -> str:
    sums = [epoch["fused"].sum_r for epoch in module.history]
    return f"SumR {sums[-1]:.1f} (best {max(sums):.1f})" if sums else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
