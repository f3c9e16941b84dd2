"""cifar10-jpeg: CIFAR-10's images as 32 x 32 JPEG files in one npz archive. These are NOT CIFAR-10's pixels.

The archive holds, for train (50,000) and test (10,000), `{split}_jpeg` (uint8, the files one after another),
`{split}_offsets` (int64, n + 1) and `{split}_labels` (uint8). It was published nowhere, so that nothing fetches it.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from hyperopt_hn.data.images import Images, Pixels
from hyperopt_hn.data.locate import Access, cached, find, missing, read, roots
from hyperopt_hn.data.own_images import read_npz
from hyperopt_hn.errors import UserError

FILE = "cifar10_jpeg.npz"
SHA256 = "6ded9b9800d4c4c85cdaaa351175397fee41e5b69e7ecfd477c72bb6479910b3"
LARGEST = 55_792_477  # bytes of the archive
SIDE = 32
PIXELS = "3547dd2188c71a348048e84bb45c3555afe701fcaf425a818a8481665b5ff040"
"""SHA-256 of all decoded images, train then test, as libjpeg-turbo decodes them; other decoders may differ."""
SPLITS = ("train", "test")


def load_cifar10_jpeg(access: Access) -> Images:
    """The data set as (N, 32, 32, 3); decoded once (seconds), then read from the user's cache.

    Raises MissingData when the archive is nowhere, UserError when it is another one or Pillow is not installed.
    """
    places = roots(access.root)
    path = find(places, [""], [FILE])
    if path is None:
        raise missing("cifar10-jpeg is not on disk", (FILE, "digits"), places[0])
    data = read(path, LARGEST)
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UserError(f"{path} is damaged or altered: its sha256 is not the known one; put the right file there")
    try:
        arrays = cached(f"cifar10-jpeg-{SHA256[:16]}", lambda: decode_archive(data), partial(agrees, data))
    except UserError as fault:
        raise UserError(f"{path} {fault}") from None
    for array in arrays.values():
        array.flags.writeable = False
    return Images(
        "cifar10-jpeg",
        arrays["train_images"],
        arrays["train_labels"],
        arrays["test_images"],
        arrays["test_labels"],
        255.0,
        SHA256,
        "cifar10-jpeg: CIFAR-10 re-encoded as JPEG (quality 75), not the official pixels (sha256 checked)",
    )


def decode_archive(data: bytes) -> dict[str, Pixels]:
    """{split}_images (n, 32, 32, 3) and {split}_labels (n,) of an archive's bytes.

    Raises UserError when an array is missing or misshapen, or an image is not a 32 x 32 JPEG in colour.
    """
    arrays: dict[str, Pixels] = {}
    for split, (files, labels) in _packed(data).items():
        images = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
        for i in range(len(labels)):
            images[i] = decode(files(i))
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
    return arrays


def agrees(data: bytes, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether decoded arrays are an archive's: shapes, every label and every image.

    Images whose hash is the known one of the known archive are its own; all others are decoded again and compared.
    """
    if sorted(arrays) != sorted(f"{split}_{what}" for split in SPLITS for what in ("images", "labels")):
        return False
    packed = _packed(data)
    for split, (_, labels) in packed.items():
        images = arrays[f"{split}_images"]
        if images.dtype != np.uint8 or images.shape != (len(labels), SIDE, SIDE, 3):
            return False
        if not np.array_equal(arrays[f"{split}_labels"], labels):
            return False
    if hashlib.sha256(data).hexdigest() == SHA256 and pixels_hash(arrays) == PIXELS:
        return True
    return all(
        np.array_equal(arrays[f"{split}_images"][i], decode(files(i)))
        for split, (files, labels) in packed.items()
        for i in range(len(labels))
    )


def pixels_hash(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the images of both splits."""
    found = hashlib.sha256()
    for split in SPLITS:
        found.update(np.ascontiguousarray(arrays[f"{split}_images"]).data)
    return found.hexdigest()


def _packed(data: bytes) -> dict[str, tuple[Callable[[int], bytes], Pixels]]:
    """Split -> (the bytes of image i, the labels)."""
    names = [f"{split}_{what}" for split in SPLITS for what in ("jpeg", "offsets", "labels")]
    arrays = read_npz(io.BytesIO(data), names)
    found: dict[str, tuple[Callable[[int], bytes], Pixels]] = {}
    for split in SPLITS:
        jpeg, offsets, labels = (arrays[f"{split}_{what}"] for what in ("jpeg", "offsets", "labels"))
        if jpeg.dtype != np.uint8 or jpeg.ndim != 1 or offsets.dtype != np.int64 or offsets.ndim != 1:
            raise UserError(f"is misshapen: {split}_jpeg must be uint8 and {split}_offsets int64, both with one axis")
        if labels.dtype != np.uint8 or labels.shape != (len(offsets) - 1,) or labels.size == 0 or labels.max() > 9:
            raise UserError(f"is misshapen: {split}_labels must hold one class 0..9 (uint8) for each image")
        if offsets[0] != 0 or offsets[-1] != len(jpeg) or np.any(np.diff(offsets) <= 0):
            raise UserError(f"is misshapen: {split}_offsets do not cut {split}_jpeg into files")
        found[split] = (partial(_file, jpeg.tobytes(), offsets.tolist()), labels)
    return found


def _file(content: bytes, offsets: list[int], i: int) -> bytes:
    return content[offsets[i] : offsets[i + 1]]


def decode(jpeg: bytes) -> Pixels:
    """One image (32, 32, 3) of a JPEG file's bytes. Raises UserError for anything else."""
    try:
        from PIL import Image
    except ImportError:
        raise UserError("needs Pillow to be decoded: pip install pillow") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of files that it repairs
            with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
                if image.size != (SIDE, SIDE) or image.mode != "RGB":
                    raise ValueError(f"it is {image.size[0]} x {image.size[1]}, {image.mode}")
                return np.asarray(image, dtype=np.uint8)
    except Exception as error:  # Pillow raises a dozen kinds for damaged bytes
        raise UserError(f"holds an image that is no 32 x 32 JPEG in colour ({' '.join(str(error).split())})") from None
