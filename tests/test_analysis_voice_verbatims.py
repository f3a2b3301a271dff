"""One table of all that customers wrote and said, without those who do not agree."""

from __future__ import annotations

from datetime import datetime

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from cxlib.analysis.voice.verbatims import CALL, CHAT, COLUMNS, COMMENT, REVIEW, TICKET, verbatims
from cxlib.errors import UsageError
from cxlib.measure.derived import Undefined
from tests.test_data_consent import plain, toy

JANUARY = {"start": datetime(2026, 1, 1), "until": datetime(2026, 2, 1)}
RESPONSES = pd.DataFrame(
    {
        "response_id": ["r1", "r2", "r3", "r4", "r5"], "customer_id": ["c1", "c2", None, "c4", "c5"],
        "responded_at": [datetime(2026, 1, 1), datetime(2026, 1, 31, 23, 59, 59), datetime(2026, 1, 5),
                         datetime(2026, 2, 1), datetime(2026, 1, 6)],
        "instrument": "nps", "score": [1, 2, 3, 4, 5],
        "touchpoint": ["survey", "product_reviews", None, "survey", "survey"],
        "language": ["en", "pt", None, "en", "en"], "comment": ["late", "bom", "hm", "next month", "  "],
    }
)  # fmt: skip


def spoken(*rows: tuple[str | None, str]) -> pd.DataFrame:
    """Return interactions of a channel and a touchpoint, each with a transcript."""
    return pd.DataFrame(
        [(f"x{n}", "c1", datetime(2026, 1, 2), channel, place, "words") for n, (channel, place) in enumerate(rows)],
        columns=["interaction_id", "customer_id", "started_at", "channel", "touchpoint", "transcript"],
    )


def found(frames: dict[str, pd.DataFrame], **how: object) -> pd.DataFrame:
    """Return the verbatims of some tables, by their ids."""
    connection = ibis.duckdb.connect()
    tables = {
        name: connection.create_table(name, pa.Table.from_pandas(frame, preserve_index=False))
        for name, frame in frames.items()
    }
    found = connection.to_pyarrow(verbatims(tables, **{**JANUARY, **how})).to_pandas()
    return found.set_index("verbatim_id").sort_index()


def test_comments_of_the_time_and_reviews_by_their_touchpoint() -> None:
    table = found({"responses": RESPONSES}, reviewed=["product_reviews"])
    assert list(table.reset_index().columns) == list(COLUMNS)
    assert table["text"].to_dict() == {"r1": "late", "r2": "bom", "r3": "hm"}  # February's and the blank are out
    assert table["source"].to_dict() == {"r1": COMMENT, "r2": REVIEW, "r3": COMMENT}
    assert table.loc["r2", ["language", "score", "instrument"]].tolist() == ["pt", 2.0, "nps"]
    assert table["channel"].isna().all()  # the workspace has none
    assert table.loc["r3", ["customer_id", "touchpoint", "language"]].isna().all()


def test_a_transcript_is_what_its_channel_or_else_its_touchpoint_says() -> None:
    rows = [("phone", "x"), ("Web chat", "x"), ("email", "support_phone"), (None, "support_chat")]
    rows += [(None, "call_centre"), (None, "complaint_desk"), ("WhatsApp", "x")]
    table = found({"interactions": spoken(*rows), "responses": RESPONSES.drop(columns="comment")})
    assert table["source"].tolist() == [CALL, CHAT, TICKET, CHAT, CALL, TICKET, CHAT]
    assert table["score"].isna().all()


def test_without_texts_it_says_so_and_a_time_has_a_length() -> None:
    with pytest.raises(Undefined, match="no comments and no transcripts"):
        found({"responses": RESPONSES.drop(columns="comment")})
    with pytest.raises(UsageError, match="no time lies between"):
        found({"responses": RESPONSES}, until=JANUARY["start"])


def test_the_words_of_people_who_do_not_agree_are_not_in_it(tmp_path) -> None:
    made = toy(tmp_path, *plain("true", "false", "true", "true"))
    with made.open() as store:
        texts = store.run(verbatims(store.tables, **JANUARY))["text"]
    assert sorted(texts) == [f"spoken by {n}" for n in (1, 3, 4)] + [f"words of {n}" for n in (1, 3, 4, 5)]
