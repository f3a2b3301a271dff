"""The docs say what is true: commands exist with their options, Python runs, links resolve, ids are known.

Habit of sqlite-utils `tests/test_docs.py`: each documented command is checked against the program itself.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if path.exists())
SHELL = {"bash", "console", "sh", "shell"}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
BOOTSTRAP = re.compile(r"(?:py -3\.1[123]|python3?(?:\.1[123])?) tools/bootstrap\.py (.*)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its lines, outer indentation removed."""

    language: str
    body: str


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    found = []
    for match in FENCE.finditer(text):
        lines = [line.removeprefix(match["indent"]) for line in match["body"].splitlines()]
        found.append(Block(match["language"], "\n".join(lines)))
    return found


def commands(text: str) -> list[str]:
    """Return the command lines in a page's shell blocks, prompts, comments and line continuations removed."""
    lines = []
    for block in blocks(text):
        if block.language in SHELL:
            lines += block.body.replace("\\\n", " ").splitlines()
    stripped = (re.sub(r"\s+#.*$", "", line.strip().removeprefix("$ ")) for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


def inline(text: str) -> list[str]:
    """Return the words between single backticks outside fenced blocks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", FENCE.sub("", text))


def fault(line: str, *, whole: bool = True) -> str:
    """Say what is wrong with one command line; empty where nothing is, or where it is none of ours.

    `whole` lines are typed as they stand, so nothing that is required may be missing; others are only named.
    """
    if line.startswith("cx ") or line == "cx":
        return cx_fault(shlex.split(line)[1:], whole)
    if line.startswith("make ") and re.fullmatch(r"make [a-z]+( .*)?", line):
        targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        known = set(targets[1].split()) if targets else set()
        unknown = {word for word in line.split()[1:] if word.isalpha()} - known
        return f"no such make target: {sorted(unknown)}" if unknown else ""
    called = BOOTSTRAP.fullmatch(line)
    if called:
        sys.path.insert(0, str(ROOT / "tools"))
        from bootstrap import COMMANDS

        return "" if called[1].split()[0] in COMMANDS else f"bootstrap.py has no command {called[1]}"
    return ""


def cx_fault(words: list[str], whole: bool) -> str:
    """Walk the words through the commands of `cx`, with click's own parser and types, without running anything."""
    import click

    from cxlib.cli import main

    command: Any = main
    context = click.Context(command, info_name="cx")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"no such command: {' '.join([context.command_path, words[0]])}"
        command, words = found, words[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    try:
        values, left, _ = command.make_parser(context).parse_args(list(words))
        if left and not isinstance(command, click.Group):
            return f"too many arguments: {left}"
        for parameter in command.params:
            value = values.get(parameter.name)
            given = value is not None and type(value).__name__ not in ("Sentinel", "_Sentinel") and value != ()
            if whole and parameter.required and not given and "--help" not in words:
                return f"{context.command_path} needs {parameter.human_readable_name}"
            if given and not isinstance(parameter.type, click.Path | click.File):
                parameter.type_cast_value(context, value)
    except click.UsageError as error:
        return error.format_message()
    return ""


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", DOCS, ids=shown)
def test_every_documented_command_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    faults = [f"{line}: {wrong}" for line in commands(text) if (wrong := fault(line))]
    faults += [f"`{words}`: {wrong}" for words in inline(text) if (wrong := fault(words, whole=False))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", DOCS, ids=shown)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    missing = []
    for target in re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / unquote(name)).resolve() if name else page
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in anchors(other)):
            missing.append(target)
    assert not missing, f"dead links: {missing}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCS, ids=shown)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    """Paths such as `params/reports/monthly.yml`; those with <a placeholder> or a * are patterns."""
    named = re.compile(r"(?:params|notebooks|cxlib|tests|tools|docs|benchmarks)/[\w./-]*")
    paths = [words for words in inline(page.read_text(encoding="utf-8")) if named.fullmatch(words)]
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing, f"named but not there: {missing}"


def unknown_ids(text: str) -> list[str]:
    """Return the metrics, segments and notebooks that a page names and the project does not have."""
    import yaml

    known = {kind: {path.stem for path in (ROOT / "params" / kind).glob("*.yml")} for kind in ("metrics", "segments")}
    known["notebooks"] = {path.stem for path in (ROOT / "notebooks").rglob("*.ipynb")}
    named = [("metrics", name) for name in re.findall(r"\b[Mm]etrics? `([a-z0-9_]+)`", text)]
    named += [("segments", name) for name in re.findall(r"\b[Ss]egments? `([a-z0-9_]+)`", text)]
    for block in blocks(text):
        content = yaml.load(block.body, Loader=yaml.BaseLoader) if block.language == "yaml" else None
        for kind in known if isinstance(content, dict) else ():
            listed = content.get(kind)
            named += [(kind, name) for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    built_in = {"channel", "touchpoint", "touchpoint_group", "touchpoint_stage", "digital"}
    return [
        f"{kind}: {name}"
        for kind, name in named
        if name not in known[kind] | (built_in if kind == "segments" else set())
    ]


@pytest.mark.parametrize("page", DOCS, ids=shown)
def test_every_metric_and_segment_named_exists(page: Path) -> None:
    assert unknown_ids(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", DOCS, ids=shown)
def test_whole_definitions_in_the_docs_are_valid(page: Path) -> None:
    """A YAML block with a title and a kind is a whole metric: the params models take it as it stands."""
    import yaml

    from cxlib.params.models import Metric

    contents = [
        yaml.load(b.body, Loader=yaml.BaseLoader) for b in blocks(page.read_text("utf-8")) if b.language == "yaml"
    ]
    whole = [content for content in contents if isinstance(content, dict) and {"title", "kind"} <= set(content)]
    for content in whole:
        assert Metric.model_validate({"id": "from_the_docs", **content} if "id" in Metric.model_fields else content)


@pytest.mark.slow
def test_python_in_the_docs_runs(request: pytest.FixtureRequest) -> None:
    """A page's blocks run one after the other in the demo workspace, as a reader would paste them."""
    failed = []
    for page in DOCS:
        code = [block.body for block in blocks(page.read_text(encoding="utf-8")) if block.language == "python"]
        if code:
            folder = request.getfixturevalue("demo_workspace")
            command = [sys.executable, "-c", "\n\n".join(code)]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            failed += [f"{shown(page)}:\n{done.stderr}"] if done.returncode else []
    assert not failed, "\n".join(failed)


@dataclass
class Walk:
    """A page that is walked through: its files are written, its commands run, what it shows of them is compared."""

    root: Path
    source: str = ""
    output: str = ""

    def step(self, block: Block, before: str) -> None:
        """Do what one block says; `before` is the text above it."""
        if block.language == "csv":
            path = self.root / re.findall(r"`([\w./-]+\.csv)`", before)[-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body + "\n", encoding="utf-8")
        elif block.language == "yaml" and "\nfiles:" in block.body:
            (self.root / "params" / "sources" / self.source / "source.yml").write_text(block.body, encoding="utf-8")
        elif block.language == "yaml":
            with (self.root / "params" / "workspace.yml").open("a", encoding="utf-8") as file:
                file.write(block.body + "\n")
            self.run("cx check")
        elif block.language == "sql":
            name = block.body.splitlines()[0].removeprefix("-- ")
            (self.root / "params" / "sources" / self.source / name).write_text(block.body, encoding="utf-8")
        elif block.language in SHELL:
            self.output = "".join(self.run(line) for line in commands(f"```{block.language}\n{block.body}\n```\n"))
        elif block.language == "text":
            self.compare(block.body)

    def run(self, line: str) -> str:
        """Run one command and return what it prints; those that make a report or open a page are not of this walk."""
        from click.testing import CliRunner

        from cxlib.cli import main

        words = shlex.split(line)[1:]
        if words[:2] == ["new", "source"]:
            self.source = words[2]
        if words[0] not in ("check", "new", "ingest", "snapshots", "compact"):
            return ""
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        assert done.exit_code == 0, f"{line}\n{done.output}"
        return done.output

    def compare(self, shown: str) -> None:
        """Find every line that the page shows in the output, in order; `...` stands for anything."""
        rest = self.output
        for line in shown.splitlines():
            found = re.search(".*".join(map(re.escape, line.split("..."))), rest)
            assert found, f"not printed: {line}\n{self.output}"
            rest = rest[found.end() :]


@pytest.mark.parametrize("name", ["add-a-source.md"])
def test_a_page_can_be_walked_through(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does what the page says, in its order, sees what the page shows."""
    (tmp_path / "params" / "metrics").mkdir(parents=True)
    shutil.copytree(ROOT / "params" / "segments", tmp_path / "params" / "segments")
    for file in ("workspace.yml", "touchpoints.yml"):
        (tmp_path / "params" / file).write_bytes((ROOT / "params" / file).read_bytes())
    monkeypatch.chdir(tmp_path)
    text, walk, done = (ROOT / "docs" / name).read_text(encoding="utf-8"), Walk(tmp_path), 0
    for match in FENCE.finditer(text):
        walk.step(blocks(match[0])[0], text[done : match.start()])
        done = match.end()
    assert walk.source


def test_whole_sources_in_the_docs_are_valid() -> None:
    """A YAML block with files is a whole source; a table of keys names every key there is, and no other."""
    import yaml

    from cxlib.params.intake import File, Limits, Source

    page = (ROOT / "docs" / "add-a-source.md").read_text(encoding="utf-8")
    contents = [yaml.load(block.body, Loader=yaml.BaseLoader) for block in blocks(page) if block.language == "yaml"]
    whole = [content for content in contents if "files" in content]
    assert [Source.model_validate({"id": "from_the_docs", **content}).title for content in whole]
    of_source, of_file = page.split("And of each file:")
    for model, part in ((Source, of_source), (File, of_file), (Limits, of_source)):
        named = set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE))
        assert set(model.model_fields) - {"id"} <= named, model.__name__
    keys = re.findall(r"^\| `(\w+)` \|.*\| `(.*)` \|$", page.split("## Every key")[1], re.MULTILINE)
    for key, example in keys:
        given = yaml.load(example, Loader=yaml.BaseLoader)
        assert list(given) == [key], example
        if key in File.model_fields:
            assert File.model_validate({"path": "x", "names": ["a"]} | given)
        else:
            assert Source.model_validate(
                {"id": "x", "title": "x", "licence": "x", "files": {"a": {"path": "x"}}} | given
            )


def yaml_blocks(page: str) -> list[str]:
    return [block.body for block in blocks((ROOT / "docs" / page).read_text("utf-8")) if block.language == "yaml"]


def test_plans_and_changes_in_the_docs_pass_the_checks_of_params(workspace: Path) -> None:
    """What a page shows is laid into the project's own `params/`, whose metrics, segments and levels it names."""
    from cxlib import params

    [plan], registers = yaml_blocks("add-an-experiment.md"), yaml_blocks("add-a-change.md")
    (workspace / "params" / "experiments" / "from_the_docs.yml").write_text(plan, encoding="utf-8")
    for register, name in zip(registers, ("evening_hours", "thank_you_call"), strict=True):
        (workspace / "params" / "changes.yml").write_text(register, encoding="utf-8")
        found = params.load(workspace)
        assert found.experiments["from_the_docs"].registered
        assert list(found.changes) == [name]


def test_the_keys_of_plans_and_changes_are_all_explained() -> None:
    from cxlib.params.models import Change, Experiment

    for model, page in ((Experiment, "add-an-experiment.md"), (Change, "add-a-change.md")):
        heads = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE)
        assert {name.strip("`") for head in heads for name in head.split(", ")} == set(model.model_fields) - {"id"}


def test_there_are_docs() -> None:
    assert ROOT / "README.md" in DOCS
    assert len(DOCS) > 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cx rum monthly", "no such command"),
        ("cx run monthly --perod 2026-10", "perod"),
        ("cx run monthly extra words", "too many arguments"),
        ("cx demo --customers many", "many"),
        ("make coffee", "no such make target"),
        ("py -3.11 tools/bootstrap.py raport", "has no command"),
    ],
)
def test_a_wrong_command_is_seen(line: str, says: str) -> None:
    assert says in fault(line)


@pytest.mark.parametrize(
    "line",
    [
        "cx check",
        "cx run monthly --period 2026-10 --force",
        "cx demo --customers 200_000",
        "cx ingest olist --from path/to/olist",
        "cx --help",
        "make test",
        'make test ARGS="-k nps"',
        "py -3.11 tools/bootstrap.py report",
        "python3 tools/bootstrap.py test -k nps",
        "source .venv/bin/activate",
    ],
)
def test_a_right_command_passes(line: str) -> None:
    assert fault(line) == ""


def test_blocks_and_commands_are_found() -> None:
    page = (
        "1. Do:\n\n   ```bash\n   $ cx check   # comment\n   cx run \\\n     monthly\n   ```\n\n```text\ncx no\n```\n"
    )
    assert [block.language for block in blocks(page)] == ["bash", "text"]
    assert [" ".join(line.split()) for line in commands(page)] == ["cx check", "cx run monthly"]
    assert inline("Use `cx run` and\n```bash\n`x`\n```\n") == ["cx run"]


def test_unknown_ids_are_seen() -> None:
    page = "The metric `npz` and the segment `regoin`.\n\n```yaml\nmetrics: [no_such]\nnotebooks: [99_none]\n```\n"
    assert len(unknown_ids(page)) == 4
