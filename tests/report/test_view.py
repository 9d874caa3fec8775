"""The template shows what the view holds, all of it and nothing else, in its own style."""

from __future__ import annotations

import dataclasses

import jinja2.meta
import jinja2.nodes
from small_report import REPORT, pictures

from rnascl_keras.report import page
from rnascl_keras.report.view import View


def test_the_template_names_every_field_of_the_view_and_no_other():
    environment = page.page_environment()
    source, *_ = environment.loader.get_source(environment, page.TEMPLATE)
    template = environment.parse(source)
    # Jinja also counts what is set inside an `if`.
    own = {assignment.target.name for assignment in template.find_all(jinja2.nodes.Assign)}
    named = jinja2.meta.find_undeclared_variables(template) - own
    fields = {field.name for field in dataclasses.fields(View)}
    assert named - set(environment.globals) == fields
    assert not fields & set(environment.globals)


def test_the_page_holds_its_style(tmp_path):
    environment = page.page_environment()
    style, *_ = environment.loader.get_source(environment, "report.css")
    html = page.write_report(tmp_path, REPORT, pictures()).read_text()
    assert html.count("<style>") == 1
    assert html.partition("<style>\n")[2].partition("</style>")[0] == style
