# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Links inside of the documents lead somewhere."""

import pathlib
import re
from urllib.parse import unquote

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PAGES = [*REPOSITORY.glob('*.md'), *REPOSITORY.glob('docs/**/*.md'),
         *REPOSITORY.glob('config/**/*.md')]
LONG = ('results.md', 'performance.md')
_CODE = re.compile(r'^ *```.*?^ *```', flags=re.MULTILINE | re.DOTALL)


def text_of(page: pathlib.Path) -> str:
    """Return a page without its blocks of code."""
    return _CODE.sub('', page.read_text(encoding='utf-8'))


def anchors(page: pathlib.Path) -> set[str]:
    """Return what GitHub makes of the headings: lower case, no punctuation, - for spaces."""
    headings = re.findall(r'^#+ +(.*?) *$', text_of(page), flags=re.MULTILINE)
    plain = (re.sub(r'\[(.*?)\]\(.*?\)', r'\1', heading) for heading in headings)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in plain}


def broken_links(page: pathlib.Path) -> list[str]:
    """Return the links to files or headings that are not there."""
    broken = []
    for link in re.findall(r'\]\(<?([^)\s>]+)>?\)', text_of(page)):
        name, _, anchor = unquote(link).partition('#')
        if '://' in name or name.startswith('mailto:'):
            continue
        target = page.parent / name if name else page
        if not target.exists() or anchor and anchor not in anchors(target):
            broken.append(link)
    return broken


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    assert not broken_links(page)


@pytest.mark.parametrize('link, is_broken', [
    ('[a](other.md)', False), ('[a](other.md#two-words)', False), ('[a](#here)', False),
    ('[a](https://example.com/x)', False), ('[a](gone.md)', True), ('[a](other.md#no)', True),
    ('[a](#there)', True)])
def test_a_wrong_link_is_found(link: str, is_broken: bool, tmp_path: pathlib.Path) -> None:
    (tmp_path / 'other.md').write_text('# Two `words`!\n')
    page = tmp_path / 'page.md'
    page.write_text(f'# Here\n{link}\n```\n[not](a_link.md)\n```\n')
    assert bool(broken_links(page)) == is_broken


DOCS = sorted(REPOSITORY.glob('docs/*.md'))


def test_the_index_leads_to_every_page() -> None:
    index = REPOSITORY / 'docs' / 'index.md'
    linked = set(re.findall(r'\]\((\w+\.md)', index.read_text(encoding='utf-8')))
    assert linked == {page.name for page in DOCS} - {'index.md'}


@pytest.mark.parametrize('page', DOCS, ids=lambda page: page.name)
def test_a_page_is_short(page: pathlib.Path) -> None:
    """But for the tables, in which one looks things up."""
    lines = page.read_text(encoding='utf-8').splitlines()
    assert page.name in LONG or sum(not line.startswith('|') for line in lines) <= 120


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / 'README.md').read_text(encoding='utf-8').splitlines()) <= 150
