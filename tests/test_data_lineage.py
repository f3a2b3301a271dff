"""A query that carries places yields the same rows, and each place is the file and row it was read from."""

from __future__ import annotations

import duckdb
import pytest

from cxlib.data.lineage import placed


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    """Two files, `answers` (two parts) and `people`, as the reading room leaves them."""
    made = duckdb.connect()
    made.execute(
        'CREATE TABLE "answers placed" (id VARCHAR, who VARCHAR, score VARCHAR, _file VARCHAR, _row BIGINT);'
        "INSERT INTO \"answers placed\" VALUES ('a1', 'p1', '9', 'a.csv', 2), ('a2', 'p2', 'x', 'a.csv', 3),"
        "('a2', 'p2', 'x', 'b.csv', 2), ('a3', 'p9', '4', 'b.csv', 3);"
        'CREATE VIEW answers AS SELECT * EXCLUDE (_file, _row) FROM "answers placed";'
        'CREATE TABLE "people placed" (who VARCHAR, region VARCHAR, _file VARCHAR, _row BIGINT);'
        "INSERT INTO \"people placed\" VALUES ('p1', 'North', 'p.csv', 2), ('p2', 'South', 'p.csv', 3);"
        'CREATE VIEW people AS SELECT * EXCLUDE (_file, _row) FROM "people placed"'
    )
    return made


A2, A3, B2, B3 = ("a.csv", 2), ("a.csv", 3), ("b.csv", 2), ("b.csv", 3)
QUERIES = [
    ("SELECT id AS response_id, score FROM answers", [A2, A3, B2, B3]),
    ("SELECT * FROM answers", [A2, A3, B2, B3]),
    ("FROM answers", [A2, A3, B2, B3]),
    ("SELECT a.*, p.region FROM answers AS a LEFT JOIN people AS p USING (who)", [A2, A3, B2, B3]),
    ("SELECT * FROM answers JOIN people USING (who)", [A2, A3, B2]),
    ("SELECT p.*, a.id FROM answers a RIGHT JOIN people p USING (who)", [("p.csv", 2), ("p.csv", 3), ("p.csv", 3)]),
    ("SELECT id, score FROM answers WHERE score = 'x' QUALIFY row_number() OVER (PARTITION BY id) = 1", 1),
    ("SELECT * REPLACE (score::VARCHAR AS score) FROM answers UNION ALL BY NAME SELECT who, 'y' AS score FROM people",
     [A2, A3, B2, B3, ("p.csv", 2), ("p.csv", 3)]),
    ("SELECT id FROM answers UNION ALL BY NAME SELECT who FROM people", [A2, A3, B2, B3, ("p.csv", 2), ("p.csv", 3)]),
    ("SELECT who, count(*) AS n FROM answers GROUP BY who", [A2, A3, B3]),
    ("SELECT who, count(*) AS n FROM answers GROUP BY ALL", [A2, A3, B3]),
    ("WITH x AS (SELECT * FROM answers WHERE score <> 'x') SELECT id || '!' AS id FROM x ORDER BY id", [A2, B3]),
    ("WITH x AS (SELECT * FROM answers), y AS (SELECT *, 1 AS one FROM x) SELECT * FROM y", [A2, A3, B2, B3]),
    ("SELECT id FROM (SELECT id, score FROM answers) AS s WHERE score = '9'", [A2]),
    ('SELECT id, _row FROM "answers placed"', [A2, A3, B2, B3]),
    ("SELECT id FROM answers UNION ALL SELECT 'none'", [A2, A3, B2, B3, None]),
]  # fmt: skip


def _seen(place) -> tuple | None:
    return (place["file"], place["row"]) if place else None


@pytest.mark.parametrize(("query", "places"), QUERIES)
def test_rows_stay_and_places_are_known(connection, query, places):
    found = placed(connection, query, ["answers", "people"])
    assert found is not None
    plain = connection.execute(query).fetchall()
    carried = connection.execute(f"SELECT * EXCLUDE (_place), _place FROM ({found})").fetchall()
    assert sorted((row[:-1] for row in carried), key=repr) == sorted(plain, key=repr)
    seen = [_seen(row[-1]) for row in carried]
    if isinstance(places, int):
        assert len(seen) == places
    else:
        assert sorted(seen, key=repr) == sorted(places, key=repr)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT DISTINCT who FROM answers",
        "SELECT who FROM answers UNION SELECT who FROM people",
        "SELECT who FROM answers EXCEPT SELECT who FROM people",
        "SELECT 1 AS one",
        "VALUES (1)",
        "SELECT x FROM range(3) AS t(x)",
        "SELECT DISTINCT ON (who) * FROM answers",
        "WITH x AS (SELECT * FROM answers) SELECT a.id, b.id AS other FROM x AS a, x AS b WHERE a.id = b.id AND a.*",
    ],
)
def test_where_a_place_cannot_be_told_nothing_is_changed(connection, query):
    assert placed(connection, query, ["answers", "people"]) is None
