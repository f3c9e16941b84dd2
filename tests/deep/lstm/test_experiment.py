"""The self-tuning LSTM on a text: what is trained on, what is scored, what is carried, and that runs come back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from deep.lstm.experiment import HYPERS, build_tuner, network_of, per_epoch, space_of_config, train_loss, valid_loss  # noqa: E402
from deep.lstm.presets import PRESETS  # noqa: E402
from deep.lstm.streams import Streams, rows_of  # noqa: E402
from deep.lstm.text import shortened  # noqa: E402
from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn import at  # noqa: E402
from tests.hyperopt_hn.nn.tuning.test_checkpoint import equal  # noqa: E402
from tests.support.half_lstm import lstm_in_bfloat16  # noqa: E402
from tests.support.lstm_cases import WORDS, config, lively, text, tuner  # noqa: E402
from tests.support.refusals import refused  # noqa: E402


def steps(made, count=5):
    out = []
    for _ in range(count):
        out += [made.train_step(), made.train_step(), made.tune_step(), made.evaluate()]
    return out


def test_the_published_hyperparameters_their_order_ranges_and_sharing():
    """Facts 2.4."""
    assert [h.name for h in HYPERS] == ["alpha", "beta", "dropouto", "dropouti", "dropouth", "dropoute", "wdrop"]
    assert all(h.init == 0.05 for h in HYPERS)
    assert [h.shared for h in HYPERS] == [True, True, False, False, False, True, True]
    assert [(h.low, h.high) for h in HYPERS] == [(0, math.inf)] * 2 + [(0, 1)] * 5
    assert space_of_config(config()).n == 7 and space_of_config(config(tune="dropouto")).names == ("dropouto",)


def test_evaluation_is_the_loss_of_whole_streams_scored_at_once():
    """Facts 2.9 L9: over exactly len - 1 words of every stream; the windows leave no trace."""
    made = tuner(config())
    lively(made.losses.bare)
    steps(made, 2)
    found = made.evaluate()
    model, source = made.losses.bare, text()
    for split, batch, key in ((source.valid, 3, "valid_loss"), (source.test, 10, "test_loss")):
        length = len(split) // batch
        ids = torch.as_tensor(split[: length * batch].astype("int64")).view(batch, length).t()
        model.eval()
        with torch.no_grad(), at(model, made.losses.hypers.lam):
            out, _, _ = model(ids[:-1])
        logits = F.linear(out.flatten(0, 1), model.decoder.weight, model.decoder.bias).detach()
        assert logits.shape[0] == batch * (length - 1)
        assert found[key] == pytest.approx(float(F.cross_entropy(logits, ids[1:].flatten())), abs=1e-6)
        model.train()


def test_the_validation_loss_has_no_penalty_and_no_dropout():
    """Facts 2.7 P1, 2.9 L2."""
    low, high = (tuner(config(init=f"alpha={a},beta={a},dropouts={p}")) for a, p in ((1e-6, 0.01), (50.0, 0.9)))
    for made in (low, high):
        lively(made.losses.bare, 0.0)
        for name, parameter in made.losses.bare.named_parameters():
            if "response_" in name:
                parameter.data.zero_()
    assert low.evaluate() == high.evaluate()
    batch = low.problem.valid.next()
    with low.response.view(low.losses, low.losses.hypers.lam, False):
        low.losses.bare.eval()
        assert torch.equal(train_loss(low.losses.bare, batch, {}), valid_loss(low.losses.bare, batch))


def test_the_penalties_are_ar_and_tar_with_natural_weights():
    made = tuner(config(tune="none", init="alpha=2,beta=3"))
    model, window = made.losses.bare, made.problem.train.next()
    model.eval()
    bare = train_loss(model, window, {})
    out, raw, _ = model(window.tokens, None)
    ar, tar = out.square().mean(), (raw[1:] - raw[:-1]).square().mean()
    assert torch.allclose(train_loss(model, window, {"alpha": 2.0}), bare + 2.0 * ar)
    assert torch.allclose(train_loss(model, window, {"beta": 3.0}), bare + 3.0 * tar)
    both = made.losses.train_loss(window, torch.zeros(0))
    assert torch.allclose(both, bare + 2.0 * ar + 3.0 * tar)


def test_a_last_window_of_one_word_has_no_steps_in_time_to_penalise():
    source = text(train=4 * (7 + 2))  # nine words a stream: windows of seven and of one
    made = tuner(config(), source)
    assert per_epoch(config(), source) == made.problem.train.windows == 2
    assert all(math.isfinite(made.train_step()["train_loss"]) for _ in range(4))


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_a_step_carries_the_state_of_its_first_pass_and_starts_both_there(response):
    """A Δ-STN's second pass starts where the first did, and what is carried on is the first one's state."""
    given = config(tune="dropouto", fix="")
    made = tuner(replace(given, method=replace(given.method, response=response)))
    model, states, ends = made.losses.bare, [], []
    model.register_forward_pre_hook(lambda m, args: states.append(args[1]))
    model.register_forward_hook(lambda m, args, out: ends.append(out[2]))
    made.train_step()
    made.train_step()
    passes = 1 if response == "stn" else 2
    assert len(states) == 2 * passes and states[:passes] == [None] * passes
    for later in states[passes:]:
        for mine, first in zip(later, ends[0], strict=True):
            assert torch.equal(mine[0], first[0]) and torch.equal(mine[1], first[1])
    if response == "delta":  # the general network at λ̂: no perturbation in what is carried
        ids = made.problem.train._words[:7]
        own = tuner(replace(given, method=replace(given.method, response="delta"))).losses
        with at(own.bare, own.hypers.lam, own.hypers.lam.detach()):
            _, _, want = own.bare(ids, None)
        assert all(torch.allclose(a[0], b[0], atol=1e-6) for a, b in zip(ends[0], want, strict=True))


def test_tuning_has_a_state_of_its_own_in_forty_streams_not_ten():
    made = tuner(config())
    made.train_step()
    before = made.problem.train._carry.state
    made.tune_step()
    window = made.problem.valid.next()
    assert window.tokens.shape[1] == 4 and window.begin() is not None
    assert equal(made.problem.train._carry.state, before)
    assert [w.tokens.shape[1] for w in made.problem.valid.once()] == [3] * len(list(made.problem.valid.once()))


def test_a_train_step_leaves_lambda_and_a_tune_step_leaves_phi():
    """Facts 5.10."""
    made = tuner(config())
    lam = made.losses.hypers.lam.detach().clone()
    phi = {n: p.detach().clone() for n, p in made.losses.bare.named_parameters()}
    made.train_step()
    assert torch.equal(lam, made.losses.hypers.lam)
    moved = {n: p.detach().clone() for n, p in made.losses.bare.named_parameters()}
    assert not equal(phi, moved)
    made.tune_step()
    assert not torch.equal(lam, made.losses.hypers.lam)
    assert equal(moved, dict(made.losses.bare.named_parameters()))


@pytest.mark.parametrize(("response", "average"), [("stn", 0), ("delta", 0), ("stn", 1)])
def test_everything_comes_back(response, average, tmp_path):
    """Facts 5.12: weights, λ̂, optimizers, masks, positions and hidden states, through a file."""
    from hyperopt_hn.nn import load_checkpoint, save_checkpoint

    given = config()
    descent = replace(given.descent, decay="none" if average else "nonmono")
    given = replace(given, method=replace(given.method, response=response), descent=descent, average=average)
    made, other = tuner(given), tuner(given)
    steps(made, 4)
    save_checkpoint(tmp_path / "a.pt", made.state())
    wanted = steps(made)
    steps(other, 1)
    torch.manual_seed(5)
    other.load_state(load_checkpoint(tmp_path / "a.pt"))
    assert steps(other) == wanted
    assert equal(other.state(), made.state())


def test_with_nothing_tuned_it_is_the_plain_network():
    given = config(tune="none", fix="dropouts")
    made = tuner(given)
    plain = build_tuner(given, text(), space_of_config(config(tune="none")))
    assert made.losses.bare.state_dict().keys() == plain.losses.bare.state_dict().keys()
    assert "response_weight" not in "".join(made.losses.bare.state_dict())
    assert made.hypers() == dict.fromkeys(["dropouto", "dropouti", "dropouth", "dropoute", "wdrop"], 0.05)
    first = made.train_step()["train_loss"]
    assert math.isfinite(first) and first != plain.train_step()["train_loss"]
    assert refused(made.tune_step)


def test_delta_and_tuned_spreads_learn_and_tune():
    """Issue 5: the published LSTM code has neither."""
    given = config(spread=0.5)
    given = replace(given, method=replace(given.method, response="delta", tune_spreads=True, tau=0.01))
    made = tuner(given)
    sigma = made.losses.hypers.sigma().detach().clone()
    first = made.evaluate()["valid_loss"]
    steps(made, 12)
    assert made.evaluate()["valid_loss"] < first - 0.3
    assert not torch.equal(sigma, made.losses.hypers.sigma())


def test_natural_input_as_the_published_code_has_it_for_all_seven():
    """Facts 2.4: sigmoid and softplus of raw λ; and only there, for a Δ-STN is fed a difference."""
    given = config()
    made = tuner(replace(given, method=replace(given.method, hyper_input="natural")))
    twin = tuner(given)
    for one in (made, twin):
        lively(one.losses.bare)
    lam = made.losses.hypers.lam
    with made.response.view(made.losses, lam, False), torch.no_grad():
        want, _, _ = made.losses.bare.eval()(made.problem.train._words[:5])
    with at(twin.losses.bare, torch.full((7,), 0.05)), torch.no_grad():
        got, _, _ = twin.losses.bare.eval()(made.problem.train._words[:5])
    assert torch.allclose(got, want, atol=1e-6)
    steps(made, 2)
    with pytest.raises(UserError, match="--hyper-input natural is for --response stn"):
        replace(given.method, hyper_input="natural", response="delta")


@pytest.mark.skipif(not lstm_in_bfloat16(), reason="torch's own LSTM does not run in bfloat16 on this processor")
def test_bf16_is_near_single_precision():
    given = config()
    half = tuner(replace(given, machine=replace(given.machine, amp="bf16")))
    full = tuner(given)
    first = [m.train_step()["train_loss"] for m in (half, full)]
    assert first[0] != first[1] and first[0] == pytest.approx(first[1], rel=0.02)
    assert half.tune_step()["tune_loss"] == pytest.approx(full.tune_step()["tune_loss"], rel=0.02)
    assert half.evaluate()["valid_loss"] == pytest.approx(full.evaluate()["valid_loss"], rel=0.02)


def test_clipping_is_of_phi_at_a_quarter():
    paper = PRESETS["lstm"]["paper"]
    descent = paper.descent
    assert (descent.batch, descent.lr, descent.clip, descent.factor, descent.window) == (40, 30.0, 0.25, 0.25, 5)
    assert (paper.network.hidden, paper.network.bptt, paper.network.layers) == (650, 70, 2)
    assert (paper.span.train_per_cycle, paper.span.tune_per_cycle, paper.span.warmup_epochs) == (2, 1, 1.0)
    assert paper.choice.spread == 1.0 and paper.method.lr_lam == 0.01 and not paper.method.tune_spreads
    made = tuner(config())
    assert made.config.clip == 0.25 and made.config.clip_lam == 0.0


def test_an_epoch_of_ptb_has_332_windows():
    """Facts 2.4: the published code counts 331."""
    source = replace(text(), train=np.zeros(929_589, np.int32))
    assert per_epoch(PRESETS["lstm"]["paper"], source) == 332


def test_a_shortened_text_turns_what_it_cannot_teach_into_unk():
    source = text()
    ids = np.array([3, 1, 3, 0, 2, 5, 4, 4, 6], np.int32)
    source = replace(source, train=ids, valid=np.array([5, 3, 2, 1], np.int32), test=np.array([6, 0, 1], np.int32))
    cut = shortened(source, 4, 3, 0)
    assert cut.words == ("<unk>", "w1", "w3") and cut.train.tolist() == [2, 1, 2, 0]
    assert cut.valid.tolist() == [0, 2, 0] and cut.test.tolist() == [0, 0, 1] and cut.unseen == (2, 1)
    bare = replace(source, words=tuple(f"w{i}" for i in range(WORDS)))
    assert shortened(bare, 4, 0, 0).words == ("w0", "w1", "w3", "<unk>")
    assert shortened(bare, 4, 0, 0).valid.tolist() == [3, 2, 3, 1]
    whole = shortened(source, 0, 2, 0)
    assert whole.words == source.words and len(whole.valid) == 2 and whole.train is source.train


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bptt": 100}, "the training text of 400 words gives 4 streams of 100 words, too few for --bptt 100"),
        ({"bptt": 60}, "the validation text of 203 words gives 4 streams"),
        ({"test_batch": 30}, "the test text of 151 words gives 30 streams of 5 words"),
    ],
)
def test_texts_too_short_get_one_line(change, message):
    given = config()
    given = replace(given, network=replace(given.network, **change))
    line = refused(tuner, given)
    assert message in line and "choose a smaller --bptt" in line


def test_two_answers_to_one_signal_are_refused():
    with pytest.raises(UserError, match="add --decay none"):
        replace(config(), average=5)


def test_whole_steps_equal_the_loop_by_the_book():
    """Losses of train and tune steps, five of each in a row, masks and perturbations the same; and of an evaluation."""
    from tests.bench._deep_lstm import sides

    paper = PRESETS["lstm"]["paper"]
    descent = replace(paper.descent, batch=4, lr=1.0)  # so that rounding does not grow from step to step
    small = replace(paper, network=replace(paper.network, hidden=9, bptt=5), descent=descent)
    for row in sides(small, "", (None, None, None), 17):
        assert row.agreement < 1e-5, row.name
    for row in sides(small, "bf16", (None, None, None), 17) if lstm_in_bfloat16() else ():
        assert row.agreement < 0.02, row.name


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_no_step_reads_a_tensor_on_the_host(response):
    """Fake tensors hold no numbers: what asks for one, for which a GPU would have to be waited for, raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    from hyperopt_hn.nn import Hypers, Optimizers, TorchProblem, TorchTuner, TunerConfig

    given, space = config(), space_of_config(config())
    given = replace(given, method=replace(given.method, response=response))
    with FakeTensorMode():
        train, valid = (Streams(torch.empty(28, dtype=torch.int64), 4, 4, "training") for _ in range(2))
        model, hypers = network_of(given, WORDS, space), Hypers(space)
        problem = TorchProblem(train_loss, valid_loss, train, valid, rows=rows_of)
        optimizers = Optimizers(torch.optim.SGD(model.parameters(), 1.0), torch.optim.Adam([hypers.lam], 0.01))
        made = TorchTuner(model, hypers, problem, optimizers, response, TunerConfig(clip=0.25, report_every=10**9))
        made.steps = {"train": 1, "tune": 1}  # the first steps look at the loss and at λ's gradient
        for _ in range(2):  # the second window is the shorter last one
            assert made.train_step() == made.tune_step() == {}
