# SPDX-License-Identifier: Apache-2.0
"""Small changes of the code, one at a time, and all of them built at once.

A change ("mutant") is of one line of one function. Each becomes a copy of that function beside the
original, in the same file; at the start of a program the one that DATASTALL_MUTANT has the number
of is put in the original's place, by a jump over its first bytes. So ten thousand changes take one
build, and each no more than the tests that it is tried with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: What becomes of what; each match is a mutant.
CHANGES: tuple[tuple[str, str], ...] = (
    (r" < ", " <= "),
    (r" <= ", " < "),
    (r" > ", " >= "),
    (r" >= ", " > "),
    (r" == ", " != "),
    (r" != ", " == "),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" && ", " || "),
    (r" \|\| ", " && "),
    (r" \+= ", " = "),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"if \((?!\!)", "if (!("),
    (r"\breturn ([^;]+);", "return 0;"),
    (r"(?<=[ (=])(\d+)(?=[,;) ])", "+1"),
)
STATEMENT = re.compile(r"^\s+[\w>\-\[\]\.\*&]+( [\+\-\|&]?= |\(|\+\+).*;$")
SKIP = re.compile(
    r"^\s*(#|/?\*|//|static const|const |_Static_assert|__attribute__|\}|case |default:)|"
    r"ds_fail|out_of_memory\("
)
ATTRIBUTE = re.compile(r"__attribute__\(\(.*?\)\)")
NAME_OF_FUNCTION = re.compile(r"(\w+)\(")


@dataclass(frozen=True)
class Mutant:
    path: str
    line: int
    function: str
    before: str
    after: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.path, self.function, self.before.strip(), self.after.strip()


def functions_of(lines: list[str]) -> list[str]:
    """Of each line the function that it is in, "-" where it is in none."""
    found, head, function = [], "-", "-"
    for line in lines:
        if line.startswith("{"):
            function = head
        elif line.startswith("}"):
            head = function = "-"
        elif function == "-" and re.match(r"\w", line):
            name = NAME_OF_FUNCTION.search(ATTRIBUTE.sub("", line))
            head = name[1] if name else "-"
        found.append(function)
    return found


def mutants_of(path: Path) -> Iterator[Mutant]:
    name = path.relative_to(ROOT).as_posix()
    in_comment = False
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    functions = functions_of(lines)
    compare = set(COMPARES.findall(text))
    for number, line in enumerate(lines):
        starts, ends = "/*" in line, "*/" in line
        if in_comment or (starts and line.strip().startswith("/*")):
            in_comment = (in_comment or starts) and not ends
            continue
        if SKIP.search(line) or not line.startswith(" ") or functions[number] == "-":
            continue
        code = line.split("/*")[0]
        for pattern, new in CHANGES:
            for match in re.finditer(pattern, code):
                after = replaced(line, match, new)
                sorts = functions[number] in compare and is_of_equals(line, after)
                if not (sorts or is_the_same(line, after) or is_at_rest(lines, number, after)):
                    yield Mutant(name, number, functions[number], line, after)
        if STATEMENT.match(code) and "return" not in code and not PAUSES.match(code.rstrip()):
            indent = line[: len(line) - len(line.lstrip())]
            yield Mutant(name, number, functions[number], line, indent + ";")


#: Times are nanoseconds: one of them is nothing, a millisecond is something.
NANOSECONDS = re.compile(r"\b(double|or_else|fmax|fmin|NAN|isnan)\b|_(ns|NS)\b")
FAR = 1_000_003


def replaced(line: str, match: re.Match[str], new: str) -> str:
    if new == "+1":
        more = FAR if NANOSECONDS.search(line) else 1
        new = str(int(match[1]) + more)
    after = line[: match.start()] + new + line[match.end() :]
    if new == "if (!(":
        close = after.rfind(")")
        after = after[: close + 1] + ")" + after[close + 1 :]
    return after


#: Names of nought.
NOUGHT = re.compile(
    r"\breturn (NULL|false|0\.0|DATASTALL_OK|SUMMARY_RUNNING|SUMMARY_LAUNCHER_NONE|RF_DEAD|"
    r"RF_VIEW_OK|PROC_SILENT|CHECK_HOLDS|NEVER_GIVEN);"
)
#: Places that are 0: before or behind is the same.
NO_PLACE = re.compile(r"[+-] (RF_BLOCK_VERSION|RF_GPU_STATE)\b")
#: Brought to a limit that it is beyond: at it, it is there already.
CLAMP = re.compile(r"([\w.]+) ([<>])=? (\w+) \? \3 : (\(\w+\))?\1\b")
#: Not told by any test: a fence of loads (they are in order on x86), a pause before another try.
PAUSES = re.compile(r"\s+(ds_fence_acquire|nanosleep|pause_before)\(.*\);$")


#: The less or more of two: of equals either.
EXTREME = re.compile(r"([^=?(]+?) ([<>])=? ([^?]+?) \? \1 : \3\b")


def settled(line: str) -> str:
    line = CLAMP.sub(r"\1 \2 \3 ? \3 : \4\1", EXTREME.sub(r"\1 \2 \3 ? \1 : \3", line))
    return NO_PLACE.sub(r"+ \1", line)


def is_the_same(before: str, after: str) -> bool:
    before = settled(NOUGHT.sub("return 0;", before))
    return before in (after, settled(after))


COMPARES = re.compile(r"^static int (\w+)\(const void \*\w+, const void \*\w+\)", re.MULTILINE)
#: One try more or less of many.
TRIES = re.compile(r"for \((?:int|uint32_t) (?:attempt|try) = ")
EDGES = re.compile(r"([<>])=")


def is_of_equals(line: str, after: str) -> bool:
    """Only an edge or a number: in what sorts, which of equals comes first is free."""
    line, after = (re.sub(r"\d+", "N", EDGES.sub(r"\1", text)) for text in (line, after))
    return line == after


#: More room than is needed.
ALLOCATION = re.compile(r"\b(?:malloc|calloc|realloc)\(.*")
#: What is brought to a limit that it is beyond, or kept as the most: at it, it is there already.
ASSIGNED = re.compile(r"(.+) = (.+);$")


def is_at_rest(lines: list[str], number: int, after: str) -> bool:
    """Changes that no test can tell: of the room that is asked for, of how often something is tried
    again, and of a limit itself."""
    before = lines[number]
    if TRIES.search(before) and "return" not in after:
        return is_of_equals(before, after)
    asked, more = ALLOCATION.search(before), ALLOCATION.search(after)
    if asked and more and before[: asked.start()] == after[: more.start()]:
        numbers = [re.findall(r"\d+", found[0]) for found in (asked, more)]
        if re.sub(r"\d+", "N", asked[0]) == re.sub(r"\d+", "N", more[0]) and all(
            int(one) <= int(other) for one, other in zip(*numbers, strict=True)
        ):
            return True
    follows = lines[number + 1].strip() if number + 1 < len(lines) else ""
    assigned = ASSIGNED.match(follows)
    if assigned is None:
        return False
    pairs = (assigned.groups(), assigned.groups()[::-1])
    return any(
        before.replace(f"{one} {was} {other}", f"{one} {now} {other}") == after
        for one, other in pairs
        for was, now in (("<", "<="), ("<=", "<"), (">", ">="), (">=", ">"))
    )


def equivalent() -> list[tuple[str, str, str, str]]:
    text = (ROOT / "scripts/mutate-equivalent.txt").read_text(encoding="utf-8")
    rows = [[part.strip() for part in line.split(" | ")] for line in text.splitlines()]
    return [(row[0], row[1], row[2], row[3]) for row in rows if len(row) >= 5]


# ---- all of them in one file ----

#: Chooses at a program's start; of x86-64. The pages stay what they were but for that moment.
CHOOSE = """
extern char *getenv(const char *);
extern int atoi(const char *);
extern int mprotect(void *, unsigned long, int);
static void *const mutants_from[] = {%s};
static void *const mutants_to[] = {%s};
static const int mutants_number[] = {%s};
__attribute__((constructor, used)) static void mutants_choose(void)
{
    const char *asked = getenv("DATASTALL_MUTANT");
    const int number = asked ? atoi(asked) : 0;
    for (unsigned i = 0; i < sizeof mutants_number / sizeof *mutants_number; i++) {
        if (mutants_number[i] != number)
            continue;
        unsigned char *from = mutants_from[i];
        const int by = (int)((unsigned char *)mutants_to[i] - (from + 5));
        void *const page = (void *)((unsigned long)from & ~4095ul);
        if (mprotect(page, 8192, 7) != 0)
            __builtin_trap();
        from[0] = 0xe9;
        __builtin_memcpy(from + 1, &by, sizeof by);
        mprotect(page, 8192, 5);
    }
}
"""


def head_of(lines: list[str], brace: int) -> int:
    """Where the function begins whose body begins there."""
    at = brace
    while lines[at - 1].strip() and not re.search(r"(;|\}|\*/|^#.*)$", lines[at - 1]):
        at -= 1
    return at


def changed_copy(lines: list[str], brace: int, end: int, number: int, mutant: Mutant) -> list[str]:
    head = head_of(lines, brace)
    body = lines[head : end + 1]
    body[mutant.line - head] = mutant.after
    top = "\n".join(body[: brace - head])
    renamed = re.sub(rf"\b{mutant.function}\(", f"{mutant.function}__{number}(", top, count=1)
    return renamed.split("\n") + body[brace - head :]


def with_all(text: str, own: dict[int, Mutant]) -> tuple[str, list[int]]:
    """The file with all of its mutants, and of each line the number of the one it is of, or 0."""
    lines = text.splitlines()
    functions = functions_of(lines)
    found, owners = [], []
    pairs: list[tuple[str, int]] = []
    brace = 0
    for at, line in enumerate(lines):
        found.append(line)
        owners.append(0)
        if line.startswith("{"):
            brace = at
        if not line.startswith("}") or functions[brace] == "-":
            continue
        for number, mutant in own.items():
            if brace < mutant.line < at:
                copy = changed_copy(lines, brace, at, number, mutant)
                found += copy
                owners += [number] * len(copy)
                pairs.append((mutant.function, number))
        brace = 0
    if pairs:
        found += (
            CHOOSE
            % (
                ", ".join(f"(void *){name}" for name, _ in pairs),
                ", ".join(f"(void *){name}__{number}" for name, number in pairs),
                ", ".join(str(number) for _, number in pairs),
            )
        ).splitlines()
    owners += [0] * (len(found) - len(owners))
    return "\n".join(found) + "\n", owners
