"""Whatever proc A tries from ring 3, what Intel's manual says comes of it, and nothing else."""

import itertools
import subprocess

import attacks
import machines
import pytest
import siege

EMULATORS = ("bochs", "qemu")
ALL = [*attacks.TABLE, *(attack for name in attacks.FAMILIES for attack in attacks.family(name))]


def wrong(emulator, tried):
    """The first few that did not end as they must: each costs a new game, and maybe a long wait."""
    found = ((attack.name, found) for attack, found in siege.besiege(emulator, tried) if found)
    return list(itertools.islice(found, 3))


@pytest.mark.parametrize("emulator", EMULATORS)
def test_each_attack_of_the_table_ends_as_it_must_and_touches_nothing_of_others(emulator):
    assert wrong(emulator, attacks.TABLE) == []


@pytest.mark.parametrize("family", attacks.FAMILIES)
@pytest.mark.parametrize("emulator", EMULATORS)
def test_no_vector_and_no_selector_leads_anywhere_else(emulator, family):
    assert wrong(emulator, attacks.family(family)) == []


@pytest.mark.parametrize("model", siege.MODELS)
def test_codes_at_random_end_proc_a_at_worst(model):
    found = [(code.data[:64].hex(), wrong) for code, _, wrong in siege.at_random("test", 200, model) if wrong]
    assert found == []


def test_there_are_more_than_a_hundred_attacks_each_with_a_name_of_its_own():
    assert len(attacks.TABLE) > 100
    assert len({attack.name for attack in ALL}) == len(ALL)


def test_what_qemu_does_otherwise_has_a_reason():
    for attack in ALL:
        assert bool(attack.why) == (attack.harmful or attack.qemu is not None), attack.name
        assert attack.qemu != attack.expected, attack.name


def test_make_attack_prints_a_line_for_each_and_ends_well():
    run = subprocess.run([machines.ROOT / "lab/attack", "--random", "20", "read cr0", "mov to ds", "lods without"],
                         text=True, capture_output=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert lines[1].split() == ["read", "cr0", "#GP(0000)", "yes", "yes"]
    assert lines[2].split()[:6] == ["lods", "without", "an", "end", "#GP(0000)", "yes"]
    assert lines[2].endswith("as said TCG checks no segment limits")
    assert lines[-3:-1] == ["bochs: yes 78", "qemu: yes 77, as said 1"]
    assert lines[-1].startswith("at random: 20, of which 0 ")
