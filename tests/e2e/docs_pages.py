"""The code blocks of the documentation, and what the comments in front of them say. CONTRIBUTING.md has the notation.

    page = Page(ROOT / "docs/tutorial.md")
    for block in page.blocks: block.kind, block.text, block.place ("docs/tutorial.md:12"), block.skip, …

A comment is `<!-- docs-test: WORD … -->`, each on lines of its own, in front of the block that it is about:

    skip, REASON      it is not run; the test counts it and prints the reason
    needs PROGRAM…    skipped where one of these is not installed
    parse             the tenure commands in it are parsed, not run
    file NAME         the block is what this file of the page's folder holds
    exit N            its last command ends with N instead of 0
    stays             its last command goes on until the end of the page, in a terminal of its own; what it prints is awaited then
    frame DECLS       C: what the fragment uses and does not declare
    vary TEXT…        such texts stand for what is really there, each for the same from here to the page's end
    any TEXT…         such texts stand for something else each time
    before SCRIPT     shell commands that are run first, and not shown
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("sh", "console", "bash", "shell")
KINDS = {"sh": "sh", "console": "sh", "bash": "sh", "shell": "sh", "c": "c", "json": "json", "yaml": "yaml", "sql": "sql",
         "ini": "unit", "systemd": "unit", "crontab": "crontab", "mustache": "text", "text": "text", "": "text"}
FLAGS = ("parse", "stays")
WORDS = ("needs", "vary", "any")
TEXTS = ("file", "frame", "before")
COMMENT = re.compile(r"<!--\s*docs-test:\s*(\w+),?\s*(.*?)\s*-->", re.S)


class Wrong(Exception):
    """A page says something that the test does not understand."""


class Block:
    def __init__(self, page, line, language, text, comments):
        self.page, self.line, self.language, self.text = page, line, language, text
        self.skip = None
        self.parse = self.stays = False
        self.needs, self.vary, self.any = [], [], []
        self.file, self.frame, self.before = "", "", ""
        self.exit = 0
        for word, rest in comments:
            self._take(word, rest)
        if language not in KINDS:
            raise Wrong(f"{self.place}: nobody knows what to do with a block of '{language}': {', '.join(filter(None, KINDS))}")
        self.kind = KINDS[language]

    @property
    def place(self):
        return f"{self.page}:{self.line}"

    def _take(self, word, rest):
        if word == "skip":
            if len(rest) < 4:
                raise Wrong(f"{self.place}: a block that is skipped needs a reason")
            self.skip = " ".join(rest.split())
        elif word == "exit":
            self.exit = int(rest)
        elif word in FLAGS and not rest:
            setattr(self, word, True)
        elif word in WORDS and rest:
            getattr(self, word).extend(rest.split())
        elif word in TEXTS and rest:
            setattr(self, word, "\n".join(filter(None, (getattr(self, word), rest))))
        else:
            raise Wrong(f"{self.place}: '{word} {rest}' is no word of a docs-test comment")


class Page:
    """A page of Markdown. Blocks are between fences, or indented by four spaces behind an empty line: those are for the shell."""

    def __init__(self, path, text=None):
        self.name = str(path.relative_to(ROOT)) if text is None else str(path)
        self.text = path.read_text() if text is None else text
        self.blocks = []
        self._parse(self.text.splitlines())

    def _add(self, line, language, lines, comments):
        while lines and not lines[-1].strip():
            lines.pop()
        self.blocks.append(Block(self.name, line, language, "\n".join(lines) + "\n", comments))
        comments.clear()

    def _parse(self, lines):
        i, comments, fenced = 0, [], None
        while i < len(lines):
            line = lines[i]
            fence = re.match(r"( *)(```+|~~~+) *([\w-]*)", line)
            if fence:
                end = next((n for n in range(i + 1, len(lines)) if lines[n].strip() == fence[2]), None)
                if end is None:
                    raise Wrong(f"{self.name}:{i + 1}: the block has no end")
                body = [text.removeprefix(fence[1]) for text in lines[i + 1 : end]]
                self._add(i + 1, fence[3], body, comments)
                i = end + 1
            elif line.lstrip().startswith("<!--"):
                end = next(n for n in range(i, len(lines)) if "-->" in lines[n])
                comment = COMMENT.search("\n".join(lines[i : end + 1]))
                if comment:
                    comments.append((comment[1], comment[2]))
                elif "docs-test" in "".join(lines[i : end + 1]):
                    raise Wrong(f"{self.name}:{i + 1}: a comment for the test that it does not understand")
                i = end + 1
            elif line.startswith("    ") and line.strip() and (i == 0 or not lines[i - 1].strip() or "-->" in lines[i - 1]):
                end = i
                while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                    end += 1
                self._add(i + 1, "sh", [text[4:] for text in lines[i:end]], comments)
                i = end
            else:
                if line.strip() and comments:
                    raise Wrong(f"{self.name}:{i + 1}: a comment for the test stands before something that is no block")
                i += 1
        if comments:
            raise Wrong(f"{self.name}: the last comment for the test has no block behind it")

    def said_commands(self):
        """(line, text) of each `tenure …` within a line of text."""
        in_block = {n for b in self.blocks for n in range(b.line, b.line + b.text.count("\n") + 2)}
        for number, line in enumerate(self.text.splitlines(), 1):
            if number not in in_block:
                for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", line):
                    if re.match(r"tenure [a-z]", span):
                        yield number, span.replace("\\|", "|")


def pages():
    """All pages that have examples: the README, docs/, and what examples/ and share/ say of themselves."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"]
    for folder, pattern in (("docs", "*.md"), ("docs/decisions", "*.md"), ("examples", "**/*.md"), ("share", "**/*.md")):
        found += sorted((ROOT / folder).glob(pattern))
    return found
