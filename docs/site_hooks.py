"""What MkDocs does to this site beyond its plugins: equations as MathML, names as links.

Equations become MathML when the site is built, so that a browser needs no script and no network.
"""

import html
import re
from typing import Any

from griffe import Extension as GriffeExtension
from griffe import Module
from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

_EQUATION = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>'
    r"|:math:<code>(.*?)</code>",  # as docstrings write them
    re.DOTALL,
)
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):<code>~?(.*?)</code>")
_DOCTEST = re.compile(r"^( *)(>>> .*(?:\n *\S.*)*)", re.MULTILINE)
_NAME = re.compile(r"<code>((?:uniemo|data_modules)(?:\.\w+)+)</code>")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let Markdown read the doctests of docstrings."""
    config.markdown_extensions.append(Doctests())
    return config


def on_page_content(content: str, **_: Any) -> str:
    """Replace equations by MathML, Sphinx's roles by code, full names of objects by links."""
    content = _EQUATION.sub(_mathml, content)
    content = _ROLE.sub(r"<code>\1</code>", content)
    return _NAME.sub(r'<autoref identifier="\1" optional><code>\1</code></autoref>', content)


def _mathml(found: re.Match[str]) -> str:
    latex = html.unescape(found[2] or found[3])
    mathml = convert(latex, display="block" if found[1] == "div" else "inline")
    if "\\" in mathml:
        raise PluginError(f"an equation holds a command that has no MathML: {latex}")
    return mathml


class Doctests(Extension):
    """Doctests as code blocks: paragraphs that begin with ``>>>``."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Register before fenced code is read."""
        md.preprocessors.register(_Fences(md), "doctests", 40)


class _Fences(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return _DOCTEST.sub(_fence, "\n".join(lines)).split("\n")


def _fence(found: re.Match[str]) -> str:
    indent, code = found[1], found[2].rstrip("\n")
    return f"{indent}```pycon\n{indent}{code}\n{indent}```\n"


class Once(GriffeExtension):
    """Each object on one page only: where it is defined, not where a package exports it again."""

    def on_module(self, *, mod: Module, **_: Any) -> None:
        """Forget what a package exports; mkdocstrings then shows its own members alone."""
        mod.exports = None
