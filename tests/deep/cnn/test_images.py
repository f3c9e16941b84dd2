"""Splits as published, batches by index on the device, and views of them: clean, or changed at their strengths."""

from __future__ import annotations

import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.augment.pipeline import CIFAR_NORMAL, apply, draw  # noqa: E402
from deep.cnn import images as image_batches  # noqa: E402
from deep.cnn.images import Parts, Pictures, View, counts, load_images, measured, split  # noqa: E402
from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.data import catalogue  # noqa: E402
from hyperopt_hn.data.locate import MissingData  # noqa: E402
from hyperopt_hn.nn import Batches  # noqa: E402
from hyperopt_hn.nn.tuning.codec import load_checkpoint, save_checkpoint  # noqa: E402
from tests.support.image_cases import images  # noqa: E402

CPU = torch.device("cpu")


def source(found, size=8, seed=3, last=False):
    return Pictures(split(Parts(), found).train, size, seed, CPU, last)


def test_the_training_set_ends_in_the_validation_split():
    found = images(80)
    parts = split(Parts(percent_valid=25), found)
    assert np.array_equal(parts.train[0], found.train_images[:60])
    assert np.array_equal(parts.valid[0], found.train_images[60:])
    assert np.array_equal(parts.valid[1], found.train_labels[60:]) and np.array_equal(parts.test[0], found.test_images)
    assert (parts.side, parts.channels, parts.classes) == (8, 3, 4)
    assert counts(Parts(), images(100)) == (80, 20, 24), "by default the last fifth"


def test_limits_count_from_each_splits_start():
    found = images(80)
    parts = split(Parts(n_train=10, n_valid=5, n_test=7), found)
    assert np.array_equal(parts.train[0], found.train_images[:10])
    assert np.array_equal(parts.valid[0], found.train_images[64:69]), "validation starts where the whole split does"
    assert np.array_equal(parts.test[1], found.test_labels[:7])
    assert counts(Parts(n_train=500, n_valid=500, n_test=500), found) == (64, 16, 24), "a limit is no demand"


def test_a_share_that_leaves_nothing_is_told():
    for share in (0.01, 99.9):
        with pytest.raises(UserError, match="--percent-valid"):
            counts(Parts(percent_valid=share), images(80))


def test_classes_that_a_split_lacks_are_told(caplog):
    found = images(80)
    labels = np.repeat(np.arange(4, dtype=np.uint8), 20)
    last = catalogue.Images("last", found.train_images, labels, found.test_images, found.test_labels, 255.0, "", "")
    split(Parts(percent_valid=25), last)
    assert [record.getMessage() for record in caplog.records] == [
        "last: the training split lacks classes that another one has: 3",
        "last: the validation split lacks classes that another one has: 0, 1, 2",
    ]
    caplog.clear()
    split(Parts(percent_valid=25), found)
    assert not caplog.records and set(found.train_labels[60:].tolist()) == {0, 1, 2, 3}


def test_images_must_be_square():
    found = images(80)
    wide = catalogue.Images("wide", found.train_images[:, :, :7], found.train_labels, found.test_images[:, :, :7],
                       found.test_labels, 255.0, "", "")  # fmt: skip
    with pytest.raises(UserError, match="8 x 7 pixels"):
        split(Parts(), wide)


def test_normalisation_is_published_for_cifar_and_measured_elsewhere():
    assert split(Parts(), images(name="cifar10-jpeg")).normal == CIFAR_NORMAL
    found = images(80, name="mine")
    normal = split(Parts(), found).normal
    train = found.train_images[:64] / 255.0
    assert normal.mean == pytest.approx(train.mean((0, 1, 2)), rel=1e-12)
    assert normal.sd == pytest.approx(train.std((0, 1, 2)), rel=1e-12)
    gray = split(Parts(), images(channels=1))
    assert gray.channels == 1 and len(gray.normal.mean) == 1
    assert measured(np.full((3, 2, 2, 1), 51, np.uint8), 255.0).sd == (1.0,), "a constant channel is not divided by 0"


@pytest.mark.parametrize("last", [False, True])
def test_batches_are_the_rows_that_their_numbers_say(last):
    found = images(80)
    mine, order = source(found, last=last), Batches(64, lambda index: index, 8, 3)
    for _ in range(20):  # more than two epochs
        index, (pixels, labels) = order.next().numpy(), mine.next()
        assert pixels.dtype == torch.uint8 and pixels.shape == (8, 3, 8, 8) and labels.dtype == torch.int64
        assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), found.train_images[index])
        assert np.array_equal(labels.numpy(), found.train_labels[index])
        assert pixels.is_contiguous(memory_format=torch.channels_last) == last


def test_once_is_every_image_in_order(monkeypatch):
    monkeypatch.setattr(image_batches, "EVALUATED", 30)
    found = images(80)
    parts = list(source(found).once())
    assert [len(labels) for _, labels in parts] == [30, 30, 4]
    whole = torch.cat([pixels for pixels, _ in parts])
    assert np.array_equal(whole.permute(0, 2, 3, 1).numpy(), found.train_images[:64])


def view(mine, found, **always):
    parts = split(Parts(), found)
    return View(parts.scale, parts.normal, mine.generator, always)


def test_a_clean_view_is_the_normalised_image():
    found = images(80)
    mine = source(found)
    pixels, _ = next(mine.once())
    normal = split(Parts(), found).normal
    wanted = (found.train_images[:64] / 255.0 - np.array(normal.mean)) / np.array(normal.sd)
    clean = view(mine, found, flip=1.0, crop=2.0).clean(pixels).permute(0, 2, 3, 1).numpy()
    assert np.allclose(clean, wanted, atol=2e-6), "what always changes training images does not reach this one"


def test_an_augmented_view_draws_from_the_splits_own_generator():
    found = images(80)
    mine = source(found)
    looked = view(mine, found, flip=0.5)
    pixels, _ = mine.next()
    h = {"indropout": torch.linspace(0.0, 0.9, 8), "dropout0": torch.full((8,), 0.5), "bright": 0.3}
    twin = torch.Generator().manual_seed(0)
    twin.set_state(mine.generator.get_state())
    before = torch.get_rng_state()
    changed = looked.augmented(pixels, h)
    assert torch.equal(before, torch.get_rng_state()), "the global generator is not used"
    raw = pixels.float() / 255.0
    assert torch.equal(changed, apply(raw, draw(raw, {"flip": 0.5, **h}, twin), looked.normal))
    assert not torch.equal(changed, looked.augmented(pixels, h)), "every look is another draw"


def test_each_image_has_strengths_of_its_own():
    found = images(80, side=32)
    mine = source(found)
    pixels, _ = mine.next()
    rates = torch.linspace(0.0, 0.9, 8)
    changed = view(mine, found).augmented(pixels, {"indropout": rates})
    assert (changed == 0).float().mean((1, 2, 3)).tolist() == pytest.approx(rates.tolist(), abs=0.03)
    lengths = torch.tensor([0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 24.0])
    changed = view(mine, found).augmented(pixels, {"cutlength": lengths, "cutholes": torch.ones(8)})
    blank = (changed == 0).all(1)
    sides = [(b.any(1).sum().item(), b.any(0).sum().item()) for b in blank]
    for (rows, columns), length in zip(sides, lengths.tolist(), strict=True):
        assert 0 <= rows <= length and columns <= length and (rows >= length / 2 - 1 or length == 0)


def test_images_are_changed_in_full_precision_and_handed_on_in_half():
    found = images(80)
    mine = source(found)
    pixels, _ = mine.next()
    state = mine.generator.get_state()
    h = {"degrees": 20.0, "cutlength": 3.0, "cutholes": 2.0}
    plain = view(mine, found).augmented(pixels, h)
    mine.generator.set_state(state)
    with torch.autocast("cpu", torch.bfloat16):
        half, clean = view(mine, found).augmented(pixels, h), view(mine, found).clean(pixels)
    assert plain.dtype == torch.float32 and torch.equal(half, plain.bfloat16())
    assert clean.dtype == torch.bfloat16 and torch.equal(clean, view(mine, found).clean(pixels).bfloat16())


def test_a_view_has_the_networks_memory_order():
    found = images(80)
    parts, mine = split(Parts(), found), source(found, last=True)
    pixels, _ = mine.next()
    for last in (False, True):
        looked = View(parts.scale, parts.normal, mine.generator, channels_last=last)
        for seen in (looked.clean(pixels), looked.augmented(pixels, {"hue": 0.1})):
            assert seen.is_contiguous(memory_format=torch.channels_last) == last != seen.is_contiguous()


def test_a_state_brings_back_order_and_draws(tmp_path):
    found = images(80)
    mine = source(found)
    for _ in range(11):
        view(mine, found).augmented(mine.next()[0], {"bright": 0.5})
    save_checkpoint(tmp_path / "state.pt", mine.state())
    wanted = [view(mine, found).augmented(mine.next()[0], {"bright": 0.5}) for _ in range(9)]
    other = source(found)
    other.load_state(load_checkpoint(tmp_path / "state.pt"))
    got = [view(other, found).augmented(other.next()[0], {"bright": 0.5}) for _ in range(9)]
    assert all(torch.equal(a, b) for a, b in zip(wanted, got, strict=True))
    with pytest.raises(UserError, match="resume with the same data"):
        source(images(70)).load_state(mine.state())


def test_ranks_draw_differently(monkeypatch):
    found = images(80)
    first = source(found).generator.get_state()
    monkeypatch.setattr(image_batches.distributed, "rank", lambda: 1)
    assert not torch.equal(first, source(found).generator.get_state())


@pytest.mark.parametrize(
    ("there", "wanted"),
    [({"cifar10", "cifar10-jpeg"}, "cifar10"), ({"cifar10-jpeg"}, "cifar10-jpeg"), (set(), "digits")],
)
def test_auto_takes_what_is_on_disk_and_fetches_nothing(there, wanted, monkeypatch, caplog):
    def reader(name):
        def read(access):
            assert not access.download
            if name not in there:
                raise MissingData("not here")
            return images(name=name)

        return read

    for name in ("cifar10", "cifar10-jpeg"):
        monkeypatch.setitem(catalogue.READERS, name, reader(name))
    with caplog.at_level(logging.WARNING):
        found = load_images("auto")
    assert found.name == wanted
    assert ("going on with digits" in caplog.text) == (wanted == "digits") == ("CIFAR-10 was not on disk" in found.note)


def test_damaged_data_are_not_replaced_by_others(monkeypatch):
    def damaged(access):
        raise UserError("it is damaged")

    monkeypatch.setitem(catalogue.READERS, "cifar10", damaged)
    with pytest.raises(UserError, match="damaged"):
        load_images("auto")


@pytest.mark.data
def test_the_jpeg_copy_splits_as_published():
    found = load_images("cifar10-jpeg")
    parts = split(Parts(), found)
    assert parts.train[0].shape == (40_000, 32, 32, 3) and parts.valid[0].shape == (10_000, 32, 32, 3)
    assert len(parts.test[1]) == 10_000 and parts.classes == 10 and parts.normal == CIFAR_NORMAL
    mean, sd = measured(parts.train[0], 255.0).mean, measured(parts.train[0], 255.0).sd
    assert mean == pytest.approx(CIFAR_NORMAL.mean, abs=0.01) and sd == pytest.approx(CIFAR_NORMAL.sd, abs=0.02)
