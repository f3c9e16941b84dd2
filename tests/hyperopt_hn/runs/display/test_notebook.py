"""What a notebook shows of a picture: the bytes on disk."""

from hyperopt_hn.runs.display.notebook import Picture


def test_a_notebook_shows_what_is_on_disk(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG...")
    (tmp_path / "a.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    shown = {name: Picture(tmp_path / f"a.{name}") for name in ("png", "svg", "pdf")}
    assert [shown[name]._repr_png_() for name in shown] == [b"\x89PNG...", None, None]
    assert [shown[name]._repr_svg_() for name in shown] == [None, "<svg/>", None]
