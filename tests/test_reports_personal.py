"""The scan before publishing: what it finds in every kind of file, what it leaves alone, and what it says.

Reports are made by hand, each with one thing in it that may not be published, so that every place is shown to be seen.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from html import escape
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxlib import params
from cxlib.analysis import voice
from cxlib.data import demo
from cxlib.data.ingest import ingest
from cxlib.data.sought import sought
from cxlib.errors import DisclosureError, StoreError
from cxlib.reports.disclosure import personal
from cxlib.reports.disclosure.personal import Known, mask, scan
from cxlib.reports.disclosure.texts import opened
from cxlib.reports.runner import run_pack
from tests import quick_workspace
from tests.conftest import ROOT

MAIL = "maria.lopez.134@example.com"
HOME = "/".join(("", "home", "ana"))  # spelt so, that no path of a machine stands here
CLEAN = """<html><head><title>Scorecard</title><style>a{color:#123456}</style></head><body>
<p>October 2026, n 12,345; +27.0 (+23.0 to +31.0), p = 0.0123456789012345;
2026-10-31T09:00:00Z, 600&nbsp;123&nbsp;456 EUR</p><!-- served -->
<p>Snapshot 0001-951bae of 2026-11-22 03:45
sha256 6cfb4b66912bf5ce1b1f2a477e3b1d013542ec25b0b0f05908d2800a7052f136</p>
<table><tr><td>1793404800000000</td><td>18-29</td><td>206.00573952549217</td></tr></table>
<p>Net Promoter Score (see Reichheld 2003; Rose, Mark and Grace are levels)</p></body></html>"""


def png(*chunks: bytes) -> bytes:
    """Return a picture of one dot, with further chunks before it."""

    def chunk(body: bytes) -> bytes:
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    parts = [b"IHDR" + struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0), *chunks, b"IDAT" + zlib.compress(b"\0\0"), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, parts))


def page(body: str) -> bytes:
    return CLEAN.replace("</body>", f"{body}</body>").encode()


def notebook(**cell: object) -> bytes:
    whole = {"cell_type": "code", "source": [], "metadata": {}, "outputs": []} | cell
    return json.dumps({"cells": [whole], "metadata": {"title": "t"}, "nbformat": 4, "nbformat_minor": 5}).encode()


def output(**parts: object) -> bytes:
    return notebook(outputs=[{"output_type": "display_data", "metadata": {}, "data": {}} | parts])


def book(text: str, part: str = "xl/sharedStrings.xml") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(part, f"<sst><si><t>{text}</t></si></sst>")

    return write


def parquet(frame: pd.DataFrame, metadata: dict[str, str] | None = None) -> Callable[[Path], None]:
    table = pa.Table.from_pandas(frame)
    kept = {**(table.schema.metadata or {}), **{k.encode(): v.encode() for k, v in (metadata or {}).items()}}
    return lambda path: pq.write_table(table.replace_schema_metadata(kept), path)


ENCODED = base64.b64encode(png(b"tEXtAuthor\0" + MAIL.encode())).decode()
SVG = base64.b64encode(f"<svg><title>{MAIL}</title></svg>".encode()).decode()
FRAME = pd.DataFrame({"level": ["North", MAIL], "n": [12, 13]})
PLACES: dict[str, tuple[str, bytes | Callable[[Path], None]]] = {
    "text": ("a.html", page(f"<p>write to {MAIL}</p>")),
    "text over tags": ("a.html", page("<p>maria.lopez.<b>134</b>@example<wbr>.com</p>")),
    "escaped text": ("a.html", page("<p>maria.lopez.134&#64;example.com</p>")),
    "attribute": ("a.html", page(f'<img src="x.png" alt="by {MAIL}">')),
    "comment": ("a.html", page(f"<!-- {MAIL} -->")),
    "script": ("a.html", page(f"<script>let x = '{MAIL}'</script>")),
    "link": ("a.html", page(f"<a href='mailto:{MAIL}'>x</a>")),
    "picture in a page": ("a.html", page(f'<img src="data:image/png;base64,{ENCODED}">')),
    "drawing in a page": ("a.html", page(f'<img src="data:image/svg+xml;base64,{SVG}">')),
    "drawing": ("figures/a.svg", f"<svg><metadata><dc:title>{MAIL}</dc:title></metadata></svg>".encode()),
    "picture": ("figures/a.png", png(b"iTXtComment\0\0\0\0\0" + MAIL.encode())),
    "packed picture text": ("figures/a.png", png(b"zTXtComment\0\0" + zlib.compress(MAIL.encode()))),
    "markdown": ("a.ipynb", notebook(cell_type="markdown", source=["ask ", MAIL])),
    "code": ("a.ipynb", notebook(source=[f"owner = '{MAIL}'"])),
    "printed": ("a.ipynb", output(output_type="stream", name="stdout", text=[MAIL])),
    "shown": ("a.ipynb", output(data={"text/html": [f"<td>{MAIL}</td>"]})),
    "plain": ("a.ipynb", output(data={"text/plain": [MAIL]})),
    "json shown": ("a.ipynb", output(data={"application/json": {"who": [MAIL]}})),
    "metadata": ("a.ipynb", output(metadata={"tags": [MAIL]})),
    "picture of a cell": ("a.ipynb", output(data={"image/png": ENCODED})),
    "csv": ("tables/a.csv", f"level,n\nNorth,12\n{MAIL},13\n".encode()),
    "workbook": ("tables/a.xlsx", book(MAIL)),
    "author of a workbook": ("tables/a.xlsx", book(MAIL, "docProps/core.xml")),
    "frozen": ("inputs/a/nps.parquet", parquet(FRAME)),
    "column": ("results.parquet", parquet(FRAME.rename(columns={"n": MAIL}))),
    "metadata of a file": ("results.parquet", parquet(FRAME[:1], {"made by": MAIL})),
    "context": ("inputs/a/context.json", json.dumps({"origins": [{"title": MAIL}]}).encode()),
    "pdf": ("a.pdf", b"%PDF-1.4\n1 0 obj << /Author (" + MAIL.encode() + b") >>"),
    "name of a file": (f"tables/{MAIL}.csv", b"n\n12\n"),
}


def put(folder: Path, name: str, content: bytes | Callable[[Path], None]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    return folder


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_an_address_is_found_wherever_it_is(place: tuple[str, bytes], tmp_path: Path) -> None:
    found = scan(put(tmp_path, *place))
    assert any(re.search(r"e-mail address(es)? \(first in .*m\*\*\*@\*\*\*\.c", sentence) for sentence in found), found
    assert all(sentence.startswith((f"{place[0]}: ", "tables/[e-mail]: ")) for sentence in found)
    assert not [sentence for sentence in found if MAIL in sentence]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("call +44 7700 900123", "telephone number"), ("(202) 555-0134", "telephone number"),
        ("móvil 612 345 678", "telephone number"), ("4111 1111 1111 1111", "card number"),
        ("ES91 2100 0418 4502 0005 1332", "bank account"), ("529.982.247-25", "personal number"),
        ("DNI 12345678Z", "personal number"), ("12 Baker Street", "postal address"),
        ("Calle Mayor 5, 28013 Madrid", "postal address"), ("my name is Xenia Ortak", "name of a person"),
        ("Maria Silva", "name of a person"), ("from 192.0.2.44", "IP address"), ("maria at gmail dot com", "e-mail"),
        (f"{HOME}/work/data.csv", "path of this machine"), (r"C:\Users\ana\data.csv", "path of this machine"),
        ("file:///srv/x", "path of this machine"), (r"\\server\share", "path of this machine"),
        ("AKIAIOSFODNN7EXAMPLE", "secret"), ("password: hunter2hunter2", "secret"),
        ("postgres://cx:s3cretpass@db/cx", "secret"), ("-----BEGIN RSA PRIVATE KEY-----", "secret"),
        ("Traceback (most recent call last)", "piece of source code"),
        ('File "run.py", line 3', "piece of source code"),
    ],
)  # fmt: skip
def test_every_kind_is_told_apart(text: str, kind: str, tmp_path: Path) -> None:
    (found,) = scan(put(tmp_path, "a.html", page(f"<p>{text}</p>")))
    assert found.startswith("a.html: 1 ")
    assert kind in found
    assert text not in found
    assert "; " in found  # what to do


def test_a_cell_of_code_in_a_page_is_refused(tmp_path: Path) -> None:
    cell = '<div class="highlight hl-ipython3"><pre>run.record(x)</pre></div>'
    assert "source code" in scan(put(tmp_path, "a.html", page(cell.replace('class="', 'data-x="'))))[0]


def test_what_reports_are_full_of_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "a.html", page(""))
    put(tmp_path, "tables/a.csv", b"period,n,revenue,note\n2026-10,12345,250123.45,18-29\n2026-09,612345678,4111,\n")
    put(tmp_path, "figures/a.png", png(b"tEXtSoftware\0Matplotlib version3.11, https://matplotlib.org/"))
    put(tmp_path, "a.ipynb", notebook(id="45512360", source=["import cxlib as cx  # @ana"]))
    put(tmp_path, "results.parquet", parquet(FRAME[:1]))
    put(
        tmp_path,
        "run.json",
        json.dumps({"code": "7e67e6ccc3a4", "at": "2026-11-22T12:32:03+00:00", "n": 4111}).encode(),
    )
    assert scan(tmp_path, Known(machine=("/root",))) == []


def test_words_of_our_own_pages_are_left_alone(tmp_path: Path) -> None:
    """The prose of the pack and all of params: what the company writes is full of words that are also names."""
    for number, path in enumerate(sorted((ROOT / "notebooks").rglob("*.ipynb"))):
        put(tmp_path, f"{number}.ipynb", path.read_bytes())
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "params").rglob("*.yml"))]
    put(tmp_path, "context.json", json.dumps(texts).encode())
    assert scan(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b"no picture"), ("a.parquet", b"PAR1"), ("a.ipynb", b"{"), ("a.xlsx", b"no book"), ("a.exe", b"MZ"),
        ("notes", b"x"), ("a.html", b"\xff\xfe\xfa"), ("a.json", b"\x80"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_through_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (found,) = scan(put(tmp_path, name, content))
    assert found.startswith(f"{name}: cannot be looked through")


def test_folders_and_secrets_of_this_machine_are_known(tmp_path: Path) -> None:
    known = Known(machine=("/data/lumen",), secrets={"WAREHOUSE_PASSWORD": "correct horse"})
    texts = {
        "a": "see /data/lumen/raw/x.csv",
        "b": "with correct horse",
        "c": "WAREHOUSE_PASSWORD is set",
        "d": "data/lumenous",
    }
    for name, text in texts.items():
        put(tmp_path, f"{name}.html", page(text))
    found = scan(tmp_path, known)
    assert [sentence.split(" (")[0] for sentence in found] == [
        "a.html: 1 path of this machine",
        "b.html: 1 secret",
        "c.html: 1 variable of the environment",
    ]
    assert not [sentence for sentence in found if "horse" in sentence]


@pytest.mark.parametrize(
    "line", ["{name}={value}", "'{name}': '{value}',", '"{name}": "{value}",', "{name}    {value}"]
)
def test_a_printed_environment_is_refused(line: str, tmp_path: Path) -> None:
    """Names and values look harmless; only together do they tell what the machine is like."""
    environment = {"EDITOR": "nano", "MACHTYPE": "x86_64-pc", "NODE_POOL": "blue lamps", "LONG": "word " * 30}
    known = Known(environment=environment)
    lines = [line.format(name=name, value=value) for name, value in environment.items()]
    for name, several in (("a", lines), ("b", lines[:2]), ("c", [*environment, *environment.values()])):
        (tmp_path / f"{name}.html").write_text(f"<pre>{escape(chr(10).join(several))}</pre>", encoding="utf-8")
    (found,) = scan(tmp_path, known)
    assert found.startswith("a.html: 4 variables of the environment (first in ")
    assert "EDITOR, LONG, MACHTYPE); do not print the environment" in found


def test_the_environment_of_this_process_is_known(monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path) -> None:
    for name, value in {"NODE_POOL": "blue", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TINY": "abc"}.items():
        monkeypatch.setenv(name, value)
    held = personal.known(root, params.load(root), "0001").environment
    assert held["NODE_POOL"] == "blue"
    assert not {"LANG", "LC_ALL", "TINY"} & set(held)
    (tmp_path / "a.html").write_text("<pre>environ({&#x27;A&#x27;: &#x27;b&#x27;})</pre>", encoding="utf-8")
    assert scan(tmp_path)[0].startswith("a.html: 1 variable of the environment")


def test_what_the_company_decided_may_be_published(tmp_path: Path) -> None:
    put(tmp_path, "a.html", page(f"<p>Owner: {MAIL}</p><p>and ana@example.com</p>"))
    (found,) = scan(tmp_path, Known(own=frozenset({MAIL})))
    assert "1 e-mail address" in found
    assert "a***@***.com" in found


def test_ids_are_looked_up_and_numbers_are_not(tmp_path: Path) -> None:
    asked: set[str] = set()

    def look_up(words: object) -> dict[str, str]:
        asked.update(words)
        return dict.fromkeys(asked & {"C0000012", "778812", "lamp lover 2"}, "customers.customer_id")

    put(
        tmp_path,
        "a.html",
        page("<p>of C0000012</p><td>778812</td><td>2026-10-31</td><td>18-29</td><td>3.25</td><td>12345</td>"),
    )
    put(
        tmp_path,
        "results.parquet",
        parquet(pd.DataFrame({"level": ["778812", "lamp lover 2", "North"], "n": [1, 2, 3]})),
    )
    found = scan(tmp_path, Known(look_up=look_up))
    assert [sentence.split(" (")[0] for sentence in found] == [
        "a.html: 1 id of the store",
        "results.parquet: 2 ids of the store",
    ]
    assert "C***2, of customers.customer_id" in found[0]
    assert not asked & {"2026-10-31", "18-29", "3.25", "12345", "North"}


def test_a_store_that_cannot_be_asked_refuses(tmp_path: Path) -> None:
    def look_up(words: object) -> dict[str, str]:
        raise StoreError("gone")

    (found,) = scan(put(tmp_path, "a.html", page("C0000012")), Known(look_up=look_up))
    assert "could not be looked up" in found


def test_what_is_yet_to_be_written_is_looked_through(tmp_path: Path) -> None:
    (found,) = scan(tmp_path, also={"run.json": {"rows": [{"source": MAIL}]}})
    assert found.startswith("run.json: 1 e-mail address")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.sampled_from(
        [MAIL, "+44 7700 900123", "4111 1111 1111 1111", "ES91 2100 0418 4502 0005 1332", "12345678Z"]
    ),
    before=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20),
    name=st.sampled_from(["a.html", "a.csv", "a.json", "a.ipynb"]),
)
def test_it_is_found_whatever_stands_around(value: str, before: str, name: str, tmp_path: Path) -> None:
    text = f"{before} ; {value} ; {before}"
    put(tmp_path, "a.csv", b"")
    content = {
        "a.html": page(f"<p>{text.replace('&', '&amp;').replace('<', '&lt;')}</p>"),
        "a.csv": f'"{text.replace(chr(34), "")}"\n'.encode(),
        "a.json": json.dumps([text]).encode(),
        "a.ipynb": notebook(source=text),
    }
    for other in content:
        put(
            tmp_path,
            other,
            content[other] if other == name else {"a.ipynb": notebook(), "a.json": b"[]"}.get(other, b""),
        )
    found = scan(tmp_path)
    assert any(sentence.startswith(f"{name}: ") for sentence in found)
    assert not [sentence for sentence in found if value in sentence]


def test_a_masked_value_tells_nothing() -> None:
    assert mask(MAIL) == "m***@***.com"
    assert mask("+44 7700 900123") == "+***3"
    assert mask("x@y") == "x***@***"
    assert mask("Ana") == "A***"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small company whose answers name their channel as somebody typed it."""
    return quick_workspace.workspace(tmp_path_factory.mktemp("quick"), ("2026-09", "2026-10"))


def test_ids_of_a_store_are_found_and_partners_are_not_ids(root: Path) -> None:
    from cxlib.data.ledger import Ledger
    from cxlib.data.places import location_of

    snapshot = Ledger.find(location_of(root, "data/store")).id
    found = sought(root, "data/store", snapshot, {"c7", "2026-10-3", "c4711", "web"})
    assert found == {"c7": "responses.customer_id", "2026-10-3": "responses.response_id"}
    with pytest.raises(StoreError):
        sought(root, "data/store", "0009-ffffff", {"c7"})


SCRIPT = "<script>alert(1)</script>"
RAW_LEVELS = "title: Channel\nquestion: Where?\non: event\ncolumn: channel\notherwise: unknown\nowner: Insight\n"
SHOWN = """answers = run.measure(by="channel")
run.table(cx.tables.levels(answers, run.metrics, "channel"))
{more}
run.record(answers)"""


def say_channel(root: Path, said: str) -> None:
    """Let a third of the answers name this channel."""
    raw = root / "data" / "raw" / "answers" / "responses.csv"
    rows = [line.split(",") for line in raw.read_text(encoding="utf-8").splitlines()]
    rows = [[*row[:-1], row[-1] if row[-1] in ("web", "channel") else said] for row in rows]
    raw.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    ingest(root, params.load(root), "answers", folder=raw.parent)


@pytest.mark.usefixtures("warm_module")
def test_a_level_that_is_a_script_is_text_and_one_that_is_an_address_refuses_the_run(root: Path) -> None:
    """Through the whole of `cx run`: refused, said where and what, never shown; the report that stood still stands."""
    (root / "params" / "segments" / "channel.yml").write_text(RAW_LEVELS, encoding="utf-8")
    quick_workspace.notebook(root, "02_levels", SHOWN.format(more=""))
    say_channel(root, SCRIPT)
    good = run_pack(root, "quick", "2026-10", jobs=1)
    assert good.state == "published"
    assert good.manifest["disclosure"]["verdict"] == "passed"
    pages = "".join(path.read_text(encoding="utf-8") for path in good.folder.glob("*.html"))
    assert escape(SCRIPT) in pages
    assert "<script" not in pages
    before = (good.folder / "run.json").read_bytes()
    say_channel(root, MAIL)
    quick_workspace.notebook(root, "02_levels", SHOWN.format(more="print('call +44 7700 900123')"))
    with pytest.raises(DisclosureError, match=r"02_levels\.html: \d+ e-mail address") as refused:
        run_pack(root, "quick", "2026-10", jobs=1)
    told = str(refused.value)
    assert "02_levels.html: 1 telephone number" in told
    assert "results.parquet: " in told
    assert "m***@***.com" in told
    assert MAIL not in told
    assert "900123" not in told
    assert refused.value.exit_code != 0
    assert (good.folder / "run.json").read_bytes() == before


def test_comments_of_the_demo_may_be_quoted_redacted_and_not_as_they_are(tmp_path: Path) -> None:
    """What was planted in them appears in no output once they are redacted; as written, each page is refused."""
    company = demo.simulate(2_000)
    comments = company.tables["responses"].column("comment").drop_null().to_pandas()
    planted = company.themes.column("planted").drop_null().unique().to_pylist()
    assert len(planted) > 10
    for name, texts in (("redacted", voice.redact_series(comments)), ("raw", comments)):
        put(tmp_path / name, "a.html", page("".join(f"<li>{escape(text)}</li>" for text in texts)))
        put(tmp_path / name, "results.parquet", parquet(pd.DataFrame({"note": texts})))
    assert scan(tmp_path / "redacted") == []
    told = {sentence.split(":")[0] for sentence in scan(tmp_path / "raw")}
    assert told == {"a.html", "results.parquet"}
    for path in (tmp_path / "redacted").iterdir():
        everything = "\n".join(text.text for text in opened(path, path.name))
        assert not [value for value in planted if value in everything]
