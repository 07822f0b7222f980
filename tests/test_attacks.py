"""Whatever proc A tries from ring 3, the result is what Intel's manual says, and nothing else.

All attacks in P_PROC; in other programs the table, and a sample of families and random codes.
"""

import itertools
import re
import subprocess

from ringside.attacks import differences, families, games, table
from ringside.emulators import machines
from ringside.recorder import programs
import pytest

EMULATORS = ("bochs", "qemu")
P_PROC = programs.named("p_proc")
OTHERS = [program for program in map(programs.named, programs.on_the_floppy()) if program.attacked and program.name != "p_proc"]
ONE_OF = 23  # of the families' attacks
OF_THE_TABLE = {"bochs": 1, "qemu": 3}  # in other programs: QEMU is the second opinion


def named(program):
    return program.name


def of_families(program):
    return [attack for name in families.FAMILIES for attack in families.family(program, name)]


def wrong(emulator, program, tried):
    """The first few that did not end as they must: each costs a new game, and maybe a long wait."""
    found = ((attack.name, found) for attack, found in games.try_all(emulator, program, tried) if found)
    return list(itertools.islice(found, 3))


@pytest.mark.sample(2)
@pytest.mark.parametrize("emulator", EMULATORS)
def test_each_attack_of_the_table_ends_as_it_must_and_touches_nothing_of_others(emulator):
    assert wrong(emulator, P_PROC, differences.table(P_PROC)) == []


@pytest.mark.sample(7)
@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("emulator", EMULATORS)
def test_no_vector_and_no_selector_leads_anywhere_else(emulator, family):
    assert wrong(emulator, P_PROC, families.family(P_PROC, family)) == []


@pytest.mark.parametrize("model", games.MODELS)
def test_codes_at_random_end_proc_a_at_worst(model):
    found = [(code.data[:64].hex(), wrong) for code, _, wrong in games.at_random(P_PROC, "test", 200, model) if wrong]
    assert found == []


def sample(program, emulator):
    """With pages each attack takes longer: make attack tries them all."""
    tried = differences.table(program)
    if not program.pages:
        return tried[::OF_THE_TABLE[emulator]] + of_families(program)[::ONE_OF]
    common, own = tried[:len(table.TABLE)], tried[len(table.TABLE):]
    return common[::8] + own[::2] + of_families(program)[::5 * ONE_OF] if emulator == "bochs" else common[::24] + own[::8]


@pytest.mark.parametrize("program", [program for program in OTHERS if program.pages], ids=named)
def test_a_few_attacks_on_pages_end_as_they_must(program):
    assert wrong("bochs", program, differences.table(program)[len(table.TABLE)::12]) == []


@pytest.mark.long
@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("program", OTHERS, ids=named)
def test_in_the_other_programs_each_attack_ends_as_it_must(program, emulator):
    assert wrong(emulator, program, sample(program, emulator)) == []


@pytest.mark.parametrize("program", OTHERS, ids=named)
def test_codes_at_random_end_proc_a_at_worst_and_b_where_it_is_a_neighbour(program):
    ends = [(end, wrong) for _, end, wrong in games.at_random(program, "test", 60)]
    assert [wrong for _, wrong in ends if wrong] == []
    together = sum(end == games.BOTH for end, _ in ends)
    assert together <= (10 if program.shared else 0)


@pytest.mark.parametrize("program", [P_PROC, *OTHERS], ids=named)
def test_there_are_more_than_a_hundred_attacks_each_with_a_name_of_its_own(program):
    assert sum(not attack.left_out for attack in differences.table(program)) > 180
    tried = differences.table(program) + of_families(program)
    assert len({attack.name for attack in tried}) == len(tried)


@pytest.mark.parametrize("program", [P_PROC, *OTHERS], ids=named)
def test_what_is_otherwise_has_a_reason(program):
    """In QEMU; and where a program means something else to come of it than P_PROC."""
    same = {attack.name: attack for attack in table.TABLE}
    for attack in differences.table(program) + of_families(program):
        differs = attack.name in same and differences.different(program, same[attack.name]) != same[attack.name]
        assert bool(attack.why) == (attack.harmful or attack.qemu is not None or differs), attack.name
        assert attack.qemu != attack.expected, attack.name
    for pattern in differences.DIFFERENT[program.name]:
        assert any(re.fullmatch(pattern, name) for name in same), pattern


@pytest.mark.long
def test_make_attack_prints_a_line_for_each_and_ends_well():
    run = subprocess.run(machines.by_name([machines.ROOT / "scripts/ringside", "attack", "--program", "p_proc",
                                           "--random", "20", "read cr0", "mov to ds", "lods without"]),
                         text=True, capture_output=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert lines[1].split() == ["read", "cr0", "#GP(0000)", "yes", "yes"]
    assert lines[2].split()[:6] == ["lods", "without", "an", "end", "#GP(0000)", "yes"]
    assert lines[2].endswith("as said TCG checks no segment limits")
    assert lines[-3:-1] == ["p_proc, bochs: yes 78", "p_proc, qemu: yes 77, as said 1"]
    assert lines[-1].startswith("p_proc, at random: 20, of which 0 ")
