"""One floppy, all the PCs that QEMU has: it boots, plays, and obeys."""

from ringside.emulators import machines
import pytest

CPUS = ("486", "pentium", "qemu32", "max")
PCS = [("pc", cpu, "floppy") for cpu in CPUS]
PCS += [("isapc", cpu, "floppy") for cpu in CPUS]
PCS += [("q35", cpu, drive) for cpu in ("qemu32", "max") for drive in ("floppy", "usb")]
PCS += [("pc", "486", "usb"), ("pc", "pentium", "disk"), ("isapc", "486", "disk")]


@pytest.mark.parametrize("machine, cpu, drive", PCS)
def test_it_plays_at_full_speed(machine, cpu, drive):
    with machines.Qemu(machine=machine, cpu=cpu, drive=drive, power_on=True) as pc:
        pc.wait_log("n=1 ")
        pc.key("f")
        pc.wait_log("switch n=65536 from=B to=A ")
        assert "full speed" in pc.screen()[0]
