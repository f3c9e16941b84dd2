"""Arrays, and states (nested dicts with arrays), as npz archives with a checksum and without pickled objects."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from hyperopt_hn.errors import NewerError, UnreadError, UserError, start_again
from hyperopt_hn.files.signed_archives import Signed, check_headers, check_stored, unread, verified

FORMAT = 2
"""Version of the checkpoint layout; a reader refuses a newer one. From 2 on a file without its checksum is damaged."""

_PLAIN = "plain.json"
_ARRAY = "__array__"


def save_arrays(file: BinaryIO, arrays: Mapping[str, Any], plain: str | None = None) -> None:
    """An npz archive whose bytes depend on the contents alone (fixed dates, no pickle, not compressed), signed."""
    signed = Signed(file)
    with zipfile.ZipFile(cast("BinaryIO", signed), "w", zipfile.ZIP_STORED) as archive:
        if plain is not None:
            archive.writestr(_entry(_PLAIN), plain)
        for name, array in arrays.items():
            with archive.open(_entry(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    signed.sign()


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an npz archive, checked and without pickle. Raises UserError for anything else."""
    return _read(path)[0]


def save_state(file: BinaryIO, state: Mapping[str, Any]) -> None:
    """A state (nested dicts and lists of arrays and plain data) as one npz archive."""
    arrays: dict[str, np.ndarray] = {}
    plain = json.dumps({"format": FORMAT, "state": _pack(state, arrays)}, allow_nan=False)
    save_arrays(file, arrays, plain)


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, equal bit for bit. Raises UserError for a damaged, foreign, newer or unread file."""
    arrays, plain, signed = _read(path)
    try:
        whole = json.loads(plain) if plain is not None else None
        if not isinstance(whole, dict) or not isinstance(whole.get("format"), int):
            raise ValueError("it is no checkpoint")
        if whole["format"] > FORMAT:
            raise NewerError.spelled(
                lambda say: (
                    f"{path} has format {whole['format']}, newer than this program's {FORMAT}: update hyperopt_hn, "
                    f"or start the run again with {say('overwrite')}, without {say('resume')}"
                )
            )
        if whole["format"] >= 2 and not signed:
            raise ValueError("its checksum is missing")
        state = _unpack(whole["state"], arrays)
        if not isinstance(state, dict):
            raise ValueError("it holds no state")
        return state
    except NewerError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise start_again(f"{path} cannot be used: {error}") from None


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))


def _read(path: Path) -> tuple[dict[str, np.ndarray], str | None, bool]:
    signed = False
    try:
        signed = verified(path)
        check_stored(path)
        with zipfile.ZipFile(path) as archive:
            plain = archive.read(_PLAIN).decode() if _PLAIN in archive.namelist() else None
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            check_headers(archive, names)
            return {name[:-4]: _array(archive.read(name)) for name in names}, plain, signed
    except FileNotFoundError:
        raise UserError(f"{path} is missing; is {path.parent} a finished run?") from None
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damaged bytes
        if system := unread(error, signed):
            raise UnreadError(path, system) from None
        raise start_again(f"{path} is damaged ({error})") from None


def _array(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    if stream.tell() != len(data):
        raise ValueError("an array has surplus bytes")
    return array


def _pack(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = node
        return {_ARRAY: key}
    if isinstance(node, np.generic):
        return node.item()
    if isinstance(node, Mapping):
        if not all(isinstance(key, str) for key in node):
            raise TypeError("the keys of a state must be strings")
        return {key: _pack(value, arrays) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_pack(value, arrays) for value in node]
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    raise TypeError(f"a state holds arrays and plain data, not {type(node).__name__}")


def _unpack(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, dict):
        if set(node) == {_ARRAY}:
            return arrays[node[_ARRAY]]
        return {key: _unpack(value, arrays) for key, value in node.items()}
    if isinstance(node, list):
        return [_unpack(value, arrays) for value in node]
    return node
