"""Statements that differ by values only have one shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.explain.statements import MAX_CHARS, normalise_statement


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("SELECT price FROM prices WHERE product_id = $1", "SELECT price FROM prices WHERE product_id = ?"),
        ("SELECT price FROM prices WHERE product_id = %s", "SELECT price FROM prices WHERE product_id = ?"),
        ("SELECT price FROM prices WHERE product_id = %(id)s", "SELECT price FROM prices WHERE product_id = ?"),
        ("SELECT price FROM prices WHERE product_id = :id", "SELECT price FROM prices WHERE product_id = ?"),
        ("SELECT price FROM prices WHERE product_id = ?", "SELECT price FROM prices WHERE product_id = ?"),
        ("SELECT price FROM prices WHERE product_id = 'p-17'", "SELECT price FROM prices WHERE product_id = ?"),
        ("SELECT p FROM t WHERE id = ANY(%s)", "SELECT p FROM t WHERE id = ANY(?)"),
        ("SELECT p FROM t WHERE id IN (1, 2,3)", "SELECT p FROM t WHERE id IN (?)"),
        ("SELECT p FROM t WHERE id IN ('a')", "SELECT p FROM t WHERE id IN (?)"),
        ("INSERT INTO t (a, b) VALUES (1, 2), (3, 4)", "INSERT INTO t (a, b) VALUES (?)"),
        ("INSERT INTO t (a, b) VALUES (1, now()), (3, now())", "INSERT INTO t (a, b) VALUES (?, now())"),
        ("SELECT  a\n\tFROM t ;", "SELECT a FROM t"),
        ("SELECT a FROM t -- why\nWHERE b = 1", "SELECT a FROM t WHERE b = ?"),
        ("SELECT a /* hint */ FROM t /*traceparent='00-ab-01',route='%2Forders'*/", "SELECT a FROM t"),
        ("SELECT '-- no comment', 'it''s /* none */' FROM t", "SELECT ?, ? FROM t"),
        ("SELECT a::int, b -> 'k' FROM t1 WHERE c2 > -1.5e3", "SELECT a::int, b -> ? FROM t1 WHERE c2 > ?"),
        ('SELECT "Col 1" FROM "t2"', 'SELECT "Col 1" FROM "t2"'),
        ("SELECT $$it's$$, $tag$ $1 $tag$ FROM t", "SELECT ?, ? FROM t"),
        ("SELECT x[1], ARRAY[1, 2] FROM t LIMIT 10 OFFSET 20", "SELECT x[?], ARRAY[?] FROM t LIMIT ? OFFSET ?"),
        ("SELECT 'never closed", "SELECT ?"),
        ("GET cart:4711", "GET cart?"),
        ('{"find": "users", "filter": {"id": 42, "in": ["a", "b"]}}', '{"find": ?, "filter": {"id": ?, "in": [?, ?]}}'),
        ("", ""),
    ],
)  # fmt: skip
def test_values_parameters_lists_and_comments_do_not_tell_statements_apart(text: str, shape: str) -> None:
    assert normalise_statement(text) == shape


def test_mysql_has_strings_in_double_quotes_and_comments_of_its_own() -> None:
    text = "SELECT `a` FROM t WHERE b = \"x#y\" AND c = '#' # why"
    assert normalise_statement(text, "mysql") == "SELECT `a` FROM t WHERE b = ? AND c = ?"
    assert normalise_statement('SELECT "a" FROM t', "postgresql") == 'SELECT "a" FROM t'


@given(st.text(max_size=200), st.sampled_from(["", "mysql", "mongodb"]))
def test_any_text_has_a_bounded_shape_that_is_its_own_shape(text: str, database: str) -> None:
    shape = normalise_statement(text, database)
    assert len(shape) <= MAX_CHARS


@given(st.integers(0, 10**12), st.text("abc'-/*\\", max_size=8))
def test_literals_never_show(number: int, word: str) -> None:
    quoted = word.replace("\\", "\\\\").replace("'", "''")
    text = f"SELECT a FROM t WHERE b = {number} AND c = '{quoted}' AND d = 1"  # noqa: S608
    assert normalise_statement(text) == "SELECT a FROM t WHERE b = ? AND c = ? AND d = ?"
