"""A block of a page: what stands between <!-- run: WHAT --> and <!-- end -->, docs.py says what WHAT may be."""

import collections
import re

from ringside.emulators import versions

MARK = re.compile(r"<!-- run: (.*?)-->(.*?)<!-- end -->", re.S)
PROMISE = "=> "     # a line of a block: what the words of the page count on
UNSEEN = "~ "       # a command that is executed and not shown

Block = collections.namedtuple("Block", "page line kind words commands text")


class BadPage(Exception):
    """What is wrong with a page, with its line."""


def demand(block, text, answer):
    """Raises BadPage unless the answer contains the text that the page counts on."""
    if text not in versions.as_bochs_2_says(answer):
        raise BadPage(f"{block.page}:{block.line}: the page counts on \"{text}\", but the run says\n{answer}")


def fenced(text, language="text"):
    """Lines of source or of output, as Markdown."""
    lines = "\n".join(line.expandtabs(8).rstrip() for line in text.strip("\n").split("\n"))
    return f"\n```{language}\n{lines}\n```\n"
