"""Database statements differ by their literals, parameters and comments though they are one query.

A statement becomes a shape people recognise: values and parameters turn into `?`, lists of them into one, comments
(sqlcommenter's among them) vanish, white space collapses. Identifiers and keywords stay as they were written.
"""

import re
from functools import lru_cache

MAX_CHARS = 300

_COMMENT = r"(?P<comment>/\*.*?(?:\*/|$)|--[^\n]*)"
_STRING = r"(?P<value>\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|$)|(?:\b[eEbBxXnN])?'(?:[^'\\]|''|\\.)*(?:'|$))"
_QUOTED = r'(?P<quoted>"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$)|\[[A-Za-z_][\w ]*\])'
_CAST = r"(?P<cast>::\s*\w+(?:\[\])?)"
_PARAMETER = r"(?P<parameter>%\(\w+\)s|%[sb]\b|\$\d+\b|[:@][A-Za-z_]\w*|:\d+\b|\?\d*)"
_NUMBER = r"(?P<number>(?<![\w.])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)(?![\w]))"
_REST = (_STRING, _QUOTED, _CAST, _PARAMETER, _NUMBER)
_TOKEN = re.compile("|".join((_COMMENT, *_REST)), re.DOTALL)
_MYSQL_TOKEN = re.compile("|".join((_COMMENT[:-1] + r"|#[^\n]*)", *_REST)), re.DOTALL)
_JSON_VALUE = re.compile(r'(:\s*|[\[,]\s*)("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*)(?!\s*:)')

_SIGN = re.compile(r"([=<>(,]|\b(?:AND|OR|BETWEEN|LIMIT|OFFSET|THEN|ELSE|SELECT)\b)\s*[-+]\s*\?", re.IGNORECASE)
_ONE_LIST = re.compile(r"([(\[])\s*\?(?:\s*,\s*\?)+\s*([)\]])")
_ROWS = re.compile(r"(\((?:[^()]|\([^()]*\))*\))(?:\s*,\s*\1)+")
_SPACE = re.compile(r"\s+")
_MYSQL = frozenset({"mysql", "mariadb"})


@lru_cache(maxsize=8192)
def normalise_statement(text: str, database: str = "") -> str:
    """The shape of a statement; `database` is `db.system.name` (MySQL has strings and comments of its own).

    >>> normalise_statement("SELECT a FROM t  WHERE id IN (%s, %s) AND b = 'x' /* traceparent='00' */")
    'SELECT a FROM t WHERE id IN (?) AND b = ?'
    """
    if text.lstrip().startswith(("{", "[")):
        shape = _JSON_VALUE.sub(r"\1?", text)
    else:
        shape = _normalise_sql(text, is_mysql=database in _MYSQL)
    return _SPACE.sub(" ", shape).strip().rstrip(";").rstrip()[:MAX_CHARS]


def _normalise_sql(text: str, *, is_mysql: bool) -> str:
    tokens = _MYSQL_TOKEN if is_mysql else _TOKEN
    shape = tokens.sub(lambda m: _replacement(m, is_mysql=is_mysql), text)
    shape = _SIGN.sub(r"\1 ?", shape).replace("( ?", "(?")
    return _ROWS.sub(r"\1", _ONE_LIST.sub(r"\1?\2", shape))


def _replacement(match: re.Match[str], *, is_mysql: bool) -> str:
    if match.lastgroup == "comment":
        return " "
    if match["quoted"] is not None:
        return "?" if is_mysql and match["quoted"].startswith('"') else match["quoted"]
    return match["cast"] if match["cast"] is not None else "?"
