"""What all tests share. `make test` builds before it calls pytest; this builds nothing."""

import pytest

from ringside.emulators import machines


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
