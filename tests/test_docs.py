"""The documentation is right: links resolve, generated tables are fresh, marked code runs.

A fenced block whose info string ends in `run` is executed. The blocks of one page and language run
as one program, in the checkout. All programs of a page use one server, named by FSCORE_REDIS_URL.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fscore
from fscore import functions, window
from fscore.definitions import mappings
from fscore.model.renamed import RENAMED
from fscore_server.process import embedded

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def anchors(page: Path) -> set[str]:
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.M
    )
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_resolve(page: Path) -> None:
    broken = []
    for target in LINK.findall(without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs/index.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve()
        for target in LINK.findall(index.read_text())
    }
    assert {page for page in (ROOT / "docs").glob("**/*.md") if page != index} <= linked


def test_the_glossary_is_in_alphabetical_order() -> None:
    terms = re.findall(r"^\*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text(), re.M)
    assert len(terms) > 40
    assert terms == sorted(terms, key=str.lower)


def programs(page: Path) -> dict[str, str]:
    """Return the marked code of a page: one program per language, in order of first appearance."""
    blocks: dict[str, list[str]] = {}
    for language, marks, code in FENCE.findall(page.read_text()):
        if "run" in marks.split():
            blocks.setdefault(language, []).append(code)
    return {language: "\n".join(parts) for language, parts in blocks.items()}


@pytest.mark.parametrize("page", [page for page in PAGES if programs(page)], ids=named)
def test_marked_code_runs(page: Path, tmp_path: Path) -> None:
    interpreters = {"python": [sys.executable, "-"], "sh": ["bash", "-euo", "pipefail", "-s"]}
    with embedded.start(tmp_path, owner="tests") as server:
        environment = os.environ | {
            "FSCORE_REDIS_URL": server.url,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        for language, program in programs(page).items():
            done = subprocess.run(
                interpreters[language],
                input=program,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, f"{language}: {done.stdout}\n{done.stderr}"


NOTEBOOKS = sorted((ROOT / "docs").glob("**/*.ipynb"))


def test_notebooks_show_what_their_code_shows_now() -> None:
    command = [sys.executable, str(ROOT / "docs/notebooks.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    index = (ROOT / "docs/index.md").read_text()
    assert [page for page in NOTEBOOKS if page.name not in index] == []


def section(page: str, heading: str) -> str:
    """Return the text below a heading, up to the next one of the same level."""
    _, found, rest = (ROOT / page).read_text().partition(f"\n## {heading}\n")
    assert found
    return rest.partition("\n## ")[0]


def test_every_aggregate_is_in_the_table_of_aggregates() -> None:
    aggregates = section("docs/reference/definitions.md", "Aggregates")
    public = {f"{'' if n in fscore.__all__ else 'fscore.'}{n}" for n in mappings.__all__}
    public |= {f"window.{name}" for name in window.__all__}
    public |= {f"fn.{name}" for name in functions.__all__ if name.startswith("list_")}
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", aggregates, re.M))
    called = {name: set(re.findall(r"`([\w.]+)\(", row)) for name, row in rows.items()}
    assert set().union(*called.values()) == public
    # Each function is in the row of its name.
    for name, calls in called.items():
        assert {call.rpartition(".")[2].removeprefix("list_") for call in calls} == {name}


def test_every_public_function_of_definitions_is_explained() -> None:
    for heading, module in (("Mappings", mappings), ("Window functions", window)):
        text = section("docs/reference/definitions.md", heading).replace("`fscore.", "`")
        assert [name for name in module.__all__ if f"`{name}(" not in text] == []
    text = (ROOT / "docs/concepts/on-request-features.md").read_text()
    explained = set(re.findall(r"`fn\.(\w+)", text))
    assert set(functions.__all__) - {"Value"} == explained


def test_every_renamed_name_is_in_the_changelog() -> None:
    renamed = (ROOT / "CHANGELOG.md").read_text().partition("### Renamed")[2].partition("###")[0]
    assert set(re.findall(r"^\| `(.+)` \| `(.+)` \|$", renamed, re.M)) == {
        (f"{module}.{old}", f"{module}.{new}")
        for module, names in RENAMED.items()
        for old, new in names.items()
    }


def test_generated_tables_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
