"""What the clues are given: the machine at the exception, and what came before it."""

import dataclasses

from ringside.why.log import Event
from ringside.why.machine import Machine
from ringside.why.source import Symbols


@dataclasses.dataclass
class Context:
    """Where a check failed, and what came before."""
    machine: Machine
    event: Event            # the first exception
    before: Event | None    # what the CPU did before
    symbols: Symbols
    past: list[Event]
