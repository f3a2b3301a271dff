"""Delimited text is cut as RFC 4180 says, whatever its size; what is damaged costs its own row and no other."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from plain_reader import ENDS, PlainReader, decoded

from cxlib.data.reading import delimited, packed, records
from cxlib.data.reading.delimited import parse
from cxlib.data.reading.facts import Layout
from cxlib.data.reading.records import Cutter
from cxlib.data.sources import open_source
from cxlib.params.models import File, Source


def cut(data: bytes, columns: int, block: int | None = None, *, quoted: bool = True) -> tuple[dict, dict, int]:
    """Read text without its header: rows by place, reasons by place, and how many records there are."""
    layout = Layout(tuple(f"c{place}" for place in range(columns)), quoted=quoted)
    blocks = [data[at : at + block] for at in range(0, len(data), block)] if block else [data]
    good: dict[int, tuple] = {}
    bad: dict[int, str] = {}
    base = 0
    for chunk in Cutter(layout).chunks(iter(blocks)):
        rows = parse(chunk, layout)
        values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
        good |= dict(zip((rows.places + base).tolist(), values, strict=True))
        bad |= {place + base: row.reason for place, row in rows.bad}
        if rows.uneven is not None:
            bad |= dict(zip((rows.uneven.places + base).tolist(), rows.uneven.reasons.to_pylist(), strict=True))
        base += rows.records
    return good, bad, base


CELLS = st.one_of(
    st.sampled_from(["", "a", "1,2", 'say "so"', "\n", "a\r\nb", '","', "1,2\n3,4", "é\u2028😀", " x ", "\ufeff", '"']),
    st.text(alphabet='ab",\r\n é', max_size=6),
)


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, int]:
    """A well-formed file and its number of columns: any end of line, quotes where they must be or more, blank lines."""
    columns = draw(st.integers(1, 4))
    end = draw(st.sampled_from(ENDS))
    text = ""
    for row in draw(st.lists(st.lists(CELLS, min_size=columns, max_size=columns), max_size=12)):
        quote = draw(st.booleans()) or row == [""]
        cells = ['"' + cell.replace('"', '""') + '"' if quote or set(cell) & set('",\r\n') else cell for cell in row]
        text += ",".join(cells) + end * draw(st.sampled_from([1, 1, 1, 2]))
    return (text.removesuffix(end) if draw(st.booleans()) else text).encode(), columns


@pytest.fixture(autouse=True, scope="module", params=[0, 1_000], ids=["told together", "told one by one"])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Rows that are rejected are told one by one or together, as they are few or many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_FEW", request.param)
        yield


@given(files(), st.sampled_from([None, 1, 2, 7, 64]))
def test_a_well_formed_file_is_read_as_the_csv_module_reads_it(file, block):
    data, columns = file
    expected = {
        place: tuple(cell or None for cell in row)
        for place, row in enumerate(csv.reader(io.StringIO(data.decode(), newline="")))
        if row
    }
    good, bad, _ = cut(data, columns, block)
    assert (good, bad) == (expected, {})


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, int]:
    """A file with a few letters put in, taken out or replaced."""
    data, columns = draw(files())
    raw = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        put = draw(st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"\xff", b'"x', b"", b'\n"']))
        raw[at : at + draw(st.integers(0, 2))] = put
    return bytes(raw), columns


@given(damaged(), st.sampled_from([None, 1, 3, 50]))
@example((b'x,"un\n1,",abc"\n2,3\n', 2), None)
@example((b'1,"a\nb",x,extra\n2,3,4\n', 3), None)
@example((b'"a\n"b"\n\r"', 1), 1)
def test_a_damaged_file_is_read_as_the_plainest_reader_reads_it(file, block):
    data, columns = file
    plain = PlainReader(decoded(data, "utf-8"), columns)
    good, bad, rows = cut(data, columns, block)
    assert good == plain.good
    assert set(bad) == set(plain.bad)
    assert rows == plain.records


@given(
    st.lists(st.text(alphabet="ab ", min_size=1, max_size=5), min_size=1, max_size=40), st.integers(0, 39), st.data()
)
def test_one_damaged_row_costs_no_other(words, place, data):
    rows = [(str(nth), word) for nth, word in enumerate(words)]
    place %= len(rows)
    wrong = data.draw(st.sampled_from([b'x,"y', b"x", b"x,y,z", b"x,\0", b"x,\xe9", b'x,"y" z', b'"x', b',"']))
    lines = [",".join(row).encode() for row in rows]
    lines[place] = wrong
    good, bad, _ = cut(b"\n".join(lines) + b"\n", 2, data.draw(st.sampled_from([None, 5])))
    assert list(bad) == [place]
    assert good == {nth: row for nth, row in enumerate(rows) if nth != place}


@given(st.lists(st.text(alphabet='ab",\t é', max_size=5)), st.sampled_from(ENDS), st.sampled_from([None, 1, 3]))
def test_plain_lines_stay_as_they_are(lines, end, block):
    good, bad, _ = cut(end.join(lines).encode(), 1, block, quoted=False)
    assert good == {nth: (line,) for nth, line in enumerate(lines) if line}
    assert bad == {}


def test_a_broken_quote_costs_its_line_among_many(monkeypatch):
    lines = [f'{nth},"word {nth}"' for nth in range(3_000)]
    for nth in (0, 1_000, 1_001, 2_999):
        lines[nth] = f'{nth},"word {nth}'
    good, bad, rows = cut("\n".join(lines).encode(), 2, 4_096)
    assert set(bad) == {0, 1_000, 1_001, 2_999}
    assert len(good) == 2_996
    assert rows == 3_000


def test_stray_quotes_in_every_row_are_letters():
    data = "".join(f'{nth},5" screen,{nth}\n' for nth in range(5_000)).encode()
    good, bad, _ = cut(data, 3, 10_000)
    assert (len(good), bad) == (5_000, {})
    assert good[4_999] == ("4999", '5" screen', "4999")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("block", [None, 10, 64, 101])
@pytest.mark.parametrize("row", [b"2," + b"x" * 500, b'2,"' + b"x" * 500, b'2,"' + b"x," * 250 + b'"'])
def test_a_row_that_is_too_long_costs_itself(monkeypatch, end, block, row):
    monkeypatch.setattr(records, "LONGEST_ROW", 100)
    data = end.join([b"1,a", row, b"3,c", b'4,"d"', b""])
    good, bad, rows = cut(data, 2, block)
    if block:
        assert bad == {1: "it is longer than any row may be (16 MB)"} or row.startswith(b'2,"')
    assert good | {1: None} == {0: ("1", "a"), 1: None, 2: ("3", "c"), 3: ("4", "d")}
    assert rows == 4


def test_the_end_of_a_file_ends_a_row_that_is_too_long(monkeypatch):
    monkeypatch.setattr(records, "LONGEST_ROW", 100)
    good, bad, rows = cut(b"1,a\n2," + b"x" * 500, 2, 50)
    assert (good, list(bad), rows) == ({0: ("1", "a")}, [1], 2)


def test_cut_and_read_rows_are_counted_against_each_other(monkeypatch):
    true = delimited._values
    monkeypatch.setattr(delimited, "_values", lambda *given: ([column[:-1] for column in true(*given)[0]], []))
    with pytest.raises(ValueError, match="2 rows were cut and 1 read: please report this"):
        cut(b"1,2\n3,4\n", 2)


def whole(folder: Path, content: bytes, **more: object) -> tuple[list[tuple], list[tuple]]:
    """Read a file as a source does: rows with their place, and what is unreadable."""
    (folder / "a.csv").write_bytes(content)
    file = File(path="a.csv", **more)
    with open_source(Source(id="toy", title="Toy", licence="none", files={"one": file}), folder) as opened:
        good = opened.connection.execute('SELECT * EXCLUDE (_file) FROM "one placed" ORDER BY _row').fetchall()
        bad = opened.connection.execute('SELECT "row", "column", reason, "text" FROM unreadable').fetchall()
    return good, bad


def test_unreadable_rows_are_named_with_row_and_column(tmp_path):
    content = (
        b'id,word,n\n1,"a\nb",x\n2,secret\n3,\xe9,x\n4,"open,x\n5,b,x\n6,"q" w,x\n\n7,\0,x\n8,c,x,y\n\xef\xbb\xbf9,d,x'
    )
    good, bad = whole(tmp_path, content)
    assert good == [("1", "a\nb", "x", 2), ("5", "b", "x", 6), ("\ufeff9", "d", "x", 11)]
    assert bad == [
        (3, "n", "it has 2 values for 3 columns", "2,secret"),
        (4, "word", "its bytes are not utf-8; say its encoding in source.yml", "3,\ufffd,x"),
        (5, "word", "a quote is opened and never closed", '4,"open,x'),
        (7, "word", "letters stand between a closing quote and the next value", '6,"q" w,x'),
        (9, "word", "it holds NUL bytes", "7,\ufffd,x"),
        (10, None, "it has 4 values for 3 columns", "8,c,x,y"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16-le", "utf-16", "shift_jis", "ascii"])
@pytest.mark.parametrize("block", [1, 3, 1 << 22])
def test_bytes_that_are_no_letters_cost_their_row_in_every_encoding(tmp_path, monkeypatch, encoding, block):
    monkeypatch.setattr(packed, "BLOCK", block)
    none = {"cp1252": b"\x81", "ascii": b"\xe9", "shift_jis": b"\xff", "utf-8": b"\xff"}.get(encoding, b"\x00\xdc")
    word = {"ascii": "e", "shift_jis": "ソ"}.get(encoding, "é")
    bare = encoding.replace("utf-16", "utf-16-le") if encoding == "utf-16" else encoding
    content = b"\xff\xfe" if encoding == "utf-16" else b""
    content += f"id,word\n1,{word}\n2,".encode(bare) + none + "x\n3,a\n4,".encode(bare) + none + "\n5,b\n".encode(bare)
    good, bad = whole(tmp_path, content, encoding=encoding)
    assert good == [("1", word, 2), ("3", "a", 4), ("5", "b", 6)]
    assert [(row, column) for row, column, *_ in bad] == [(3, "word"), (5, "word")]
    assert all(reason == f"its bytes are not {encoding}; say its encoding in source.yml" for _, _, reason, _ in bad)


def test_small_blocks_and_several_files_change_nothing(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    lines = [f'{nth},"é\n{nth}"' for nth in range(2_000)]
    lines[1_500] = "1500"
    content = ("id,word\n" + "\n".join(lines)).encode()
    first = whole(tmp_path, content)
    monkeypatch.setattr(packed, "BLOCK", 1_000)
    assert whole(tmp_path, content) == first
    assert (len(first[0]), first[0][-1], first[1][0][0]) == (1_999, ("1999", "é\n1999", 2_001), 1_502)
