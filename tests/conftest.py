"""What all tests share. `make test` builds before it calls pytest; nothing is built here."""

import pathlib
import sys

import pytest

sys.dont_write_bytecode = True  # no __pycache__
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))

import machines  # noqa: E402  (after the lines above)


def pytest_configure(config):
    if not machines.FLOPPY.exists():
        raise pytest.UsageError(f"no {machines.FLOPPY.relative_to(machines.ROOT)}: run: make")
    if not config.option.basetemp:
        config.option.basetemp = machines.BUILD / "pytest"


@pytest.fixture
def qemu():
    """The floppy, booted in QEMU."""
    with machines.Qemu() as machine:
        yield machine


@pytest.fixture
def debugger():
    """The floppy at the first prompt of Bochs."""
    with machines.Bochs() as machine:
        yield machine
