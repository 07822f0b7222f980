"""Hardware interrupts in recordings of TIMER: each is a step of its own, judged by Intel's rules, and the
same in both emulators."""

from ringside.emulators import registers
from ringside.judge import compare
from ringside.judge import judge
import pytest
from ringside.recorder import record, recorded, recording
from ringside.judge.facts import IF, RF
from ringside.judge.states import flat, Layout
from ringside.judge import rules

IRQ_0 = 0x20
FRAME_OF_PUSHA = slice(4, 12)   # words of a frame
FULL_SPEED = b"\6"             # of TIMER, see timer.S
EMULATORS = ("bochs", "qemu")


@pytest.fixture(scope="module")
def pair():
    """From the stub's first instruction to the third tick: the handler begins with xchg %bx, %bx."""
    return list(record.record_both("timer", switches=3))


@pytest.fixture(scope="module")
def fast():
    """From A's first instruction on, at full speed: from the second tick on, it begins with pusha."""
    hurried = {name: type(name, (emulator,), {"skip_switches": to_full_speed})
               for name, emulator in record.EMULATORS.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "EMULATORS", hurried)
        return list(record.record_both("timer", start="proc_a_code", after=1, switches=8))


def to_full_speed(machine, _):
    """As keys would set it, before the first switch."""
    machine.run_to("pace_start")
    machine.write(machine.linear("pace"), FULL_SPEED)
    machine.write(machine.linear("by_hand"), b"\1")


def interrupts(made, begins=""):
    """Gives (state before, step, state after, the next step) of each; or of those whose handler begins so."""
    steps = list(recording.walk(made))
    for (_, before, step, after), following in zip(steps, steps[1:]):
        if "interrupt" in step and following[2]["text"].startswith(begins):
            yield before, step, after, following[2]


# ---- recorded

def test_an_interrupt_is_a_step_of_its_own_between_two_instructions(pair, fast):
    for made, begins in [(made, "xchg %bx,%bx") for made in pair] + [(made, "pusha") for made in fast]:
        found = list(interrupts(made, begins))
        assert len(found) >= 3
        for before, step, after, following in found:
            assert (step["interrupt"], step["bytes"], step["text"]) == (IRQ_0, "", "interrupt 0x20")
            assert step["symbol"].startswith("proc_")
            assert step["source"].rpartition("/")[2].startswith(("proc.h:", "draw.h:"))
            assert (before["cpl"], after["cpl"]) == (3, 0)
            gate = int(before["idt"][IRQ_0], 16)
            assert after["eip"] == gate & 0xFFFF
            for letter in "AB":  # what the handler saves first is not saved yet
                assert after["frames"][letter][FRAME_OF_PUSHA] == before["frames"][letter][FRAME_OF_PUSHA]


def test_in_bochs_five_words_are_the_interrupts_and_eight_are_the_handlers(fast):
    for before, step, after, following in interrupts(fast[0], "pusha"):
        top = fast[0]["base"] + before["tss"]["esp0"]
        pushed = [before["ss"]["selector"], before["esp"], before["eflags"], before["cs"]["selector"], before["eip"]]
        saved = [before[name] if name != "esp" else after["esp"] for name in registers.GENERAL]
        assert [access for access in step["accesses"] if access[0] == "write"] == [
            ["write", top - 4 * number, 4, value] for number, value in enumerate(pushed, 1)]
        assert step["accesses"][0][1] == before["idtr"]["base"] + 8 * IRQ_0
        assert following["accesses"] == [
            ["write", top - 20 - 4 * number, 4, value] for number, value in enumerate(saved, 1)]


def test_bochs_which_does_not_stop_behind_an_interrupt_has_the_same_there_as_qemu_which_does(pair, fast):
    """Except edx behind a look at full speed, until the proc's own is back: it comes from the emulator's clock."""
    for (bochs, qemu), looks in (pair, ()), (fast, ("edx",)):
        made = compare.Comparison(bochs, qemu)
        steps = bochs["steps"]
        assert [str(one) for one in made.differences
                if one.field not in looks or not steps[one.number]["symbol"].startswith(("tick+", "gate_watched+"))] == []
        assert made.steps == len(steps)


@pytest.mark.parametrize("emulator", EMULATORS)
def test_equal_runs_give_equal_recordings(pair, emulator):
    made = pair[EMULATORS.index(emulator)]
    assert record.record(emulator, "timer", switches=3, turns=recording.turns(pair[0])) == made


def test_qemu_alone_takes_turns_that_can_be_recorded():
    made = record.record("qemu", "timer", switches=3)
    assert recording.turns(made) == 3 * [recorded.TURN]


def test_a_proc_is_interrupted_at_many_an_instruction(pair, fast):
    """At each of a lap's: see test_timer.py."""
    for made in (*pair, *fast):
        places = [step["symbol"] for _, step, *_ in interrupts(made)]
        assert len(set(places)) > len(places) / 2


# ---- judged

def broken_rules(made, before=None, step=None, after=None, previous=None):
    """Of the first interrupt, with other values in its states, or in its step."""
    found = next(interrupts(made))
    verdict = judge.judge(Layout(made), {**flat(found[0]), **(before or {})}, {**found[1], **(step or {})},
                          {**flat(found[2]), **(after or {})}, previous)
    return {fact.rule for fact in verdict.findings}


def test_an_interrupt_as_it_was_breaks_no_rule(pair, fast):
    for made in (*pair, *fast):
        assert broken_rules(made) == set()


def test_an_interrupt_while_if_is_clear_is_a_finding(pair):
    for made in pair:
        eflags = next(interrupts(made))[0]["eflags"]
        assert "interrupt-let-in" in broken_rules(made, before={"eflags": eflags & ~IF})


def test_a_vector_of_an_exception_is_no_hardwares(pair):
    for made in pair:
        assert "interrupt-vector" in broken_rules(made, step={"interrupt": 0x0d, "text": "interrupt 0x0d"})


def test_another_vector_than_the_gates_is_a_finding(pair):
    for made in pair:
        assert broken_rules(made, step={"interrupt": 0x21, "text": "interrupt 0x21"})


@pytest.mark.parametrize("code, text", [
    ("83c601", "add $0x1,%esi"), ("74f1", "je 0"), ("cd20", "int $0x20"), ("cf", "iret")])
def test_an_instruction_that_seems_to_have_led_to_the_gate_is_a_finding(pair, code, text):
    for made in pair:
        number = next(number for number, step in enumerate(made["steps"]) if "interrupt" in step)
        step = {key: value for key, value in made["steps"][number].items() if key != "interrupt"}
        steps = [*made["steps"][:number], {**step, "bytes": code, "text": text}]
        found = dict(judge.verdicts({**made, "steps": steps}))
        assert found[number].findings


@pytest.mark.parametrize("code, changes, broken", [
    ("17", {}, True), ("8ed0", {}, True), ("fb", {"eflags": IF}, True),
    ("17", {"cs": None}, False), ("1f", {}, False), ("0fb220", {}, False), ("fb", {}, False), ("90", {}, False),
], ids=["pop %ss", "mov %eax,%ss", "sti", "pop %ss refused", "pop %ds", "lss", "sti again", "nop"])
def test_no_interrupt_comes_right_behind_a_new_ss_or_sti(pair, code, changes, broken):
    for made in pair:
        previous = {"bytes": code, "changes": changes}
        assert broken_rules(made, previous=previous) == ({"interrupt-shadow"} if broken else set())


def test_the_step_before_counts(pair):
    for made in pair:
        number = next(number for number, step in enumerate(made["steps"]) if "interrupt" in step)
        steps = made["steps"][:number + 1]
        steps[number - 1] = {**steps[number - 1], "bytes": "17", "text": "pop %ss"}
        verdict = dict(judge.verdicts({**made, "steps": steps}))[number]
        assert {fact.rule for fact in verdict.findings} == {"interrupt-shadow"}


def test_rf_is_pushed_as_it_was(pair):
    for made in pair:
        eflags = next(interrupts(made))[0]["eflags"]
        judged = not rules.exempt(made["emulator"], "push-eflags", "stack.0") & RF
        assert ("push-eflags" in broken_rules(made, before={"eflags": eflags | RF})) == judged
