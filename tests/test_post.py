"""A QEMU that starts where its BIOS is about to boot is the one that was switched on (ringside/emulators/post.py)."""

import pytest

from ringside.emulators import debuggers, machines, post

BOOT_SECTOR = 0x7c00
CLOCK = ("-rtc", "base=2001-09-09T01:46:40,clock=vm")
# What the BIOS knows of the machine, and what it is itself. Between them it has stacks, where
# interrupts leave their traces; and TICKS go on meanwhile.
LEFT_BY_THE_BIOS = (0x0, 0x500), (0x9fc00, 0xa0000), (0xb8000, 0xb8fa0), (0xc0000, 0xe0000), (0xf0000, 0x100000)
TICKS, A_SECOND = 0x46c, 18


def at_the_boot_sector(power_on):
    """When the boot sector begins: the BIOS' ticks; registers, memory and interrupt controllers."""
    with debuggers.DebuggedQemu(power_on=power_on, extra=CLOCK) as machine:
        kept = any("post/" in word for word in machine.process.args)
        machine.run_to(BOOT_SECTOR)
        ticks = machine.word(TICKS)
        machine.write(TICKS, bytes(4))
        memory = [machine.read(start, end - start) for start, end in (*LEFT_BY_THE_BIOS, (BOOT_SECTOR, BOOT_SECTOR + 512))]
        return kept, ticks, machine.registers(), memory, machine.hmp("info pic")


def test_the_boot_sector_finds_the_same_machine():
    cold, kept = at_the_boot_sector(True), at_the_boot_sector(False)
    assert (cold[0], kept[0]) == (False, True)
    assert abs(kept[1] - cold[1]) < A_SECOND
    assert kept[2:] == cold[2:]


@pytest.mark.parametrize("options", [{"machine": "isapc"}, {"cpu": "486"}, {"drive": "disk"}, {"extra": ["-no-shutdown"]},
                                     {"power_on": True}], ids=str)
def test_any_other_machine_is_switched_on(options):
    with machines.Qemu(stopped=True, **options) as machine:
        assert not any("post/" in word for word in machine.process.args)
        assert machine.registers()["eip"] == 0xfff0


def test_a_kept_machine_goes_on_where_the_bios_boots():
    with machines.Qemu(stopped=True) as machine:
        registers = machine.registers()
        assert registers["cs"].base + registers["eip"] == post.POST_END
        assert machine.log() == []
        machine.cont()
        machine.wait_log("^switch n=1 ")
