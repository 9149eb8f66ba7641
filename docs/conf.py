# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Settings of Sphinx, for ``make docs`` and for rosdoc2, which builds docs.ros.org.

The pages are plain Markdown that GitHub shows, too: what Sphinx needs besides is made here.
"""

import pathlib
import re
from typing import Any

_INDEX = 'docs/index'
_SOURCE = 'https://lvs-ros.example.com/source/'    # as in package.xml
_LINK = re.compile(r'\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)')

project = 'lvs_ros'
copyright = '2026, lvs_ros maintainers'
extensions = ['myst_parser', 'sphinx_rtd_theme']
html_theme = 'sphinx_rtd_theme'
html_theme_options = {'navigation_depth': 2, 'collapse_navigation': False}
html_show_sourcelink = False
myst_heading_anchors = 4
linkcheck_ignore = [r'https://lvs-ros\.example\.com']    # a placeholder

_IS_ROSDOC2 = 'rosdoc2_settings' in globals()
if not _IS_ROSDOC2:
    # The source folder is the repository, so that README and model cards are pages, too. rosdoc2
    # has a folder of its own, with a first page, docs/, and the documents of the root.
    root_doc = _INDEX
    include_patterns = ['*.md', 'CHANGELOG.rst', 'docs/**', 'config/models/*.md']


def _add_contents(page: str) -> str:
    """Add the contents, for the side of each page, from the lists of links of the index page."""
    for title, links in re.findall(r'^## (.+)\n+((?:.+\n)+)', page, flags=re.MULTILINE):
        names = [name for name, _ in _LINK.findall(links) if name.endswith(('.md', '.rst'))]
        names = [f'/{name[3:]}' if name.startswith('../') else name for name in names]
        page += '\n'.join(['', '```{toctree}', ':hidden:', ':maxdepth: 1', f':caption: {title}',
                           '', *names, '```', ''])
    return page


def _with_addresses(page: str, folder: pathlib.Path) -> str:
    """Let links to what is in the repository, but not in the source folder, lead to the source."""
    def linked(found: re.Match[str]) -> str:
        if (folder / found[1]).exists():
            return found[0]
        parts = [part for part in pathlib.PurePath(found[1]).parts if part != '..']
        return f']({_SOURCE}{"/".join(parts)}{found[2] or ""})'

    return _LINK.sub(linked, page)


def _on_source_read(app: Any, name: str, content: list[str]) -> None:
    if _IS_ROSDOC2:
        content[0] = _with_addresses(content[0], pathlib.Path(app.env.doc2path(name)).parent)
    if name == _INDEX:
        content[0] = _add_contents(content[0])


def _on_page(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    # The theme lets no line of a table break.
    context['metatags'] = context.get('metatags', '') + (
        '<style>.wy-table-responsive :is(td, th, td code) '
        '{ white-space: normal !important; overflow-wrap: break-word; }</style>')


def setup(app: Any) -> None:
    """Let Sphinx call what is above."""
    app.connect('source-read', _on_source_read)
    app.connect('html-page-context', _on_page)
