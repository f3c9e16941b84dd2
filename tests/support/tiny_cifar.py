"""CIFAR in small for tests: a few images a file, in each of the three forms, with their own checksums."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from hyperopt_hn.data.catalogue import Images
from hyperopt_hn.data.cifar.cifar import CIFAR10, CIFAR100, CifarSet
from hyperopt_hn.data.locate import Published


class Small:
    """A data set of CIFAR's form with a few images a file: every form's bytes and their true arrays."""

    def __init__(self, official: CifarSet) -> None:
        rng = np.random.default_rng(0)
        count = official.classes
        self.parts = []
        for _ in official.counts:
            labels = rng.permutation(official.classes).astype(np.uint8)
            self.parts.append((rng.integers(0, 256, (count, 3072)).astype(np.uint8), labels))
        self.binary = {
            name: self.record(official, *part) for name, part in zip(official.binary_files, self.parts, strict=True)
        }
        self.pickles = {
            name: pickle.dumps({b"data": pixels, official.label_key: labels.tolist()}, protocol=3)
            for (name, _), (pixels, labels) in zip(official.pickles, self.parts, strict=True)
        }
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, content in self.binary.items():
                member = tarfile.TarInfo(f"{official.binary_folder}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        self.archive = gzip.compress(packed.getvalue(), mtime=0)
        md5s = tuple((name, hashlib.md5(content).hexdigest()) for name, content in self.pickles.items())
        published = Published(official.archive.name, len(self.archive), hashlib.md5(self.archive).hexdigest())
        self.source = replace(official, counts=(count,) * len(official.counts), archive=published, pickles=md5s)

    @staticmethod
    def record(official: CifarSet, pixels: np.ndarray, labels: np.ndarray) -> bytes:
        coarse = [np.zeros_like(labels)] * (official.label_bytes - 1)
        return np.concatenate([np.stack([*coarse, labels], 1), pixels], 1).tobytes()

    def lay(self, root: Path, form: str) -> Path:
        folder = {"archive": ".", "pickles": self.source.pickle_folder, "binary": self.source.binary_folder}[form]
        (root / folder).mkdir(parents=True, exist_ok=True)
        contents = {"archive": {self.source.archive.name: self.archive}, "pickles": self.pickles, "binary": self.binary}
        for name, content in contents[form].items():
            (root / folder / name).write_bytes(content)
        return root

    def same(self, images: Images) -> None:
        train = np.concatenate([pixels for pixels, _ in self.parts[:-1]]).reshape(-1, 3, 32, 32)
        np.testing.assert_array_equal(images.train_images.transpose(0, 3, 1, 2), train)
        np.testing.assert_array_equal(images.train_labels, np.concatenate([labels for _, labels in self.parts[:-1]]))
        np.testing.assert_array_equal(images.test_images[..., 1].reshape(-1, 1024), self.parts[-1][0][:, 1024:2048])
        np.testing.assert_array_equal(images.test_labels, self.parts[-1][1])
        for array in (images.train_images, images.train_labels, images.test_images, images.test_labels):
            assert array.dtype == np.uint8 and not array.flags.writeable


SMALL = {"cifar10": Small(CIFAR10), "cifar100": Small(CIFAR100)}
