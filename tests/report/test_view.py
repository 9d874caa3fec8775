"""The template shows what the view holds, all of it and nothing else, in its own style."""

from __future__ import annotations

import dataclasses

import jinja2.meta
import jinja2.nodes
from small_report import REPORT, pictures

from rnascl_keras.report import page
from rnascl_keras.report.view import View


def parsed(environment, name):
    source, *_ = environment.loader.get_source(environment, name)
    return environment.parse(source)


def test_the_template_names_every_field_of_the_view_and_no_other():
    environment = page.page_environment()
    templates = [parsed(environment, page.TEMPLATE)]
    parts = jinja2.meta.find_referenced_templates(templates[0])
    templates += [parsed(environment, name) for name in parts if name.startswith("report_")]
    assert len(templates) > 2
    # Jinja also counts what is set inside an `if`, and in a part the names of the whole.
    nodes = jinja2.nodes
    own = {found.target.name for part in templates for found in part.find_all(nodes.Assign)}
    own |= {found.name for part in templates for found in part.find_all(nodes.Macro)}
    imports = (found for part in templates for found in part.find_all(nodes.FromImport))
    own |= {name for found in imports for name in found.names}
    found = map(jinja2.meta.find_undeclared_variables, templates)
    named = set().union(*found) - own
    fields = {field.name for field in dataclasses.fields(View)}
    assert named - set(environment.globals) == fields
    assert not fields & set(environment.globals)


def test_the_page_holds_its_style(tmp_path):
    environment = page.page_environment()
    style, *_ = environment.loader.get_source(environment, "report.css")
    html = page.write_report(tmp_path, REPORT, pictures()).read_text()
    assert html.count("<style>") == 1
    assert html.partition("<style>\n")[2].partition("</style>")[0] == style
