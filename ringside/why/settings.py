"""How an image is run, in QEMU or in Bochs."""

import dataclasses


@dataclasses.dataclass
class Options:
    """As on the command line."""
    seconds: float = 10
    until: str = ""
    keys: str = ""
    machine: str = "pc"
    memory: int = 128
    cpu: str = "pentium3"
    crossings: int = 8192
    qemu: list[str] = dataclasses.field(default_factory=list)
