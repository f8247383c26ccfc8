"""Settings of a preset by name: each can be changed, listed, and is checked."""

from dataclasses import replace

import pytest

from model.mcsan.overrides import override, settings
from model.mcsan.presets import PRESETS, preset
from quartet.errors import InputError


@pytest.mark.parametrize("name", PRESETS)
def test_every_setting_is_listed_with_what_it_does_and_can_be_given_back(name: str) -> None:
    chosen = preset(name)
    listed = settings(chosen)
    assert {"model.dropout", "loss.margin", "training.epochs"} <= {setting.name for setting in listed}
    assert all(setting.help and setting.kind for setting in listed)
    assert override(chosen, [f"{setting.name}={setting.value}" for setting in listed]) == chosen


def test_values_are_read_by_their_types() -> None:
    changes = ["model.dropout=0.3", "training.epochs=20", "model.standardise=true", "loss.ranking=sum"]
    chosen = override(preset("paper"), changes)
    assert (chosen.model.dropout, chosen.train.epochs, chosen.model.standardise) == (0.3, 20, True)
    assert chosen.loss.ranking == "sum"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.dropout", "is not NAME=VALUE"),
        ("model.colour=red", "unknown setting 'model.colour'.*--explain"),
        ("model.dropot=0.3", "Did you mean model.dropout?"),
        ("model.feature_dim=7", "unknown setting"),
        ("training.epochs=many", "cannot be 'many'. It is a whole number of at least 1."),
        ("training.epochs=0", "cannot be '0'"),
        ("training.epochs=2.5", "cannot be '2.5'"),
        ("model.dropout=1", "cannot be '1'. It is a number of at least 0 and below 1."),
        ("training.learning_rate=nan", "cannot be 'nan'"),
        ("loss.ranking=best", "It is hardest or sum or infonce"),
        ("model.level_fc=maybe", "It is true or false"),
    ],
)
def test_what_cannot_be_set_is_named(change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        override(preset("paper"), [change])


def test_few_captions_make_more_epochs_unless_somebody_says_how_many() -> None:
    plan = replace(preset("plus").train, epochs=6, views=90)
    assert [plan.epochs_for(videos=100, captions=100 * each) for each in (1, 4, 10, 20)] == [90, 23, 9, 6]
    assert replace(plan, views=0).epochs_for(100, 100) == 6
    asked = override(replace(preset("plus"), train=plan), ["training.epochs=7"]).train
    assert asked.epochs_for(100, 100) == 7
    both = override(preset("plus"), ["training.epochs=7", "training.views=30"]).train
    assert both.epochs_for(100, 100) == 30
