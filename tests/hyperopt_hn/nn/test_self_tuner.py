"""SelfTuner: any network, any data, repeatable, resumable; the parts underneath do the same by hand."""

from __future__ import annotations

import copy
import threading
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from hyperopt_hn import Alternation, Hyper, HyperSpace, UserError, alternate  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    STN,
    Batches,
    DoubleDecayWarning,
    Hypers,
    Optimizers,
    Retraining,
    Schedulers,
    SelfTuner,
    Split,
    TorchProblem,
    TorchTuner,
    TunerConfig,
    Tuning,
    convert,
    general_parameters,
    load_run,
    squared_norm,
)
from hyperopt_hn.nn.self_tuning.memory import Memory  # noqa: E402
from hyperopt_hn.nn.setup.narrowing import Narrowing  # noqa: E402
from hyperopt_hn.runs.display.progress import Progress  # noqa: E402
from hyperopt_hn.stopping import Interrupted  # noqa: E402
from tests.support.digits_mlp import accuracy, same  # noqa: E402
from tests.support.self_tuned import HYPERS, data, network, self_tuner, train_loss, valid_loss  # noqa: E402

QUIET = {"quiet": True}


def test_fit_takes_the_steps_that_the_parts_take_by_hand():
    """The same λ̂ and weights, bit for bit, as convert + TorchTuner + alternate with the same seeds."""
    train, valid, test = data()
    tuner = self_tuner(seed=5)
    result = tuner.fit(train, valid, test, steps=30, batch_size=50, **QUIET)

    space = HyperSpace(HYPERS)
    net = network()
    torch.manual_seed(5)
    model = convert(net, space, dropout={"*": "dropout"}, form="lowrank")
    hypers = Hypers(space, spread=2.0, box=3.5, decades=1.0)
    problem = TorchProblem(
        train_loss, valid_loss, *(Batches.of(part, 50, 6 + i) for i, part in enumerate((train, valid, test)))
    )
    phi = torch.optim.Adam(general_parameters(model), 1e-3)
    narrowing = Narrowing(hypers, 2.0, 1.0)
    narrowing.begin(30)
    lam = torch.optim.Adam([hypers.lam], 0.1)
    optimizers = Optimizers(phi, lam, schedulers=Schedulers(train=[narrowing]))
    how = Split(every=2, eager=100, lr=1e-2)
    parts = TorchTuner(model, hypers, problem, optimizers, how, TunerConfig(seed=5, gain=0.1))
    torch.manual_seed(5)
    log = Memory()
    plan = Alternation(steps=30, warmup=3, train_per_cycle=4, tune_per_cycle=1, evaluate_every=5)
    alternate(parts, plan, log, Progress("x", 1, quiet=True))
    assert [r["valid_loss"] for r in log.records] == list(result.column("valid_loss"))
    assert log.records[-1]["hypers"] == result.records[-1]["hypers"] != log.records[0]["hypers"]


@pytest.mark.parametrize(("steps", "rate"), [(40, 0.1), (1000, 14 / (900 // 4)), (3000, 14 / (2700 // 4))])
def test_the_hyperparameters_travel_fourteen_raw_units_in_a_run_and_a_tenth_a_step_at_most(steps, rate):
    train, valid, _ = data()
    tuner = self_tuner(tuning=Tuning(patience=1, evaluate_every=1))
    tuner.fit(train, valid, steps=steps, batch_size=50, **QUIET)
    assert tuner.tuner.optimizers.lam.param_groups[0]["lr"] == pytest.approx(rate)


def test_a_rate_that_is_given_is_taken():
    train, valid, _ = data()
    tuner = self_tuner(tuning=Tuning(lr_lam=0.07, patience=1, evaluate_every=1))
    tuner.fit(train, valid, steps=1000, batch_size=300, **QUIET)
    assert tuner.tuner.optimizers.lam.param_groups[0]["lr"] == 0.07


def test_the_result_is_arrays_and_the_network_is_at_its_best():
    train, valid, test = data()
    tuner = self_tuner(metrics=accuracy)
    result = tuner.fit(train, valid, test, epochs=10, batch_size=50, **QUIET)
    assert result.best_loss == result.column("valid_loss").min() == result.best["valid_loss"]
    plain = tuner.plain().eval()
    assert abs(cross_entropy(plain(valid[0]), valid[1]).item() - result.best_loss) < 1e-6
    assert plain[2].p == pytest.approx(result.best_hypers["dropout"])
    assert abs(tuner.evaluate(valid)["valid_loss"] - result.best_loss) < 1e-6
    assert tuner.evaluate(valid)["valid_accuracy"] == pytest.approx(result.best["valid_accuracy"])
    assert type(plain) is nn.Sequential and list(plain.state_dict()) == list(network().state_dict())
    assert result.course["decay"].shape == result.course["step"].shape == (9,)  # 40 steps, 4 of them warm-up
    assert isinstance(result.arrays["lambda_hat"], np.ndarray)
    assert isinstance(result.best_hypers["decay"], float)
    assert "hypers/decay" in result.columns() and result.steps[-1] == 49
    assert "best validation loss" in repr(result) and "test loss there" in repr(result)


def test_a_picture_of_the_course(tmp_path):
    pytest.importorskip("matplotlib")
    train, valid, _ = data()
    result = self_tuner().fit(train, valid, steps=5, **QUIET)
    shown = result.plot(tmp_path / "course.png")._repr_png_()
    assert shown == (tmp_path / "course.png").read_bytes() and shown[1:4] == b"PNG"
    assert (tmp_path / "course.png").stat().st_size > 1000
    with pytest.raises(UserError, match="ends in"):
        result.plot(tmp_path / "course.txt")


def test_the_network_given_is_untouched_unless_inplace():
    net = network()
    before = copy.deepcopy(net.state_dict())
    train, valid, _ = data()
    self_tuner(net).fit(train, valid, steps=5, **QUIET)
    assert same(dict(before), dict(net.state_dict())) and type(net[0]) is nn.Linear
    tuner = self_tuner(net, inplace=True)
    assert tuner.model is net and type(net[0]) is not nn.Linear


def test_a_network_without_numbers_is_refused_in_one_line():
    with torch.device("meta"):
        empty = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    for more in ({}, {"inplace": True}):
        with pytest.raises(UserError, match=r"^this network is on the meta device.*to_empty"):
            SelfTuner(empty, HYPERS, train_loss=train_loss, valid_loss=valid_loss, **more)


def test_a_seed_makes_a_run_repeatable_and_the_callers_random_state_stays():
    train, valid, _ = data()

    def losses(seed, disturb):
        net = network()
        torch.manual_seed(disturb)
        state = torch.get_rng_state()
        result = self_tuner(net, seed=seed).fit(train, valid, steps=20, batch_size=50, **QUIET)
        assert torch.equal(state, torch.get_rng_state())
        return list(result.column("valid_loss"))

    assert losses(1, 7) == losses(1, 8) != losses(2, 7)


def test_the_same_script_twice_in_one_folder(tmp_path, capsys):
    train, valid, _ = data()

    def script(**more):
        return self_tuner().fit(train, valid, steps=10, batch_size=50, out=tmp_path / "run", **more)

    first, second = script(), script()
    assert (first.path.name, second.path.name) == ("run", "run-2")
    assert "holds a finished run; this one goes to" in capsys.readouterr().out
    assert (first.path / "log.jsonl").read_bytes() == (second.path / "log.jsonl").read_bytes()
    assert script(overwrite=True).path == tmp_path / "run"
    given_back = script(resume=True)
    assert given_back.path.name == "run-2" and "is finished already" in capsys.readouterr().out
    assert given_back.best_hypers == second.best_hypers and same_courses(given_back, second)


def same_courses(one, other):
    return all(np.array_equal(one.course[name], other.course[name]) for name in (*one.course, *other.course))


@pytest.mark.parametrize("kind", ["tensors", "loader"])
def test_a_stopped_run_goes_on_with_resume_and_leaves_the_same_record(tmp_path, kind):
    train, valid, _ = data()

    def fit(where, stop=None, **more):
        torch.manual_seed(0)
        loaders = [DataLoader(TensorDataset(*part), 50, shuffle=True) for part in (train, valid)]
        tuner = self_tuner(seed=3)
        if stop is not None:
            step = tuner.tuner.train_step

            def interrupting(batch=None):
                if tuner.tuner.steps["train"] == stop:
                    import os
                    import signal

                    os.kill(os.getpid(), signal.SIGINT)
                return step(batch)

            tuner.tuner.train_step = interrupting
        splits = (train, valid) if kind == "tensors" else loaders
        return tuner, lambda: tuner.fit(*splits, epochs=5, batch_size=50, out=where, quiet=True, **more)

    whole = fit(tmp_path / "whole")[1]()
    with pytest.raises(Interrupted):
        fit(tmp_path / "cut", stop=7)[1]()
    assert load_run(tmp_path / "cut", network()).network is not None  # an unfinished run gives its best, too
    _, resumed = fit(tmp_path / "cut", resume=True)
    result = resumed()
    assert (tmp_path / "cut" / "log.jsonl").read_bytes() == (tmp_path / "whole" / "log.jsonl").read_bytes()
    assert same_courses(whole, result) and whole.best_hypers == result.best_hypers


@pytest.mark.parametrize("response", ["split", "delta", "stn", STN(natural=True), "implicit"])
def test_load_run_gives_the_best_network_with_its_hyperparameters(tmp_path, response):
    train, valid, _ = data()
    dropout = None if response == "implicit" else {"*": "dropout"}
    hypers = HYPERS[1:] if response == "implicit" else HYPERS
    tuner = self_tuner(hypers=hypers, dropout=dropout, response=response)
    result = tuner.fit(train, valid, steps=10, batch_size=50, out=tmp_path / "run", **QUIET)
    found = load_run(tmp_path / "run", network(seed=9))
    want, got = tuner.plain().state_dict(), found.network.state_dict()
    assert same(dict(want), dict(got))
    assert found.hypers == {name: pytest.approx(value) for name, value in result.best_hypers.items()}
    assert abs(cross_entropy(found.network.eval()(valid[0]), valid[1]).item() - result.best_loss) < 1e-6
    assert list(found.run.column("valid_loss")) == list(result.column("valid_loss"))
    with pytest.raises(UserError, match="belongs to another network"):
        load_run(tmp_path / "run", nn.Sequential(nn.Linear(64, 23), nn.ReLU(), nn.Dropout(), nn.Linear(23, 10)))


class Recording:
    """A sink that remembers what it was handed."""

    def __init__(self):
        self.records = []

    def open(self, run, records):
        return len(self.records)

    def record(self, entry):
        self.records.append(dict(entry))

    def close(self):
        pass


def test_a_sink_gets_every_record_once(tmp_path):
    train, valid, _ = data()
    sink = Recording()
    result = self_tuner().fit(train, valid, epochs=3, batch_size=50, out=tmp_path / "run", sinks=[sink], **QUIET)
    assert [entry["step"] for entry in sink.records] == list(result.steps)
    with pytest.raises(UserError, match="give out='runs/name' too"):
        self_tuner().fit(train, valid, epochs=3, sinks=[sink], **QUIET)


def test_load_run_refuses_other_runs(tmp_path):
    (tmp_path / "config.json").write_text('{"format": 1, "experiment": "ridge"}')
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(UserError, match=r"was not recorded by SelfTuner.fit"):
        load_run(tmp_path, network())


def test_a_loop_of_ones_own_tunes_resumes_and_evaluates():
    train, valid, _ = data()

    def loop(tuner, steps, skip=0):
        torch.manual_seed(1)
        batches = Batches.of(train, 50, seed=1)
        for number in range(skip + steps):
            batch = batches.next()
            if number < skip:
                continue
            tuner.train_step(batch)
            if tuner.due:
                tuner.tune_step(valid)
        return tuner

    how = Tuning(warmup=4, train_per_tune=2)
    whole = loop(self_tuner(tuning=how), 12)
    assert whole.tuner.steps == {"train": 12, "tune": 4}
    half = loop(self_tuner(tuning=how), 6)
    state = half.state_dict()
    kept = torch.get_rng_state()
    other = self_tuner(tuning=how)
    other.load_state_dict(state)
    assert torch.equal(kept, torch.get_rng_state())
    assert other.hypers() == half.hypers() and other.due == half.due
    assert "valid_loss" in other.evaluate(DataLoader(TensorDataset(*valid), 64))
    assert loop(self_tuner(tuning=how), 100).due is False  # every due step was taken


def test_before_any_data_steps_without_a_batch_are_refused():
    with pytest.raises(UserError, match=r"no training data yet: pass a batch to the step, or call fit"):
        self_tuner().tuner.train_step()
    with pytest.raises(UserError, match=r"call fit\(train, valid\) before check"):
        self_tuner().check({"dropout": [0.2]})
    with pytest.raises(UserError, match="there are no data yet"):
        self_tuner().objective()


def test_a_check_leaves_everything_as_it_was_and_ends_in_words():
    train, valid, _ = data()

    def losses(check):
        tuner = self_tuner()
        tuner.fit(train, valid, steps=20, batch_size=50, **QUIET)
        if check:
            found = tuner.check({"dropout": [0.05, 0.5]}, Retraining(steps=4))
            assert (
                found.verdict in ("trust", "partly", "distrust", "undecided")
                and found.verdict in str(found).splitlines()[-1]
            )
        torch.manual_seed(0)
        return [tuner.tuner.train_step()["train_loss"] for _ in range(3)]

    assert losses(True) == losses(False)


def test_the_networks_optimizer_holds_what_the_plain_network_has():
    counts = []

    def adam(parameters):
        counts.append(len(parameters))
        return torch.optim.Adam(parameters, 1e-3)

    plain = len(list(network().parameters()))
    self_tuner(optimizer=adam)
    self_tuner(optimizer=adam, response="delta")
    assert counts[0] == plain < counts[1]
    how = Tuning(response_optimizer=lambda parameters: torch.optim.SGD(parameters, 0.1))
    tuner = self_tuner(optimizer=adam, tuning=how)
    assert counts[2] == plain and isinstance(tuner.tuner.optimizers.response, torch.optim.SGD)


def test_an_objective_trains_a_fixed_network_repeatably_from_the_same_start():
    train, valid, _ = data()
    tuner = self_tuner()
    objective = tuner.objective(train, valid, steps=40)
    good, bad = objective({"dropout": 0.1, "decay": 1e-4}), objective({"dropout": 0.1, "decay": 0.09})
    assert good < bad
    assert objective({"dropout": 0.1, "decay": 1e-4}) == good
    tuner.fit(train, valid, steps=40, **QUIET)
    assert tuner.objective()({"dropout": 0.1, "decay": 1e-4}) == good  # fit left the given network alone
    fixed = HyperSpace([Hyper("dropout", 0.1, 0.0, 0.9), HYPERS[1]], tuned=[])
    by_hand = self_tuner(hypers=fixed).fit(train, valid, steps=40, **QUIET)
    assert objective({"dropout": 0.1, "decay": 1e-3}) == by_hand.best_loss
    with pytest.raises(UserError, match="dropuot"):
        objective({"dropuot": 0.1})


def test_vectors_come_as_arrays():
    train, valid, _ = data()

    def loss(model, batch, h):
        weights = (model[0].weight.square() * h["each"]).sum()
        return cross_entropy(model(batch[0]), batch[1]) + weights

    each = Hyper("each", 1e-3, 1e-6, 1.0, log=True, shared=True, size=64)
    net = nn.Sequential(nn.Linear(64, 10))
    result = SelfTuner(net, [each], train_loss=loss, valid_loss=valid_loss, response="implicit").fit(
        train, valid, steps=4, **QUIET
    )
    assert result.best_hypers["each"].shape == (64,) and result.course["each"].shape[1] == 64


@pytest.mark.parametrize("response", ["split", "delta", "stn"])
@pytest.mark.parametrize("tuned", [None, ["decay"], []])
def test_a_loss_always_sees_one_value_per_example_or_one_for_all(response, tuned):
    shapes = set()
    hypers = HyperSpace([*HYPERS, Hyper("each", 1.0, 0.0, 2.0, size=64)], tuned=tuned)

    def loss(model, batch, h):
        shapes.add(tuple(tuple(h[name].shape) for name in ("dropout", "decay", "each")))
        assert all(value.dtype == torch.float32 and not value.requires_grad for value in h.values())
        return cross_entropy(model(batch[0] * h["each"]), batch[1]) + h["decay"] * squared_norm(model)

    train, valid, _ = data()
    self_tuner(hypers=hypers, train_loss=loss, response=response).fit(train, valid, steps=3, batch_size=50, **QUIET)
    assert shapes == {((50,), (), (50, 64))}


def test_it_says_what_is_tuned_and_what_responds():
    class Own(nn.PReLU):
        norms = None  # a name that a module needs which responds, so that it is left

    tuner = self_tuner(nn.Sequential(network(), Own()))
    text = repr(tuner)
    assert "SelfTuner(Sequential" in text and "log scale" in text and "in (0, 0.9)" in text
    every = sum(p.numel() for p in network().parameters())
    assert f"responding: 99.9 % of {every + 1:,} parameters" in text  # all but one
    assert "not 1: there is no hyper layer for Own" in text
    html = tuner._repr_html_()
    assert "<table>" in html and "Own" in html and "decay" in html
    assert "<ul>" in html and "<ul>" not in self_tuner()._repr_html_()  # no list of nothing


def test_a_networks_evaluation_mode_is_kept_and_dropout_acts_all_the_same():
    modes = []

    def loss(model, batch, h):
        modes.append((model.training, model[2].training))
        return train_loss(model, batch, h)

    tuner = self_tuner(network().eval(), train_loss=loss)
    train, valid, _ = data()
    tuner.fit(train, valid, steps=3, **QUIET)
    assert set(modes) == {(True, True)}
    assert not tuner.model.training and not tuner.plain().training
    frozen = network()
    frozen[2].eval()
    modes.clear()
    self_tuner(frozen, train_loss=loss).fit(train, valid, steps=2, **QUIET)
    assert set(modes) == {(True, False)}  # a part that was frozen on purpose


def test_double_decay_warns_once_and_names_both():
    def adamw(parameters):
        return torch.optim.AdamW(parameters, 1e-3)

    with pytest.warns(DoubleDecayWarning, match=r"AdamW's weight_decay=0.01 acts beside the tuned 'decay'") as seen:
        self_tuner(optimizer=adamw)
    assert len(seen) == 1 and seen[0].filename.endswith("self_tuned.py")  # the line that made it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        self_tuner(optimizer=lambda parameters: torch.optim.AdamW(parameters, 1e-3, weight_decay=0.0))
        self_tuner(hypers=HYPERS[:1], train_loss=lambda m, b, h: valid_loss(m, b), optimizer=adamw)


def test_schedulers_clipping_accumulation_and_bfloat16():
    train, valid, _ = data()
    how = Tuning(
        accumulate=2, clip=0.5, autocast="bfloat16",
        scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5),
    )  # fmt: skip
    tuner = self_tuner(tuning=how)
    result = tuner.fit(train, valid, epochs=2, batch_size=50, **QUIET)
    assert result.records[-1]["train_steps"] == 4  # two batches of 50 of 200 rows a step
    plateau = Tuning(scheduler=lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer))
    self_tuner(tuning=plateau).fit(train, valid, steps=2, **QUIET)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hypers": {"dropout": 0.1}}, r"hypers must be a list such as \[Hyper\("),
        ({"optimizer": lambda parameters: parameters}, "optimizer gave a list; give a function of the parameters"),
        ({"optimizer": torch.optim.LBFGS}, "evaluates the loss several times in a step"),
        ({"dropout": {"nothing*": "dropout"}}, "nothing"),
        ({"response": "magic"}, "response='magic' is unknown"),
        ({"response": "implicit"}, "cannot tune dropout, only penalties"),
        ({"net": nn.Dropout()}, "this network has no parameters; there is nothing to train"),
    ],
)
def test_what_does_not_fit_is_refused_at_construction(change, words):
    with pytest.raises(UserError, match=words):
        self_tuner(**change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "say how long to train"),
        ({"epochs": 1, "steps": 2}, "say how long to train"),
        ({"epochs": 0}, "epochs=0 must be a whole number of at least 1"),
        ({"steps": 5, "resume": True}, "without out= is not recorded"),
        ({"steps": 5, "out": "x", "resume": True, "overwrite": True}, "give one of them"),
        ({"steps": 5, "batch_size": 0}, "batch_size=0"),
        ({"steps": 5, "valid": "valid.csv"}, "valid: a str is no data"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, words):
    train, valid, _ = data()
    with pytest.raises(UserError, match=words):
        self_tuner().fit(**{"train": train, "valid": valid, **change})


def test_torchrun_without_a_process_group_is_one_line(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="torchrun started 2 processes and none is connected"):
        self_tuner()


def test_a_network_that_cannot_be_copied_asks_for_inplace():
    net = network()
    net.cache = threading.Lock()
    with pytest.raises(UserError, match=r"cannot be copied .* give inplace=True"):
        self_tuner(net)


def test_squared_norm_of_a_part_is_a_penalty_of_that_part():
    train, valid, _ = data()
    tuner = self_tuner(train_loss=lambda m, b, h: valid_loss(m, b) + h["decay"] * squared_norm(m[0]))
    assert tuner.fit(train, valid, steps=5, **QUIET).best_loss > 0


def test_a_result_says_which_values_can_be_believed():
    train, valid, test = data()
    result = self_tuner(tuning=Tuning(gain=1.0)).fit(train, valid, test, epochs=4, batch_size=50, **QUIET)
    assert set(result.trust.reasons) == {"dropout", "decay"}
    assert result.trust.verdict in ("trust", "partly", "distrust") and result.trust.verdict in repr(result.trust)
    assert result.records[-1]["gain"] == result.trust.gain
    silent = self_tuner(tuning=Tuning(gain=0.0)).fit(train, valid, test, epochs=1, batch_size=50, **QUIET)
    assert silent.trust.gain == {} and "gain" not in silent.records[-1]


def test_retraining_is_the_fixed_network_at_the_values_found():
    train, valid, test = data()
    tuner = self_tuner()
    found = tuner.fit(train, valid, test, steps=40, batch_size=50, **QUIET)
    plain, result = tuner.retrain()
    assert result.best_loss == tuner.objective()(found.best_hypers)
    assert abs(cross_entropy(plain.eval()(valid[0]), valid[1]).item() - result.best_loss) < 1e-6
    _, other = tuner.retrain({"dropout": 0.8})
    assert set(other.column("hypers/dropout")) == {0.8} and other.best_loss != result.best_loss


def test_a_replay_follows_the_course_of_the_run():
    train, valid, test = data()
    tuner = self_tuner()
    found = tuner.fit(train, valid, test, steps=60, batch_size=50, **QUIET)
    _, again = tuner.replay()
    course = dict(zip(found.column("train_steps"), found.column("hypers/dropout"), strict=True))
    for step, value in zip(again.column("train_steps"), again.column("hypers/dropout"), strict=True):
        latest = max(s for s in course if s <= max(step - 1, 0))  # what the step before the record was taken at
        assert value == course[latest]
    assert len(set(again.column("hypers/dropout"))) > 2


def test_what_cannot_be_replayed_or_retrained_is_refused():
    with pytest.raises(UserError, match="call fit before"):
        self_tuner().retrain()
    inplace = self_tuner(inplace=True)
    train, valid, test = data()
    inplace.fit(train, valid, test, steps=10, batch_size=50, **QUIET)
    with pytest.raises(UserError, match="leave inplace out"):
        inplace.retrain()


@pytest.mark.parametrize("form", ["full", "gated"])
def test_another_form_of_the_response_tunes_and_loads_too(form, tmp_path):
    train, valid, test = data()
    tuner = self_tuner(tuning=Tuning(form=form))
    result = tuner.fit(train, valid, test, epochs=3, batch_size=50, out=tmp_path / "run", **QUIET)
    assert result.records[-1]["hypers"] != result.records[0]["hypers"]
    loaded = load_run(tmp_path / "run", network())
    assert same(dict(loaded.network.state_dict()), dict(tuner.plain().state_dict()))
    with pytest.raises(UserError, match="lowrank"):
        Tuning(form="low-rank")


def test_a_batch_without_examples_is_one_line():
    loss = lambda m, b, h=None: (m(b[0]) - 1).square().mean(1)  # noqa: E731
    tuner = SelfTuner(nn.Linear(4, 2), [Hyper("a", 0.3, 0.0, 0.9)], train_loss=loss, valid_loss=loss)
    with pytest.raises(UserError, match="has no examples"):
        tuner.train_step((torch.randn(0, 4),))
