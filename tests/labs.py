"""Hand-ins for the graders' tests: a lab's tree as it is, with one file other, or with an exploit that works."""

from ringside.labs import catalogue, trees
from ringside.labs.attack import number_of

SEED = 0
PANEL = 10 * 160    # a row of ring 0's panel, as an offset on the screen
A_ROW_BYTES = 160


def _digits(prefix, start, seed):
    """Instructions that write the student's number."""
    return "".join(f"\tmovb\t$'{digit}', {prefix}{start + 2 * place:#x}\n" for place, digit in enumerate(number_of(seed)))


def exploit(number, seed=SEED):
    """Code that does what an attack lab asks for, in the tree of seed 0."""
    code = {"13": "\tmov\t$0x2b, %eax\n\tmov\t%eax, %es\n" + _digits("%es:", PANEL, seed),
            "34": _digits("%gs:", PANEL - A_ROW_BYTES, seed)}
    return "\t.text\n" + code[number] + "1:\tjmp\t1b\n"


def answers(lab, values=None):
    """All right; values: of the questions that ask for one."""
    lines = []
    for number, question in enumerate(lab.questions, 1):
        right = (chr(ord("a") + question.choices.index(question.answer)) if question.choices
                 else f"{values[question.answer]:x}" if values else "")
        lines.append(f"{number}: {right}\n")
    return "".join(lines)


def hand_in(folder, lab, tree, others=(), values=None):
    """A folder with all that the lab takes; others: {file: text} in place of the tree's."""
    folder.mkdir(exist_ok=True)
    for name in lab.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tree[name])
    if lab.questions:
        (folder / catalogue.ANSWERS).write_text(answers(lab, values))
    if lab.attack:
        (folder / lab.attack["file"]).write_text(exploit(lab.number))
    for name, text in dict(others).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def wrongly(lab, wrong, seed=SEED):
    """{file: text} of a repair that does not hold."""
    text = trees.whole(seed)[wrong["file"]].decode()
    assert text.count(wrong["before"]) == 1, wrong["what"]
    return {wrong["file"]: text.replace(wrong["before"], wrong["after"])}
