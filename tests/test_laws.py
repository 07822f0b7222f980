"""Laws for kernels, looked for in recordings: scripts/ringside laws.

A healthy recording breaks none. Each law is broken here by one change in a recording, as a mistake of
ring 0 would have made it, and must be the one that is named.
"""

import copy
import os
import re
import subprocess

import pytest

import try_mistakes as mistakes
from ringside.emulators.machines import ROOT, by_name
from ringside.laws import command, laws
from ringside.recorder import recording

IF, DF, IOPL, NT = 1 << 9, 1 << 10, 3 << 12, 1 << 14
PROGRAMS = ("p_proc", "kstack", "userctx", "timer", "callgate", "hwtask")


@pytest.fixture(scope="module")
def made(recorded):
    return recorded("bochs", switches=4)


@pytest.mark.sample(3)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_healthy_program_breaks_none(program, recorded):
    assert laws.broken(recorded("bochs", program, switches=3 if program == "timer" else 1), strict=True) == []


class Steps:
    """A recording that may be changed: states as they are found, changes into what follows as well."""

    def __init__(self, made):
        self.made = {**made, "steps": copy.deepcopy(made["steps"])}
        self.walked = list(recording.walk(made))

    def number(self, before, after, last=True):
        """Of a step between these rings, the last or the first."""
        found = [number for number, one, _, other in self.walked if (one["cpl"], other["cpl"]) == (before, after)]
        return found[-1 if last else 0]

    def becomes(self, number, **values):
        self.made["steps"][number]["changes"] |= values
        return self.made


def back(steps):
    return steps.number(0, 3)


def register_lost(steps):
    return steps.becomes(back(steps), edx=0xdeadbeef)


def flags_lost(steps):
    number = back(steps)
    return steps.becomes(number, eflags=steps.walked[number][3]["eflags"] ^ 1)


def segment_lost(steps):
    number = back(steps)
    return steps.becomes(number, fs={**steps.walked[number][3]["fs"], "selector": 0x1234})


def hidden_base_lost(steps):
    number = back(steps)
    ds = steps.walked[number][3]["ds"]
    return steps.becomes(number, ds={**ds, "base": ds["base"] + 16})


def iopl_3(steps):
    number = back(steps)
    return steps.becomes(number, eflags=steps.walked[number][3]["eflags"] | IOPL)


def interrupts_off(steps):
    number = back(steps)
    return steps.becomes(number, eflags=steps.walked[number][3]["eflags"] & ~IF)


def fpu_open(steps):
    number = back(steps)
    return steps.becomes(number, cr0=steps.walked[number][3]["cr0"] & ~0xc)


def limit_off_by_one(steps):
    number = back(steps)
    gdtr = steps.walked[number][3]["gdtr"]
    return steps.becomes(number, gdtr={**gdtr, "limit": gdtr["limit"] + 1})


def trap_gate(steps):
    number = steps.number(3, 0)
    return steps.becomes(number, eflags=steps.walked[number][3]["eflags"] | IF)


def first_start_knows_the_tss(steps):
    number = steps.number(0, 3, last=False)
    state = steps.walked[number][3]
    return steps.becomes(number, ebx=state["tr"]["base"])


def direction_flag(steps):
    number = next(number for number, before, step, _ in steps.walked if number > steps.number(3, 0, last=False)
                  and before["cpl"] == 0 and step["text"].startswith("call") and "folded" not in step)
    return steps.becomes(number - 1, eflags=steps.walked[number - 1][3]["eflags"] | DF)


def eip_overwritten(steps):
    number = back(steps)
    return steps.becomes(number, eip=steps.walked[number][3]["eip"] + 2)


def sti_in_ring_0(steps):
    number = steps.number(3, 0) + 2
    return steps.becomes(number, eflags=steps.walked[number][3]["eflags"] | IF)


def exceptions_vector(steps):
    number = steps.number(3, 0)
    steps.made["steps"][number]["interrupt"] = 8
    return steps.made


BROKEN = {"R1": (register_lost, flags_lost, segment_lost, hidden_base_lost), "P2": (iopl_3,), "P3": (interrupts_off,),
          "P4": (fpu_open,), "I1": (trap_gate, sti_in_ring_0), "S1": (first_start_knows_the_tss,), "D0": (direction_flag,),
          "F2": (eip_overwritten,), "V1": (exceptions_vector,), "G2": (limit_off_by_one,)}


@pytest.mark.parametrize("law, change", [(law, change) for law, changes in BROKEN.items() for change in changes],
                         ids=lambda one: one if type(one) is str else one.__name__)
def test_a_change_that_breaks_a_law_is_named(law, change, made):
    found = laws.broken(change(Steps(made)), strict=True)
    assert law in {finding.law for finding in found}
    assert {finding.law for finding in found} <= {law, "R1"}     # what comes back may be wrong as well
    assert all(finding.said and finding.step >= 0 for finding in found)


@pytest.fixture(scope="module")
def called(recorded):
    return recorded("bochs", "callgate", switches=2)


def still_open(steps):
    number = steps.number(3, 0, last=False)
    number = next(place for place, _, step, _ in steps.walked if place > number and step["text"] == "cli")
    return steps.becomes(number, eflags=steps.walked[number][3]["eflags"] | IF)


def test_a_value_that_ring_3_had_itself_is_not_ring_0s(made):
    """A new program in the old one's place begins with its registers, whatever lies there by now."""
    steps = Steps(made)
    _, before, _, after = steps.walked[steps.number(0, 3, last=False)]
    after = {**after, "ebx": after["tr"]["base"]}
    watch = laws.Watch(made, False)
    assert [law for law, *_ in watch._unknown(before, after, None)] == ["S1"]
    watch.waiting = [laws.Left(0, {**before, "esi": after["ebx"]}, True, False, {}, laws.NOWHERE, None)]
    assert list(watch._unknown(before, after, None)) == []


@pytest.mark.parametrize("law, change", [("R1", register_lost), ("R1", flags_lost), ("I1", still_open)])
def test_a_call_gate_is_held_to_the_same_laws(law, change, called):
    assert {finding.law for finding in laws.broken(change(Steps(called)), strict=True)} == {law}


@pytest.mark.parametrize("ring, came", [(0, 0x2000), (1, None)])
def test_a_way_in_to_another_ring_lands_on_another_stack(ring, came, made):
    """Each ring has a stack of its own: what ring 1 has returned from says nothing of where ring 0 lands."""
    watch = laws.Watch(made, strict=False)
    number, before, step, after = next(one for one in recording.walk(made) if (one[1]["cpl"], one[3]["cpl"]) == (3, 0))
    watch.now, watch.came, watch.came_from = (number, before, step, after), 0x2000, ring
    list(watch._step(number, before, step, after))
    assert [landing.came for landing in watch.landings] == [came] * (came is not None)


def test_spaces_that_share_a_stack_or_let_code_be_written_are_named(recorded, monkeypatch):
    entry = 0x5000 | laws.pages.PRESENT | laws.pages.USER | laws.pages.WRITABLE
    made = recorded("bochs", "sysenter", switches=2, start="ckpt_spaces")
    assert laws.broken(made, strict=True) == []
    monkeypatch.setattr(laws.paged, "leaf", lambda state, linear: entry)
    assert {finding.law for finding in laws.broken(made, strict=True)} >= {"P5", "P7"}
    assert not {finding.law for finding in laws.broken(made)} & {"P5", "P7"}


@pytest.mark.parametrize("base, broken", [(0x8000, ["T2"]), (0x9000, [])])
def test_two_threads_have_a_segment_of_their_own_under_one_selector(base, broken):
    def state(held):
        segment = {"selector": 0x3b, "base": held, "limit": 15}
        return {"gs": segment, "ss": {"base": 0x1000}, "cs": {"selector": 0x1b}, "eip": 0}
    other = laws.Left(1, state(0x8000), True, False, {}, 0, None)
    assert [law for law, _, _ in laws.threads("gs", state(base), other)] == broken


def stale(made):
    """As if esp0 were not rewritten: B's way in pushes its words where A's lie."""
    steps = Steps(made)
    ins = [number for number, before, _, after in steps.walked if (before["cpl"], after["cpl"]) == (3, 0)]
    first, second = ([access for access in steps.made["steps"][number]["accesses"] if access[0] == "write"]
                     for number in ins[2:4])
    for one, other in zip(first, second):
        other[1] = one[1]
    return steps.made


def test_words_that_another_way_in_overwrites_are_f1(made):
    found = laws.broken(stale(made), strict=True)
    assert found[0].law == "F1" and "overwrites what was pushed" in found[0].said


@pytest.mark.parametrize("head, law", [({"iomap": 0, "in_service": []}, "P6"), ({"iomap": None, "in_service": [1] * 8}, "E1"),
                                       ({"iomap": None, "in_service": [], "quiet": 1}, "E1")])
def test_what_was_seen_at_the_end_breaks_laws(head, law, made):
    told = {"image": "x", "kind": "disk", "listed": 8, **head}
    assert [finding.law for finding in laws.broken({**made, "crossings": told})] == [law]


def test_an_interrupted_ring_0_with_ever_less_stack_is_k1(made):
    state = next(before for _, before, _, after in recording.walk(made)
                 if before["cpl"] == after["cpl"] == 0 and before["cr0"] & 1)
    steps = []
    for number in range(8):
        step = {**made["steps"][0], "text": "interrupt 0x20", "interrupt": 0x20, "accesses": [], "changes": {}}
        steps += [step, {**step, "gap": 1, "changes": {"esp": state["esp"] - 4 * number - 4}}]
    for step in steps[1::2]:
        del step["interrupt"]
    assert [finding.law for finding in laws.broken({**made, "state": state, "steps": steps})] == ["K1"]


SHOWN = re.search(r"\n\n((?:    .+\n)+)", (ROOT / "docs/laws.md").read_text())[1]


def without_addresses(text):
    """These are the compiler's, and how many steps there are until then."""
    return re.sub(r"\b[0-9a-f]{8}\b|(?<=step )\d+", "?", " ".join(text.split()))


@pytest.mark.skipif("ALL_MISTAKES" not in os.environ, reason="of all mistakes only")
def test_the_page_shows_what_the_tool_says_of_a_stale_esp0(tmp_path, capsys):
    kernel, folder = mistakes.build("esp0-stale", tmp_path)
    assert command.main([str(folder / f"{kernel}.elf"), "--first", "120"]) == command.BROKEN
    assert without_addresses(SHOWN) in without_addresses(capsys.readouterr().out)


def test_the_page_counts_what_is_found_of_the_breakages():
    lines = [line.split(None, 1)[1] for line in (ROOT / "tests/breakages/laws.txt").read_text().splitlines()
             if line and not line.startswith("#")]
    found, named = (sum(line.startswith(tool) for line in lines) for tool in ("laws:", "why:"))
    text = " ".join((ROOT / "docs/laws.md").read_text().split())
    assert (f"Of {len(lines)} breakages of the guest, laws find {found}, and `scripts/ringside why` finds {named} more; of "
            f"{len(lines) - found - named} nothing outside") in text
    assert not [line for line in lines if line.startswith(("not tried", "none", "?"))]


def test_each_law_is_listed_with_the_kernels_that_it_counts_for():
    run = subprocess.run(by_name([ROOT / "scripts/ringside", "laws", "--list"]), text=True, capture_output=True, timeout=60)
    assert [line.split()[0] for line in run.stdout.splitlines()] == list(laws.LAWS)


@pytest.mark.parametrize("words, status, says", [
    ([], command.USAGE, "--help says more"),
    (["there-is-none"], command.USAGE, "there is no there-is-none"),
    (["README.md"], command.USAGE, "does not boot"),
])
def test_wrong_usage_has_a_status_of_its_own(words, status, says, capsys):
    try:
        got = command.main(words)
    except SystemExit as end:
        got = end.code
    assert got == status and says in capsys.readouterr().err


def test_a_recording_without_ring_3_cannot_be_told_of(made, tmp_path, capsys):
    recording.save({**made, "steps": made["steps"][:4]}, tmp_path / "short.json")
    assert command.main([str(tmp_path / "short.json")]) == command.CANNOT_TELL
    assert "nothing enters or leaves ring 3" in capsys.readouterr().err
