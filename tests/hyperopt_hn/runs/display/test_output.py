"""What cannot be shown is replaced, what cannot be written is dropped; neither ends a run or changes its exit code."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from hyperopt_hn.runs.display.output import PLAIN, Patient, one_line, protected
from tests.support.paths import ROOT

SCRIPT = """
import sys
from hyperopt_hn.runs.display.output import protected
def main():
    for i in range({lines}):
        print("λ̂ → Δ-STN … é", i)
    print("error λ", file=sys.stderr)
    return 3
raise SystemExit(protected(main))
"""


def shell(command: str, lines: int = 2, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The script in a shell's redirections, "PY" being it."""
    quoted = SCRIPT.format(lines=lines).replace('"', '\\"')
    words = command.replace("PY", f'"{sys.executable}" -c "{quoted}"')
    return subprocess.run(
        ["bash", "-c", words], capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONUTF8": "0", **environment}
    )


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        ("ascii", b"lambda -> Delta-STN ... e 0"),
        ("latin-1", b"lambda -> Delta-STN ... \xe9 0"),
        ("utf-8", "λ̂ → Δ-STN … é 0".encode()),
    ],
)
def test_an_encoding_that_lacks_letters_gets_them_spelled(encoding, line):
    done = shell("PY", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout.splitlines()[0]) == (3, line) and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", ["PY > /dev/full", "PY >&-", "PY >&- 2>&- <&-", "PY 2> /dev/full", "PY < /dev/null"]
)
def test_what_cannot_be_written_is_dropped(command):
    done = shell(command)
    assert done.returncode == 3 and b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr


def test_a_reader_that_leaves_does_not_end_the_run():
    done = shell('PY | head -1; exit "${PIPESTATUS[0]}"', lines=20_000)
    assert done.returncode == 3 and done.stdout.count(b"\n") == 1 and done.stderr == "error λ\n".encode()


def test_a_closed_descriptor_is_not_given_to_the_next_file(tmp_path):
    """With stdout closed the next open file would be descriptor 1, and what is printed would land in it."""
    code = (
        "import os, sys; from hyperopt_hn.runs.display.output import protected\n"
        "def main():\n"
        f"    file = open({str(tmp_path / 'log')!r}, 'w'); assert file.fileno() > 2\n"
        "    print('x'); os.system('echo y'); return 0\n"
        "raise SystemExit(protected(main))"
    )
    done = subprocess.run(["bash", "-c", f'"{sys.executable}" -c "{code}" >&- 2>&- <&-'], cwd=ROOT)
    assert done.returncode == 0 and (tmp_path / "log").read_text() == ""


def test_streams_come_back():
    before = sys.stdout, sys.stderr
    with pytest.raises(SystemExit):
        protected(lambda: sys.exit(2))
    assert (sys.stdout, sys.stderr) == before


def test_a_failed_stream_stays_silent():
    class Breaks(io.StringIO):
        tries = 0

        def write(self, text: str) -> int:
            self.tries += 1
            raise OSError(5, "Input/output error")

    inner = Breaks()
    stream = Patient(inner)
    stream.writelines(["a", "b"])
    stream.flush()
    assert inner.tries == 1 and not stream.isatty()
    closed = io.StringIO()
    closed.close()
    Patient(closed).write("x")
    assert not Patient(closed).isatty() and Patient(None).write("x") == 1


@pytest.mark.parametrize(
    ("text", "shown"), [("αΩλ", b"alphaOmegalambda"), ("naïve", b"naive"), ("日\udcff", b"??"), ("a–b×c", b"a-bxc")]
)
def test_spelling(text, shown):
    assert text.encode("ascii", PLAIN) == shown


def test_one_line_shows_escapes_as_text():
    assert one_line("a\n b\x1b[31mé\udcff\0") == "a b\\x1b[31mé\\udcff\\x00"
