"""The documents tell the truth about what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_links_to_exists(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())

    missing = [link for link in links if not (document.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_of_the_tree_that_a_document_names_exists(document: Path) -> None:
    named = re.findall(
        r"`((?:app|templates|static|migrations|tests|e2e|docs|scripts)/[\w./-]*)`", document.read_text()
    )

    missing = [path for path in named if not (ROOT / path).exists()]

    assert missing == []


# ---- docs/patterns.md: each section names the code it is about, and shows the lines that matter

PATTERNS = re.split(r"^## ", (ROOT / "docs/patterns.md").read_text(), flags=re.MULTILINE)[1:]
DEFINITIONS = {
    ".py": r"^ *(?:async def|def|class) {}\b",
    ".html": r"{{% (?:block|def|fragment) {}\b|\bid=\"{}\"",
    ".js": r"^(?:(?:async )?function|const) {}\b",
    ".css": r"^ *{} {{",
}


def _title(section: str) -> str:
    return section.partition("\n")[0]


def _linked(section: str) -> list[Path]:
    links = re.findall(r"\]\((\.\./[^)]+)\)", section)
    return [(ROOT / "docs" / link).resolve() for link in dict.fromkeys(links)]


@pytest.mark.parametrize("section", PATTERNS, ids=_title)
def test_a_pattern_is_where_it_says(section: str) -> None:
    where = " ".join(section.partition("**Where:**")[2].partition("**Mistakes")[0].split())
    named = [
        (name, ROOT / path)
        for names, path in re.findall(r"((?:`[^`]+`(?:, | and )?)+) in \[([^\]]+)\]", where)
        for name in re.findall(r"`([^`]+)`", names)
    ]

    assert named, "a pattern says where it is"
    for name, path in named:
        definition = DEFINITIONS[path.suffix].replace("{}", re.escape(name))
        definition = definition.replace("{{", "{")
        assert re.search(definition, path.read_text(), re.MULTILINE), f"{name} is not defined in {path.name}"


@pytest.mark.parametrize("section", PATTERNS, ids=_title)
def test_the_lines_that_a_pattern_shows_are_in_its_files(section: str) -> None:
    files = [" ".join(path.read_text().split()) for path in _linked(section)]
    shown = [
        " ".join(line.split())
        for block in re.findall(r"^```\w+\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]

    assert shown, "a pattern shows the lines that matter"
    assert [line for line in shown if not any(line in file for file in files)] == []


@pytest.mark.parametrize("section", PATTERNS, ids=_title)
def test_a_pattern_says_what_a_person_sees_and_what_to_avoid(section: str) -> None:
    for part in (r"\*\*(?:A person|Nobody)", r"\*\*Where:\*\*", r"\*\*Mistakes to avoid:\*\*"):
        assert re.search(part, section), f"{part} is missing"


def test_every_setting_is_in_the_readme() -> None:
    settings = set(re.findall(r"CONTACTS_[A-Z]+", (ROOT / "app" / "settings.py").read_text())) - {"CONTACTS_"}

    described = set(re.findall(r"`(CONTACTS_[A-Z]+)", (ROOT / "README.md").read_text()))

    assert settings <= described
