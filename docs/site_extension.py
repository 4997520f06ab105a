"""What the site has that Sphinx has not: pages written from the code, and lists of what is beside a page."""

from collections.abc import Callable
from typing import Final, NoReturn

from command_pages import commands
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from scenario_pages import scenarios
from schema_tables import scenario_format
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

GALLERIES: Final = {"docs/adr/README": "0*", "notebooks/README": "[0-9]*"}
"""Pages that list what is beside them, and which of that belongs below them."""

GENERATED: Final[dict[str, Callable[[], str]]] = {
    "commands": commands,
    "scenario_format": scenario_format,
    "scenarios": scenarios,
}
"""What writes Markdown for a place on a page, by name."""


class Generated(SphinxDirective):
    """The Markdown that one of `GENERATED` writes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what the text says."""
        return self.parse_text_to_nodes(GENERATED[self.arguments[0]](), allow_section_headings=True)


class StateDiagram(SphinxDirective):
    """The picture in the place of the one Mermaid diagram there is, which needs a script from elsewhere."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture."""
        return [
            nodes.image(uri="/docs/images/states.svg", alt="What leads from one state of a job to another")
        ]


def with_gallery(_: Sphinx, page: str, source: list[str]) -> None:
    """Put the pages of a gallery below it."""
    if page in GALLERIES:
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{GALLERIES[page]}\n```\n"


def inline_formula(self: HTML5Translator, node: nodes.math) -> NoReturn:
    """Write a formula as MathML, which browsers show without a script."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def displayed_formula(self: HTML5Translator, node: nodes.math_block) -> NoReturn:
    """Write a formula that stands by itself as MathML."""
    self.body.append(tex2mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register what is of this site alone."""
    app.add_directive("generated", Generated)
    app.add_directive("mermaid", StateDiagram)
    app.add_html_math_renderer("mathml", (inline_formula, None), (displayed_formula, None))
    app.connect("source-read", with_gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
