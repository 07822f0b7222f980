"""What a page says about a value is true of the run behind its boxes, and a false sentence is found."""

import functools
import re

import pytest

from ringside.emulators.machines import ROOT
from ringside.pages import claims, docs

# why.md is about other kernels, and test_why.py holds it.
DOCS = sorted({*docs.all_pages()} - {ROOT / "docs/why.md"})
PAGES = sorted([*DOCS, *(ROOT / "programs").glob("*/README.md")])
MARKED = {"docs/tour.md": 110, "docs/faults.md": 20, "programs/kstack/README.md": 6, "programs/timer/README.md": 3,
          "programs/callgate/README.md": 7, "programs/sysenter/README.md": 7,
          "programs/hwtask/README.md": 16, "programs/userctx/README.md": 7}  # at least so many claims

recorded_names = functools.cache(claims.recorded_names)


def named(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def names():
    return recorded_names("p_proc")


def claim(expression, words, box=""):
    return claims.Claim("page.md", 7, expression, words, box)


BOX = """
<bochs:9> print-stack 1
 | STACK 0x0001535c [0x00000099] (<unknown>)
<bochs:11> print-stack 3
Stack address size 4
 | STACK 0x0001535c [0x00000024] (<unknown>)
 | STACK 0x00015360 [0x0000000f] (proc_b_asked+4)
fault proc=A vector=0d name=#GP error=0182 means="IDT 0x30" cs:eip=0007:0000000f
 error none, as
 often
"""


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
    ("way[0] is way_in and way[-1] is second_iret and steps[0] is ckpt_frames", "from the int to the iret"),
    ("[step.text.split()[0] for step in way[2:7]] == [way[2].text] + ['push'] * 4", "one pusha and four pushes"),
    ("first('lldt').after.ldtr.selector == at('A_LDT') and first('lldt', way).after.ldtr.selector == at('B_LDT')",
     "A's LDT, then B's"),
    ("same(way_in, 'ds es fs gs') and not same(way_in, 'ds ss')", "ds is the same, and ss is not"),
    ("between(ckpt_frames, ckpt_tss)[-1].place == at('ckpt_tss')", "places"),
    ("ckpt_frames.before.idt[8].kind == 'task gate' and ckpt_frames.before.idt[0].kind == 'interrupt gate'", "gates"),
    ("ckpt_frames.before.gdt[at('A_LDT') // 8].kind == 'ldt' and not ckpt_frames.before.gdt[6].busy", "an LDT"),
    ("first_iret.after.cs.kind == 'code' and not first_iret.after.cs.writable", "code"),
    ("way_in.after.ss.writable and not way_in.before.ldt[0].writable and way_in.before.ldt[0].accessed", "access"),
    ("way_in.before.cs.index == 0 and way_in.before.cs.ldt and not way_in.after.cs.ldt", "selectors"),
    ("set(first_iret.after.general) == {0} and len(first_iret.after.general) == 7", "seven registers, all zero"),
    ("first('mov', way).before.A.words[0] == at('A_SCREEN')", "gs"),
    ("first_iret.after.cs.base == base + at('proc_a_code')", "base"),
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


@pytest.mark.parametrize("expression, holds", [
    ("box.stack == [0x24, 0xf]", True),
    ("box.stack[0] == 0x99", False),
    ("box.log('fault')[0]['means'] == 'IDT 0x30' and box.log('fault')[0]['cs:eip'] == '0007:0000000f'", True),
    ("len(box.log('fault')) == 1 and box.log('panic') == []", True),
    ("int(box.log('fault')[0]['error'], 16) == 0x182", True),
    ("box.log('fault')[0]['proc'] == 'B'", False),
    ("'error none, as often' in box", True),
    ("'error 0' in box", False),
])
def test_a_claim_may_be_about_the_box_above_it(names, expression, holds):
    about = claim(expression, "the box", BOX)
    if holds:
        claims.check(about, names)
    else:
        with pytest.raises(claims.Untrue, match="does not hold"):
            claims.check(about, names)


def test_the_box_of_a_claim_is_the_nearest_above():
    text = ("<!-- run: try\nq\n-->\none\n<!-- end -->\na <!-- run: value gate -->`0x1`<!-- end --> "
            "b <!-- holds: 'one' in box -->one<!-- end -->\n\n<!-- run: try\nq\n-->\ntwo\n<!-- end -->\n"
            "c <!-- holds: True -->two<!-- end -->\n\n<!-- run: try\nq\n-->\nthree\n<!-- end -->\n")
    assert [found.box.strip() for found in claims.claims_of("page.md", text)] == ["one", "two"]


@pytest.mark.parametrize("text, line", [
    ("so\n<!-- holds: True -->it is<!-- end -->\n", 2),
    ("- <!-- holds: True -->it is<!-- end -->\n", 1),
    ("1. <!-- holds: True -->it is<!-- end -->\n", 1),
    ("\n  <!-- holds: True -->it is<!-- end -->\n", 2),
    ("so <!-- holds: True -->it is\n<!-- end -->\n", 2),
])
def test_no_line_may_begin_with_a_mark(text, line):
    with pytest.raises(claims.Untrue, match=rf"page.md:{line}: a line must not begin with <!-- "):
        list(claims.claims_of("page.md", text))


@pytest.mark.parametrize("text", ["so IF is set.", "its\nDPL is 3", "with DPL 3", "`esp0` is the end of it",
                                  "the TSS is *busy* now", "`ds` is unchanged"])
def test_what_is_said_of_a_flag_or_a_level_needs_a_mark(text):
    assert "has no mark" in claims.bare_claims("page.md", text)[0]
    assert claims.bare_claims("page.md", f"# {text.split()[-1]}\n<!-- holds: True -->{text}<!-- end -->") == []


@pytest.mark.parametrize("page", DOCS, ids=named)
def test_no_page_says_such_a_thing_without_a_mark(page):
    assert claims.bare_claims(page.name, page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_claims_holds(page):
    found = list(claims.claims_of(page, page.read_text()))
    assert len(found) >= MARKED.get(named(page), 0)
    for one in found:
        claims.check(one, recorded_names(one.program))


def test_a_claim_is_about_the_program_of_its_page_unless_it_names_another():
    text = ("so <!-- holds: at('tss') > 0 -->it is<!-- end -->, "
            "<!-- holds hwjump: ckpt_tss.before.idt[0x30].kind == 'interrupt gate' -->an interrupt gate<!-- end -->")
    of_docs, of_hwjump = claims.claims_of(ROOT / "docs/tour.md", text)
    of_hwtask, _ = claims.claims_of(ROOT / "programs/hwtask/README.md", text)
    assert [one.program for one in (of_docs, of_hwjump, of_hwtask)] == ["p_proc", "hwjump", "hwtask"]
    claims.check(of_hwjump, recorded_names("hwjump"))
    with pytest.raises(claims.Untrue, match="is False"):
        claims.check(of_hwjump, recorded_names("hwtask"))


def test_a_task_switch_is_told_by_its_tsss():
    names = recorded_names("hwtask")
    claims.check(claim("way_in.before.A.ldt == way_in.before.ldtr.selector and way_in.after.ring_0.backlink == "
                       "way_in.before.tr.selector and at('A.end') - at('A.start') == 104", "104 bytes"), names)


def test_a_claim_without_its_end_is_an_error():
    for rest in (".", ". And <!-- run: value gate -->`0x1`<!-- end -->.", ". <!-- holds: True -->So<!-- end -->."):
        with pytest.raises(claims.Untrue, match="without its end: <!-- holds: way_in.after.IF == 0 -->"):
            list(claims.claims_of("page.md", "so <!-- holds: way_in.after.IF == 0 -->IF is clear" + rest))


def test_a_page_whose_flags_are_told_wrongly_does_not_pass(tmp_path, monkeypatch, capsys):
    """A false sentence that stood in the tour for a long time."""
    page = tmp_path / "page.md"
    text = ("Here <!-- holds: ckpt_frames.before.A.IF == 0 -->IF is clear<!-- end -->, "
            "`gate` is <!-- run: value gate --><!-- end -->.\n")
    page.write_text(text)
    assert docs.main(["--check", str(page)]) == 1
    assert re.search(r'page.md:1: "IF is clear" does not hold', capsys.readouterr().out)
    page.write_text(text.replace("== 0", "== 1").replace("clear", "set"))
    assert docs.main([str(page)]) == 0
