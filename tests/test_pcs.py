"""One floppy, all the PCs that QEMU has, and Bochs' oldest: it boots, plays, and obeys."""

from ringside.emulators import machines
from ringside.recorder import programs
import pytest
from ringside.emulators import versions

CPUS = ("486", "pentium", "qemu32", "max")
PCS = [("pc", cpu, "floppy") for cpu in CPUS]
PCS += [("isapc", cpu, "floppy") for cpu in CPUS]
PCS += [("q35", cpu, drive) for cpu in ("qemu32", "max") for drive in ("floppy", "usb")]
PCS += [("pc", "486", "usb"), ("pc", "pentium", "disk"), ("isapc", "486", "disk")]
MODELS = (*(("i386", "i486dx4") if versions.holds("bochs-old-models") else ()), "pentium")


@pytest.mark.sample(3)
@pytest.mark.parametrize("machine, cpu, drive", PCS)
def test_it_plays_at_full_speed(machine, cpu, drive):
    with machines.Qemu(machine=machine, cpu=cpu, drive=drive, power_on=True) as pc:
        pc.wait_log("n=1 ")
        pc.key("f")
        pc.wait_log("switch n=65536 from=B to=A ")
        assert "full speed" in pc.screen()[0]


@pytest.mark.sample(3)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("program", programs.on_the_floppy())
def test_each_program_plays_on_the_oldest_cpus_that_bochs_has(tmp_path, program, model):
    image = machines.floppy_that_starts(program, tmp_path / "floppy.img")
    with machines.Bochs(image, magic=False, options=machines.bochs_cpu(model)) as pc:
        pc.send("c")
        if program in machines.BOCHS_MODELS:
            pc.wait_log("^boot prog=\\w+ stays-out=")
            return
        pc.wait_log("switch n=256 ", 60)
        pc.stop()
        assert not [line for line in pc.log() if line.startswith(("fault", "end", "panic", "halt"))]
