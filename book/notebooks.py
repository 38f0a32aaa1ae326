"""Chapters as plain Jupyter shows them: what the book's builder resolves is written out in Markdown.

A chapter is MyST: numbers are roles (``{glue:text}`name:.2f` ``), so are references and citations, and boxes are
directives. JupyterLab, Colab and GitHub know none of these. `readable` writes the same text with the values in place.
It depends on the chapter, the values and the files beside it alone, so a test can repeat it and compare.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from myst_nb.core.variables import format_plain_text
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from pybtex.database import Entry, parse_file

DIRECTIVE = re.compile(r"^(`{3,}|:{3,})\{([\w:-]+)\} *(.*?) *\n(.*?)^\1 *$", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r":([\w-]+): *(.*)\n")
ROLE = re.compile(r"\{([\w:]+)\}`([^`]*)`")
LABELLED_EQUATION = re.compile(r"\n\$\$ \(([\w-]+)\)$", re.MULTILINE)
LABEL = re.compile(r"^\(([\w-]+)\)=\n", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\((\w+)\.md\)")
DEFINITION = re.compile(r"^(\S.*)\n: +(?=\S)", re.MULTILINE)
KERNEL = "\nkernelspec:"  # in the head of a page with code
NUMBERED = {"figure": "Fig.", "list-table": "Table", "exercise": "Exercise", "equation": ""}
COLABS_OWN = ("torch", "numpy")  # built for its GPUs, and for each other

Values = dict[str, str]  # name -> the text that Python writes for the value


@dataclass(frozen=True)
class Book:
    """What a chapter refers to beyond itself.

    Parameters
    ----------
    folder : Path
        Where ``_config.yml``, ``_toc.yml`` and the folder ``book`` lie.
    titles : dict of str
        The first heading of each page, by the name of its file.
    addresses : dict of str
        The file that a link to a page leads to: its notebook, or its text if it holds no code.
    numbers : dict of str
        "Fig. 3.2" and the like, by label.
    sections : dict of tuple
        The page and the heading that a label stands for.
    sources : dict of Entry
        The bibliography.
    """

    folder: Path
    titles: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    sections: dict[str, tuple[str, str]] = field(default_factory=dict)
    sources: dict[str, Entry] = field(default_factory=dict)


def read_book(folder: Path) -> Book:
    """Collect titles, numbers, labels and sources of the book in `folder`."""
    book = Book(folder, sources=dict(parse_file(folder / "book" / "references.bib").entries))
    outside: dict[str, int] = {}  # pages without a chapter number share their counters
    for name, chapter in pages_in_order(folder):
        text = (folder / "book" / f"{name}.md").read_text()
        book.titles[name] = re.search(r"^# (.*)$", text, re.MULTILINE)[1]
        book.addresses[name] = f"{name}.{'ipynb' if KERNEL in text else 'md'}"
        for label, heading in re.findall(r"^\(([\w-]+)\)=\n#+ (.*)$", text, re.MULTILINE):
            book.sections[label] = (name, heading)
        counters = {} if chapter else outside
        for kind, label in numbered_things(text):
            counters[kind] = counters.get(kind, 0) + 1
            number = f"{chapter}.{counters[kind]}" if chapter else str(counters[kind])
            book.numbers[label] = f"{NUMBERED[kind]} {number}".strip()
    return book


def pages_in_order(folder: Path) -> list[tuple[str, int | None]]:
    """Return each page's name with its chapter's number, which runs through all numbered parts."""
    contents = yaml.safe_load((folder / "_toc.yml").read_text())
    pages: list[tuple[str, int | None]] = [(Path(contents["root"]).stem, None)]
    count = 0
    for part in contents.get("parts", []):
        for entry in part["chapters"]:
            count += bool(part.get("numbered"))
            pages.append((Path(entry["file"]).stem, count if part.get("numbered") else None))
    return pages


def numbered_things(text: str) -> list[tuple[str, str]]:
    """Return kind and label of everything that bears a number, in the order of the text."""
    kinds = {
        "figure": r"^ *figure:\n +name: (\S+)",
        "list-table": r"\{list-table\}.*\n:name: (\S+)",
        "exercise": r"\{exercise\}\n:label: (\S+)",
        "equation": r"^\$\$ \(([\w-]+)\)",
    }
    found = [(hit.start(), kind, hit[1]) for kind, form in kinds.items() for hit in re.finditer(form, text, re.M)]
    return [(kind, label) for _, kind, label in sorted(found)]


def readable(notebook: NotebookNode, book: Book, values: Values) -> NotebookNode:
    """Write out what plain Jupyter cannot resolve.

    Parameters
    ----------
    notebook : NotebookNode
        A chapter as Jupytext reads it, executed or not. It is changed in place, and returned.
    book : Book
        From `read_book`.
    values : dict
        What the chapter glued, by name (`glued_texts`).

    Raises
    ------
    KeyError
        If the prose names a value, a label or a source that does not exist.
    """
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, book, values)
        elif figure := cell.metadata.get("mystnb", {}).get("figure"):
            caption = f"**{book.numbers[figure['name']]}.** {figure['caption'].strip()}"
            cells.append(new_markdown_cell(plain_markdown(caption, book, values), metadata={"tags": ["caption"]}))
    first_code = next(place for place, cell in enumerate(cells) if cell.cell_type == "code")
    cells[first_code:first_code] = colab_cells(book.folder)
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook.cells = cells
    return notebook


def glued_texts(notebook: NotebookNode) -> Values:
    """Return the text of each value that an executed chapter put into its prose with `glue`, by name."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    glued = [output for output in outputs if "scrapbook" in output.get("metadata", {})]
    return {output.metadata.scrapbook.name: plain_text(output.data) for output in glued}


def plain_text(data: dict[str, str]) -> str:
    """Return the plain form of one glued output."""
    return next(text for kind, text in data.items() if kind.endswith("text/plain"))


def plain_markdown(text: str, book: Book, values: Values) -> str:
    """Write MyST as Markdown that every reader of notebooks knows."""
    text = LABEL.sub("", text)
    text = LABELLED_EQUATION.sub(lambda hit: f"\n\\tag{{{book.numbers[hit[1]]}}}\n$$", text)
    text = ROLE.sub(lambda hit: resolved(hit[1], " ".join(hit[2].split()), book, values), text)
    text = LINK.sub(lambda hit: f"[{hit[1] or book.titles[hit[2]]}]({book.addresses[hit[2]]})", text)
    text = DEFINITION.sub(r"\1  \n", text)  # two spaces: a line break
    return DIRECTIVE.sub(lambda hit: plain_directive(hit[2], hit[3], hit[4], book), text)


def resolved(role: str, content: str, book: Book, values: Values) -> str:
    """Return the text of one role."""
    resolvers: dict[str, Callable[[], str]] = {
        "glue:text": lambda: glued(content, values),
        "numref": lambda: book.numbers[content],
        "eq": lambda: f"({book.numbers[content]})",
        "ref": lambda: reference(content, book),
        "cite": lambda: "[" + "; ".join(cited(key, book, "{}, {}") for key in content.split(",")) + "]",
        "cite:t": lambda: cited(content, book, "{} [{}]"),
        "term": lambda: content,
    }
    if role not in resolvers:
        raise KeyError(f"no plain form for the role {{{role}}}; book/notebooks.py knows {', '.join(sorted(resolvers))}")
    return resolvers[role]()


def glued(content: str, values: Values) -> str:
    """Return a glued value in the format that stands behind its name, as the pages show it."""
    name, _, form = content.partition(":")
    return format_plain_text(values[name], form)


def reference(content: str, book: Book) -> str:
    """Return a link to a section, or the number of a figure, with the text that the chapter gives."""
    hit = re.fullmatch(r"(.*?) *<([\w-]+)>", content)
    text, label = (hit[1], hit[2]) if hit else ("", content)
    if label in book.numbers:
        return f"{text} ({book.numbers[label]})"
    page, heading = book.sections[label]
    place = "" if heading == book.titles[page] else "#" + heading.replace(" ", "-")
    return f"[{text or heading}]({book.addresses[page]}{place})"


def cited(key: str, book: Book, form: str) -> str:
    """Return authors and year of a source in the given form, as a link where the source has an address."""
    source = book.sources[key]
    names = [" ".join(person.prelast_names + person.last_names) for person in source.persons["author"]]
    authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    text = form.format(authors, source.fields["year"])
    doi = source.fields.get("doi")
    address = f"https://doi.org/{doi}" if doi else source.fields.get("url")
    return f"[{text}]({address})" if address else text


def plain_directive(name: str, title: str, body: str, book: Book) -> str:
    """Return a box as a quotation, a solution folded, a table as a Markdown table."""
    options: dict[str, str] = {}
    while hit := OPTION.match(body):
        options[hit[1]], body = hit[2], body[hit.end() :]
    body = body.strip("\n")
    if name == "solution":
        return f"<details>\n<summary>Solution to {book.numbers[title]}</summary>\n\n{body}\n\n</details>"
    if options.get("class") == "answer":
        return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"
    if name == "list-table":
        return f"**{book.numbers[options['name']]}.** {title}\n\n{plain_table(body)}"
    if name == "raw":
        return "*Here the built book has something to play with, which a notebook cannot show.*"
    headings = {"admonition": title, "warning": "Warning", "exercise": book.numbers.get(options.get("label", ""), "")}
    lines = [f"**{headings[name]}**", "", *body.splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def plain_table(body: str) -> str:
    """Return the rows of a ``list-table``, the first one its head."""
    rows = [re.split(r"^ +- ", row, flags=re.MULTILINE) for row in re.split(r"^\* - ", body, flags=re.MULTILINE)[1:]]
    lines = ["| " + " | ".join(" ".join(cell.split()) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def colab_cells(folder: Path) -> list[NotebookNode]:
    """Return the cell that lets a chapter run on Colab; none while the repository has no address to fetch it from."""
    repository = yaml.safe_load((folder / "_config.yml").read_text())["repository"]
    if not repository["url"]:
        return []
    source = COLAB.format(url=repository["url"], branch=repository["branch"], packages=" ".join(to_install(folder)))
    return [new_code_cell(source, metadata={"tags": ["colab"]})]


COLAB = """\
# On Colab: fetch this repository and what its package imports, and keep Colab's own PyTorch. Elsewhere: nothing.
import sys

if "google.colab" in sys.modules:
    !git clone -q --depth 1 --branch {branch} {url} companion
    %pip install -q {packages}
    %cd companion/book
    sys.path.insert(0, "..")"""


def to_install(folder: Path) -> list[str]:
    """Return the packages that `unet_paper` needs, without those that Colab brings built for its own machines.

    Without the pins: what is there already and works stays.
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[\w-]+", requirement)[0] for requirement in project["dependencies"]]
    return [name for name in names if name not in COLABS_OWN]
