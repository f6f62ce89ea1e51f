"""Write the parts of docs/reference/ that follow from code; with --check, say which are stale.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; the rest of a page is
written by hand.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from fscore import errors
from fscore_server import problems

REFERENCE = Path(__file__).resolve().parent / "reference"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [header, *rows]
    cells = [[cell.replace("|", r"\|").replace("\n", " ") for cell in line] for line in lines]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def error_table(family: type[errors.FscoreError]) -> str:
    rows = []
    for code, error in errors.ERRORS.items():
        if issubclass(error, family) and error is not family:
            also = [
                base.__name__
                for base in error.__bases__
                if not issubclass(base, errors.FscoreError)
            ]
            name = f"`{error.__name__}`" + "".join(f" (a `{base}`)" for base in also)
            summary = (error.__doc__ or "").strip().split("\n\n")[0]
            rows.append((name, f"`{code}`", str(error.status), " ".join(summary.split())))
    return table(("class", "code", "HTTP", "meaning"), rows)


def problem_table() -> str:
    return table(
        ("status", "type", "title"),
        (
            (str(kind.status), f"`/docs#{kind.code}`", kind.title)
            for kind in problems.KINDS.values()
        ),
    )


# The page, the name of its part, and what writes it.
PARTS: list[tuple[str, str, Callable[[], str]]] = [
    ("errors.md", "client faults", lambda: error_table(errors.ClientFault)),
    ("errors.md", "server faults", lambda: error_table(errors.ServerFault)),
    ("http.md", "problems", problem_table),
]


def replaced(page: str, text: str, name: str, content: str) -> str:
    start, end = f"<!-- generated: {name} -->\n\n", "\n\n<!-- end -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        sys.exit(f"docs/reference/{page} has no part {start.strip()} … {end.strip()}")
    return f"{before}{start}{content}{end}{after}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    pages: dict[str, str] = {}
    for page, name, content in PARTS:
        pages.setdefault(page, (REFERENCE / page).read_text())
        pages[page] = replaced(page, pages[page], name, content())
    stale = False
    for page, text in pages.items():
        path = REFERENCE / page
        current = path.read_text()
        if current == text:
            continue
        if check:
            stale = True
            difference = difflib.unified_diff(
                current.splitlines(),
                text.splitlines(),
                f"{page} (now)",
                f"{page} (from code)",
                "",
                "",
                0,
                "",
            )
            print("\n".join(difference))
        else:
            path.write_text(text)
            print(f"wrote docs/reference/{page}")
    if stale:
        sys.exit("the reference is stale: run `make docs`")


if __name__ == "__main__":
    main()
