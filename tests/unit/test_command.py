"""A command whose output nobody reads any more ends without a traceback; an error of another pipe is still one."""

import os
import subprocess
import sys

import pytest

PRINTS = "import sys; from flows import command; sys.exit(command.run(lambda: [print('x' * 99) for _ in range({lines})] and 0))"
OTHER_PIPE = """
import os, sys
from flows import command
def main():
    read, write = os.pipe()
    os.close(read)
    os.write(write, b"x")
sys.exit(command.run(main))
"""


@pytest.mark.parametrize(
    "arguments",
    [["-c", PRINTS.format(lines=1)], ["-c", PRINTS.format(lines=5000)], ["-m", "flows.presets", "--help"]],
    ids=["less than the buffer", "more than pipe and buffer", "help"],
)
def test_a_reader_that_has_gone_is_no_error(arguments: list[str]) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=buffered) as command:
        assert command.stdout is not None and command.stderr is not None
        command.stdout.close()
        assert (command.stderr.read(), command.wait()) == ("", 141)


def test_a_reader_that_stays_gets_it_all() -> None:
    done = subprocess.run([sys.executable, "-c", PRINTS.format(lines=5000)], capture_output=True, text=True, check=True)
    assert len(done.stdout) == 5000 * 100


def test_an_error_of_another_pipe_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", OTHER_PIPE], capture_output=True, text=True)
    assert done.returncode == 1 and "BrokenPipeError" in done.stderr
