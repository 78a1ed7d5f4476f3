"""The list of experts changes while the shop runs: nothing that was learned or waits for its label is lost."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import msgspec
import numpy as np
import pytest

from stream_app.core.events.schema import Event, decode
from stream_app.core.expert_spec import DEFAULT, ExpertSpec
from stream_app.core.messages.batches import LabelledBatch, LabelledExample
from stream_app.core.messages.outgoing import unpack
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.experts.river_expert import RiverExpert
from stream_app.core.model.scores import EXPERTS, LogOddsColumns
from stream_app.core.model.snapshot import snapshot
from stream_app.core.settings import Settings
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import DAY_US
from stream_app.replay.runner import Replay
from stream_app.simulate import ShopSettings, write_log
from tests.harness.in_memory import MemorySystem, publish
from tests.harness.own_models import PATH
from tests.harness.shops import SHOP, T0, matured_rows, separable
from tests.unit.core.partition.test_task import assert_same

FOREST: Final = ExpertSpec("forest", "river.forest.ARFClassifier", {"n_models": 10, "seed": 1})
OWN: Final = ExpertSpec("own", f"{PATH}.make_regression", scored="events")
BEFORE: Final = DEFAULT
AFTER: Final = (*(one for one in DEFAULT if one.name != "tree"), OWN)


def batch_of(churn_model: ChurnModel, day: int, rows: int = 60) -> LabelledBatch:
    """Return a day's decisions of a model, with their labels, as a partition sends them."""
    drawn, labels = separable(np.random.default_rng([5, day]), rows)
    at = T0 + day * DAY_US
    examples = [
        LabelledExample(p.customer, p.decided_at, p.features, p.log_odds, p.probability, one.label, p.source, p.version)
        for one in matured_rows(churn_model, drawn, labels, at, SHOP.horizon)
        for p in [one.pending]
    ]
    return LabelledBatch(examples=examples, moment=at + SHOP.horizon)


def learn(trainer: Trainer, batch: LabelledBatch, offset: int) -> None:
    assert trainer.push(0, offset, offset + 1, batch)
    assert trainer.learn() == batch.moment


def restored(trainer: Trainer, experts: tuple[ExpertSpec, ...]) -> Trainer:
    return Trainer.restored(trainer.checkpoint(), 1, SHOP.horizon, experts=experts)


def test_decisions_that_waited_under_the_old_list_are_learned_under_the_new_one() -> None:
    before = Trainer(ChurnModel(SHOP.horizon, SHOP.decide_every, 1, BEFORE), 1, SHOP.horizon)
    for day in range(10):
        learn(before, batch_of(before.churn_model, day), day)
    waiting = [batch_of(before.churn_model, day) for day in range(10, 14)]
    after = restored(before, AFTER)
    # 1. The model with the new list is a version of its own; what stays has its shares, what is new has its first one.
    assert (before.relisted, after.relisted) == (False, True)
    assert after.churn_model.version == before.churn_model.version + 1
    old, new = before.churn_model.shares(), after.churn_model.shares()
    assert new["own"] == pytest.approx(0.05)
    assert new["linear"] / new["cells"] == pytest.approx(old["linear"] / old["cells"])
    assert new.keys() == {"linear", "cells", "prior", "own"}
    # 2. Both learn the same from what waits.
    for number, batch in enumerate(waiting, start=10):
        learn(before, batch, number)
        learn(after, batch, number)
    assert (before.unfit, after.unfit) == (0, 0)
    assert after.churn_model.examples == before.churn_model.examples == 14 * 60
    rows, _ = separable(np.random.default_rng(1), 50)
    said, says = before.churn_model.predict(rows)[0], after.churn_model.predict(rows)[0]
    for name in ("linear", "cells", "prior", "recency", "plain"):
        columns = before.churn_model.names.index(name), after.churn_model.names.index(name)
        assert np.array_equal(said[:, columns[0]], says[:, columns[1]]), name
    # 3. An expert that did not score them counts as if it had predicted what the ensemble did.
    assert after.churn_model.shares()["own"] == pytest.approx(0.05, abs=0.02)
    assert after.quality.figures("own", "all") is None
    own = after.churn_model.experts[-1]
    assert isinstance(own, RiverExpert)
    assert own._learned == 4 * 60
    # 4. What it scores is counted from then on, also after another restart with the same list.
    learn(after, batch_of(after.churn_model, 20), 14)
    again = restored(after, AFTER)
    assert not again.relisted
    assert again.churn_model.version == after.churn_model.version
    found = again.quality.figures("own", "all")
    assert found is not None
    learn(again, batch_of(again.churn_model, 21), 15)
    learn(after, batch_of(after.churn_model, 21), 15)
    assert again.churn_model.shares() == after.churn_model.shares()


def test_an_expert_that_returns_begins_anew_and_its_old_predictions_count() -> None:
    trainer = Trainer(ChurnModel(SHOP.horizon, SHOP.decide_every, 1, AFTER), 1, SHOP.horizon)
    learn(trainer, batch_of(trainer.churn_model, 0), 0)
    waiting = batch_of(trainer.churn_model, 1)
    without = restored(trainer, BEFORE)
    assert "own" not in without.churn_model.shares()
    again = restored(without, AFTER)
    learn(again, waiting, 1)
    assert again.unfit == 0
    assert again.quality.figures("own", "all") is not None


def test_examples_that_would_harm_the_model_are_left_out() -> None:
    trainer = Trainer(ChurnModel(SHOP.horizon, SHOP.decide_every, 1, AFTER), 1, SHOP.horizon)
    good = batch_of(trainer.churn_model, 0, rows=8)
    log_odds = [bytearray(one.log_odds) for one in good.examples]
    infinite, unknown = np.float16(np.inf).tobytes(), np.float16(np.nan).tobytes()
    log_odds[0][:2] = infinite  # of a built-in expert
    log_odds[1][-2:] = infinite  # of an imported one
    place = 2 * EXPERTS.index("prior")
    log_odds[2][place : place + 2] = unknown  # the prior is always known
    log_odds[3] = log_odds[3][:-1]
    log_odds[4][:2] = unknown  # the linear expert was not listed: nothing is wrong
    examples = [
        msgspec.structs.replace(one, log_odds=bytes(odds)) for one, odds in zip(good.examples, log_odds, strict=True)
    ]
    learn(trainer, msgspec.structs.replace(good, examples=examples), 0)
    assert trainer.unfit == 4
    assert trainer.churn_model.examples == 4


# --- live and replay -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Provide the events of a small shop."""
    log = BytesIO()
    write_log(ShopSettings(customers=50, days=40), 7, log)
    return [event for line in log.getvalue().splitlines() if not hasattr(event := decode(line), "reason")]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models replace the prior after a few labels, since the shop is small."""
    monkeypatch.setattr("stream_app.core.model.experts.river_expert.ENOUGH", 50)
    monkeypatch.setattr("stream_app.core.model.churn_model.ENOUGH", 5)


@pytest.mark.usefixtures("quick")
def test_a_forest_of_the_settings_gives_the_same_live_and_in_a_replay(events: list[Event]) -> None:
    settings = SHOP.with_experts((*DEFAULT, FOREST, OWN))
    replay = Replay(settings, 2)
    replay.run([events])
    live = MemorySystem(publish(events, settings, 2), settings, crashes=0.02).run()
    assert_same(live, replay)
    decisions = replay.outcome.columns.decisions()
    late = decisions.decided_at > decisions.decided_at.max() - 10 * DAY_US
    assert np.ptp(decisions.experts["forest"][late] - decisions.experts["prior"][late]) > 0.1
    assert {"forest", "own"} <= replay.churn_model.shares().keys()
    assert replay.churn_model.shares()["forest"] > 0.0


def relisted(system: MemorySystem, settings: Settings) -> None:
    """Restart all services with other settings: the trainer first, which stores a version at once."""
    system.settings = system.policies[""] = settings
    system.training = system._restored()
    assert system.training.relisted
    version = system.training.churn_model.version
    system.checkpoint = system.training.checkpoint()
    system.versions[version] = snapshot(system.training.churn_model)
    system.effective.append((system.training.through, version))
    system.tasks = {number: system._new_task(number) for number in system.tasks}
    system._models = {0: ChurnModel.of(settings)}


@pytest.mark.usefixtures("quick")
def test_the_list_changes_in_the_middle_of_a_log(events: list[Event]) -> None:
    settings = SHOP.with_experts(BEFORE)
    undisturbed = MemorySystem(publish(events, settings, 2), settings).run()
    live = MemorySystem(publish(events, settings, 2), settings)
    while not live.training.churn_model.examples:
        live.run(5)
    assert live.training.churn_model.examples < undisturbed.training.churn_model.examples / 4
    relisted(live, settings.with_experts(AFTER))
    live.run()
    assert live.training.unfit == 0
    assert live.training.churn_model.examples == undisturbed.training.churn_model.examples
    sent = [
        one
        for record in live.sent
        if record.topic == "labelled"
        for one in unpack(record.payload, LabelledBatch).examples
    ]
    widths = {len(one.log_odds) for one in sent}
    assert widths == {2 * len(EXPERTS), 2 * len(EXPERTS) + 6}
    found = live.training.quality.figures("own", "all")
    assert found is not None
    assert live.training.churn_model.shares().keys() == {"linear", "cells", "prior", "own"}
    table, _ = LogOddsColumns(AFTER).unpack([one.log_odds for one in sent])
    assert 0 < np.isnan(table[:, AFTER.index(OWN)]).sum() < len(sent)
    assert not np.isnan(np.delete(table, AFTER.index(OWN), axis=1)).any()
