"""What a page says a value is, it says of the run behind its boxes; and a sentence that is false is found."""

import re

import pytest

from ringside.emulators.machines import ROOT
from ringside.pages import claims, docs, tour

PAGE = ROOT / "docs/tour.md"


@pytest.fixture(scope="module")
def names():
    return claims.names_of(tour.Run(tour.own_recording()))


def claim(expression, words):
    return claims.Claim("page.md", 7, expression, words)


@pytest.mark.parametrize("expression, words", [
    ("way_in.before.IF == 1 and way_in.after.IF == 0", "IF is cleared"),
    ("len(way_in.writes) == 5 and way_in.writes[0].at == at('A.end') - 4", "five words, from the frame's end down"),
    ("way_in.before.cpl == 3 and way_in.after.cpl == 0", "from ring 3 to ring 0"),
    ("way_in.after.ss.selector == way_in.before.ss0 == at('RING0_DATA')", "`ss` is `ss0`"),
    ("not ckpt_frames.before.gdt[3].busy and ckpt_tss.before.gdt[3].busy", "`ltr` has marked it busy"),
    ("ckpt_tss.before.idt[0x30].dpl == 3", "the gate's DPL is 3"),
    ("first_iret.text == 'iret' and first_iret.after.cs.rpl == 3", "RPL 3"),
    ("second_iret.after.ldtr.selector == at('B_LDT')", "B's LDT"),
    ("ckpt_frames.before.A.IOPL == 0 and ckpt_frames.before.A.NT == 0", "IOPL 0"),
    ("all(write.bytes == 4 for write in way_in.writes)", "words"),
])
def test_what_is_true_holds(names, expression, words):
    claims.check(claim(expression, words), names)


@pytest.mark.parametrize("expression, words, said", [
    ("way_in.before.IF == 0", "IF is clear", r'page.md:7: "IF is clear" does not hold: way_in.before.IF == 0 is False'),
    ("len(way_in.writes) == 5", "six words", r"says six, but its expression does not"),
    ("way_in.after.eflags & 0x200 == 0", "eflags is 0x202", r"says 0x202, but its expression does not"),
    ("way_in.writes", "it writes", r"does not hold"),
    ("way_in.after.XF == 0", "XF", r"cannot evaluate .*: XF"),
    ("nowhere.before.IF", "IF", r"cannot evaluate .*nowhere"),
    ("at('no_such_name') == 0", "0", r"cannot evaluate .*no_such_name"),
    ("__import__('os')", "a module", r"cannot evaluate"),
    ("way_in.", "IF", r"cannot evaluate"),
])
def test_what_is_false_or_senseless_is_said_with_its_place(names, expression, words, said):
    with pytest.raises(claims.Untrue, match=said):
        claims.check(claim(expression, words), names)


def test_the_tour_claims_and_all_of_it_holds(names):
    found = list(claims.claims_of(PAGE, PAGE.read_text()))
    assert found
    for one in found:
        claims.check(one, names)


def test_a_claim_without_its_end_is_an_error():
    with pytest.raises(claims.Untrue, match="without its end: <!-- holds: way_in.after.IF == 0 -->"):
        list(claims.claims_of("page.md", "so <!-- holds: way_in.after.IF == 0 -->IF is clear."))


def test_a_page_whose_flags_are_told_wrongly_does_not_pass(tmp_path, monkeypatch, capsys):
    """The sentence that stood in the tour for a long time."""
    page = tmp_path / "page.md"
    text = ("<!-- holds: ckpt_frames.before.A.IF == 0 -->IF is clear<!-- end -->, "
            "`gate` is <!-- run: value gate --><!-- end -->.\n")
    page.write_text(text)
    assert docs.main(["--check", str(page)]) == 1
    assert re.search(r'page.md:1: "IF is clear" does not hold', capsys.readouterr().out)
    page.write_text(text.replace("== 0", "== 1").replace("clear", "set"))
    assert docs.main([str(page)]) == 0
