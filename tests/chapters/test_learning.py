"""What helps a learner: times, folded answers, words that lead to the glossary, the map. Shown on pages of a line."""

from __future__ import annotations

import re

import learning
import pytest
from docutils import nodes
from docutils.utils import new_document
from harness import BOOK, ROOT, chapters
from sphinx.addnodes import pending_xref

TERMS = learning.read_glossary((BOOK / "notation.md").read_text())
TASK = re.compile(r"^:class: predict$", re.MULTILINE)
ANSWERED = re.compile(r"^:class: predict$.*?^:class: answer$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^```\{code-cell\}", re.MULTILINE)


def page(*children: nodes.Node) -> nodes.document:
    document = new_document("page")
    document += nodes.section("", nodes.title("", "A title with softmax"), *children)
    return document


def box(kind: str, text: str) -> nodes.admonition:
    return nodes.admonition("", nodes.title("", kind), nodes.paragraph("", text), classes=[kind])


def links(document: nodes.document) -> list[tuple[str, str]]:
    return [(node.astext(), node["reftarget"]) for node in document.findall(pending_xref)]


def test_the_glossary_has_the_words_that_beginners_lack():
    words = {"softmax", "epoch", "momentum", "ReLU", "learning rate", "batch", "augmentation", "logit", "stride"}
    assert words <= TERMS.keys()
    assert all(text.endswith(".") and len(text) > 20 for text in TERMS.values())


def test_the_glossary_is_in_alphabetical_order():
    assert list(TERMS) == sorted(TERMS, key=str.lower)


def test_the_first_use_of_a_term_becomes_a_link_and_no_other_does():
    document = page(nodes.paragraph("", "Batches differ. A batch, a softmax; two batches and a Softmax."))
    learning.link_terms(document, {"batch": "", "softmax": ""}, "page")
    assert links(document) == [("batch", "batch"), ("softmax", "softmax")]
    assert document[0][1].astext() == "Batches differ. A batch, a softmax; two batches and a Softmax."


def test_the_longest_term_wins_and_a_plural_counts():
    document = page(nodes.paragraph("", "Learning rates beat the rate."))
    learning.link_terms(document, {"rate": "", "learning rate": ""}, "page")
    assert links(document) == [("Learning rates", "learning rate"), ("rate", "rate")]


@pytest.mark.parametrize("opaque", [nodes.literal, nodes.emphasis, nodes.strong, nodes.math, nodes.reference])
def test_code_formulas_and_links_are_left_alone_and_emphasis_is_not(opaque):
    document = page(nodes.paragraph("", "", opaque("", "softmax")))
    learning.link_terms(document, {"softmax": ""}, "page")
    assert bool(links(document)) == (opaque in (nodes.emphasis, nodes.strong))


def test_a_term_that_the_page_links_by_hand_is_not_linked_again():
    by_hand = learning.term_reference("softmaxes", "softmax", "page")
    document = page(nodes.paragraph("", "A softmax."), nodes.paragraph("", "", by_hand))
    learning.link_terms(document, {"softmax": ""}, "page")
    assert links(document) == [("softmaxes", "softmax")]


def test_words_with_two_meanings_are_linked_by_hand_only():
    document = page(nodes.paragraph("", "The kernel of Jupyter has a border."))
    learning.link_terms(document, {"kernel": "", "border": ""}, "page")
    assert links(document) == []


def test_an_answer_and_the_cells_before_it_are_folded_into_their_task():
    cell, after = nodes.literal_block("", "1 + 1"), nodes.paragraph("", "Go on.")
    document = page(box("predict", "What is 1 + 1?"), cell, box("answer", "Two."), after)
    learning.fold_answers(document)
    section = document[0]
    assert [type(node) for node in section] == [nodes.title, nodes.admonition, nodes.paragraph]
    (fold,) = section[1].findall(learning.folded)
    assert [node.astext() for node in fold] == ["1 + 1", "Two."]


def test_a_task_without_an_answer_is_an_error():
    with pytest.raises(ValueError, match=r"What is 1 \+ 1.* no box of class answer"):
        learning.fold_answers(page(box("predict", "What is 1 + 1?"), nodes.paragraph("", "Go on.")))


@pytest.mark.parametrize("name", [name for name in chapters() if TASK.search((BOOK / f"{name}.md").read_text())])
def test_the_answer_to_each_task_is_computed(name):
    text = (BOOK / f"{name}.md").read_text()
    assert len(ANSWERED.findall(text)) == len(TASK.findall(text))
    assert all(CELL.search(task) for task in ANSWERED.findall(text))


def test_reading_takes_a_minute_for_200_words_and_half_a_minute_for_a_figure():
    words = nodes.paragraph("", "word " * 396)  # and four of the title
    figures = [nodes.figure("", nodes.image(alt="x")) for _ in range(4)]
    assert learning.reading_minutes(page(words, *figures, nodes.literal_block("", "code " * 999))) == 4


@pytest.mark.parametrize(("seconds", "said"), [(29.4, "29 s"), (89, "89 s"), (150, "2 min"), (400, "7 min")])
def test_a_duration_is_said_in_words(seconds, said):
    assert learning.spoken(seconds) == said


def test_the_map_follows_the_table_of_contents_and_the_boxes_what_you_need(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "_toc.yml").write_text(
        "root: book/intro.md\nparts:\n- caption: One\n  numbered: 1\n  chapters: [file: book/a.md, file: book/b.md]\n"
        "- caption: Two\n  chapters: [file: book/c.md]\n"
    )
    need = ":::{admonition} What you need\n:class: need\nThe chapter {ref}`on <a>` it, [c](c.md).\n:::\n"
    for name, text in {"intro": "", "a": "", "b": need, "c": ""}.items():
        (tmp_path / "book" / f"{name}.md").write_text(f"({name})=\n# Title {name}\n\n{text}")
    found = learning.places(tmp_path)
    assert [(place.name, place.part, place.number, place.needs) for place in found] == [
        ("a", "One", 1, ()),
        ("b", "One", 2, ("a",)),
        ("c", "Two", None, ()),
    ]
    html = learning.map_html(found, {name: f"{name}.html" for name in "abc"}, dict.fromkeys("abc", "3 min to read"))
    assert re.findall(r'<a href="(.*?)">(.*?)</a>', html) == [("a.html", "1. Title a"), ("b.html", "2. Title b")]
    assert "builds on 1" in html
    assert html.count('class="head"') == 1


def test_no_arc_of_the_map_runs_backwards():
    found = learning.places(ROOT)
    order = [place.name for place in found]
    assert [(p.name, need) for p in found for need in p.needs if order.index(need) > order.index(p.name)] == []
