"""Where a run computes: bf16 on a processor that lacks it is warned of; what it changes is no part of a name."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("torch")

from deep import machine as machine_module
from deep.machine import Machine, bf16_instructions, device_of
from hyperopt_hn.config import fields


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse avx512f avx512_bf16 amx_tile\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu sse avx2 avx512f\n", False),
        ("model name: unknown\n", True),
    ],
)
def test_instructions_are_read_off_the_system(text, has, tmp_path):
    (tmp_path / "cpuinfo").write_text(text)
    assert bf16_instructions(tmp_path / "cpuinfo") == has
    assert bf16_instructions(tmp_path / "none")


def test_bf16_without_instructions_warns(monkeypatch):
    monkeypatch.setattr(machine_module, "bf16_instructions", lambda: False)
    with pytest.warns(UserWarning, match="about four times slower than float32"):
        device_of(Machine(device="cpu", amp="bf16"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        device_of(Machine(device="cpu"))
        monkeypatch.setattr(machine_module, "bf16_instructions", lambda: True)
        device_of(Machine(device="cpu", amp="bf16"))


def test_what_is_technical():
    technical = {name for name, (field, _) in fields(Machine()).items() if field.metadata["technical"]}
    assert technical == {"device", "compile", "channels_last", "deterministic", "graphs", "tensorboard"}
