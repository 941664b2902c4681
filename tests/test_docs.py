"""The documents tell the truth about what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


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


def test_every_setting_is_in_the_readme() -> None:
    settings = set(re.findall(r"CONTACTS_[A-Z]+", (ROOT / "app" / "settings.py").read_text())) - {"CONTACTS_"}

    described = set(re.findall(r"`(CONTACTS_[A-Z]+)", (ROOT / "README.md").read_text()))

    assert settings <= described
