"""Builds the site: ``make docs`` writes it to docs/_build/html, from stored outputs and without a network.

The sources are the files of the repository where they are, so that links between pages work on disk, on
a code host and in the site alike.
"""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "jobsim"
release = metadata.version("jobsim")
html_title = f"jobsim {release}"
html_show_copyright = False

root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/*", "benchmarks/README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
exclude_patterns = ["docs/_*", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "site_extension"]

html_theme = "furo"
html_additional_pages = {"index": "to_the_index.html"}
html_static_path: list[str] = []
html_theme_options: dict[str, list[str]] = {"footer_icons": []}
html_copy_source = False
html_math_renderer = "mathml"

myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["mermaid"]
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # they would be fetched from elsewhere
nb_merge_streams = True

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]
copybutton_exclude = ".linenos, .gp, .go"
