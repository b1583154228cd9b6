"""Redaction inside the engine, as SQL around a SELECT that reads OTLP.

    all texts of a row, joined --one search--> may there be anything to hide? --> the row's texts in one list, each with
                                                                                  what its key says --> columns again

Nearly all rows end at the search. `if` works its branches out for no others (but for `mapApply` and its kin, measured,
so maps are taken apart here). And all texts go through one list, as the engine works every expression of the
statement out anew for each batch: with expressions for each column that took it 130 ms more, with the list it takes 12
(measured).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from onejob.model.redaction import MASK, Action
from onejob.store.otlp_sql import DATABASE, FOUND_ABOVE, MAP, Holds, named, repeated
from onejob.store.redaction import HASH_BYTES, HASHED, SPARE, Plan, Step
from onejob.store.sql import array_of_strings, quote

KEY_TABLE = f"{DATABASE}.hash_key"  # so that the key is in no statement, which errors quote
_PAIRS = "Array(Tuple(String, String))"


class RedactionSql:
    """`mark` stands around what is to be hidden while a text is worked on: something that no text has in it."""

    def __init__(self, plan: Plan, mark: str) -> None:
        self._plan = plan
        self._mark, self._hidden_mark = f"<{mark}>", f"<{mark}!>"
        self._searches = array_of_strings(plan.searches)
        self._all_searches = array_of_strings((*plan.searches, *plan.key_searches))
        actions = {*(rule.action for rule in plan.keys), *(step.action for step in plan.steps)}
        self._drops = Action.DROP.value in actions

    def finds(self, places: Mapping[str, Holds]) -> str:
        joined = [_joined(name, holds) for name, holds in places.items() if holds is not Holds.WORD]
        finds = [f"multiMatchAny({_lines(joined)}, {self._all_searches})"] if joined else []
        if self._plan.searches:
            words = (name for name, holds in places.items() if holds is Holds.WORD)
            finds += [f"multiMatchAny({name}, {self._searches})" for name in words]
        return " OR ".join(finds) if finds and self._plan.hides else "false"

    def around(
        self,
        select: str,
        kept: Sequence[str],
        places: Mapping[str, Holds],
        *,
        above: Mapping[str, Holds] = MappingProxyType({}),
        are_few: bool = False,
    ) -> str:
        if not self._plan.hides:
            return f"SELECT {', '.join((*kept, *places, *above))} FROM ({select})" if above else select  # noqa: S608
        changed = self._columns_of_list({**places, **above})
        columns = {name: name for name in kept} | {n: f"if(is_to_hide, {sql}, {n})" for n, sql in changed.items()}
        found = f"{FOUND_ABOVE} OR {self.finds(places)}" if above else self.finds(places)
        listed = _listed({**places, **above})
        redacted = _redacted_apart(listed) if are_few else self._redacted(listed)
        return f"""
SELECT {named(columns)}
FROM (
    SELECT *, if(is_to_hide, {redacted}, []) AS redacted
    FROM (SELECT *, {found} AS is_to_hide FROM ({select}))
)"""  # noqa: S608

    # --- the list and back ---------------------------------------------------------------------------------------

    def _columns_of_list(self, places: Mapping[str, Holds]) -> dict[str, str]:
        """Each column out of `redacted`, which is as `_listed` put it together."""
        columns, texts, maps = {}, "0", "1"
        for name, holds in _in_order(places):
            match holds:
                case Holds.TEXT | Holds.WORD:
                    texts = f"{texts} + 1"
                    text = self._undropped(f"redacted[1][{texts}].2")
                    columns[name] = repeated(text) if holds is Holds.WORD else text
                case Holds.TEXTS:
                    part = f"arraySlice(redacted[1], {texts} + 1, length({name}))"
                    columns[name] = f"arrayMap(p -> {self._undropped('p.2')}, {part})"
                    texts = f"{texts} + length({name})"
                case Holds.ATTRIBUTES:
                    maps = f"{maps} + 1"
                    columns[name] = self._map(f"redacted[{maps}]")
                case Holds.LISTED_ATTRIBUTES:
                    part = f"arraySlice(redacted, {maps} + 1, length({name}))"
                    columns[name] = f"arrayMap(ps -> {self._map('ps')}, {part})"
                    maps = f"{maps} + length({name})"
        return columns

    def _undropped(self, text: str) -> str:
        return f"if({text} = {quote(self._mark)}, '', {text})" if self._drops else text

    def _map(self, pairs: str) -> str:
        gone = quote(self._mark)
        kept = f"arrayFilter(p -> p.1 != {gone} AND p.2 != {gone}, {pairs})" if self._drops else pairs
        return f"CAST({kept}, '{MAP}')"

    # --- what becomes of it ----------------------------------------------------------------------------------------

    def _redacted(self, listed: str) -> str:
        """Keys are texts, too: they come before the values, and only what is to be kept is kept of both."""
        with_action = f"arrayMap(ps -> arrayMap(p -> (p.1, p.2, {self._action('p.1')}), ps), {listed})"
        texts = "arrayConcat(ps.1, ps.2)"
        actions = "arrayConcat(arrayMap(a -> if(a = 'keep', a, ''), ps.3), ps.3)"
        changed = f"arrayMap((t, a) -> {self._changed_by_all('t', 'a')}, {texts}, {actions})"
        halves = "arrayZip(arraySlice(ts, 1, intDiv(length(ts), 2)), arraySlice(ts, intDiv(length(ts), 2) + 1))"
        return f"arrayMap(ts -> {halves}, arrayMap(ps -> {changed}, {with_action}))"

    def _action(self, key: str) -> str:
        rules = [(quote(f"(?is)^(?:{rule.regex})$"), rule.action) for rule in self._plan.keys]
        cases = "".join(f"match({key}, {regex}), '{action}', " for regex, action in rules)
        return f"multiIf({cases}'')" if cases else "''"

    def _changed_by_all(self, text: str, action: str) -> str:
        own = [step for step in self._plan.steps if not step.is_default]
        default = [step for step in self._plan.steps if step.is_default]
        by_own = self._by_steps(text, own)
        changed = f"if({action} = '{SPARE}', {by_own}, {self._by_steps(by_own, default)})"
        drops = [self._matches(text, step) for step in own if step.action == Action.DROP]
        drops += [f"{action} = '' AND {self._matches(text, s)}" for s in default if s.action == Action.DROP]
        if drops:
            changed = f"if({' OR '.join(drops)}, {quote(self._mark)}, {changed})"
        if self._plan.searches:
            is_found = f"{action} IN ('', '{SPARE}') AND multiMatchAny({text}, {self._searches})"
            changed = f"if({is_found}, {changed}, {text})"
        else:
            changed = text
        for by_key, result in (("mask", f"'{MASK}'"), ("drop", quote(self._mark)), ("hash", _hash(text))):
            if any(rule.action == by_key for rule in self._plan.keys):
                changed = f"if({action} = '{by_key}', {result}, {changed})"
        return changed

    # --- steps -----------------------------------------------------------------------------------------------------

    def _by_steps(self, text: str, steps: Sequence[Step]) -> str:
        for step in steps:
            if step.action != Action.DROP:
                text = self._changed(step, text)
        return text

    def _changed(self, step: Step, text: str) -> str:
        if step.action == Action.MASK and not step.is_card:
            return _replaced(text, step.pattern, step.rewrite.format(MASK))
        marked = f"{self._mark}{self._hidden_mark}\\{2 if step.is_card else 0}{self._mark}"
        marked = step.rewrite.format(marked) if step.is_card else marked
        parts = f"splitByString({quote(self._mark)}, {_replaced(text, step.pattern, marked)})"
        found = f"substring(part, {len(self._hidden_mark) + 1})"
        hidden = f"'{MASK}'" if step.action == Action.MASK else _hash(found)
        hidden = f"if({_is_card(found)}, {hidden}, {found})" if step.is_card else hidden
        is_found = f"startsWith(part, {quote(self._hidden_mark)})"
        return f"arrayStringConcat(arrayMap(part -> if({is_found}, {hidden}, part), {parts}))"

    def _matches(self, text: str, step: Step) -> str:
        if step.is_card:
            return f"{self._changed(replace(step, action=Action.MASK.value), text)} != {text}"
        return f"match({text}, {quote(step.pattern)})"


def _redacted_apart(listed: str) -> str:
    """By Python, which takes longer for a row, and the engine no time for the statement: see `redaction_nested`."""
    return f"JSONExtract(assumeNotNull(onejob_redacted(toJSONString({listed}))), 'Array({_PAIRS})')"


def _in_order(places: Mapping[str, Holds]) -> list[tuple[str, Holds]]:
    """As they stand in the list: texts that there are always, then lists of texts; maps, then lists of maps."""
    return sorted(places.items(), key=lambda place: place[1].value)


def _listed(places: Mapping[str, Holds]) -> str:
    """All texts with keys that are empty, then the pairs of each map."""
    ordered = _in_order(places)
    alone = [f"[{name}::String]" for name, holds in ordered if holds in (Holds.TEXT, Holds.WORD)]
    texts = [*alone, *(name for name, holds in ordered if holds is Holds.TEXTS)]
    lists = [f"[arrayMap(x -> ('', x), {_concatenated(texts)})]" if texts else f"[CAST([], '{_PAIRS}')]"]
    lists += [f"[CAST({name}, '{_PAIRS}')]" for name, holds in ordered if holds is Holds.ATTRIBUTES]
    maps = (name for name, holds in ordered if holds is Holds.LISTED_ATTRIBUTES)
    return _concatenated([*lists, *(f"arrayMap(m -> CAST(m, '{_PAIRS}'), {name})" for name in maps)])


def _concatenated(arrays: Sequence[str]) -> str:
    return f"arrayConcat({', '.join(arrays)})" if len(arrays) > 1 else arrays[0]


def _joined(column: str, holds: Holds) -> str:
    match holds:
        case Holds.TEXTS:
            return f"arrayStringConcat({column}, '\\n')"
        case Holds.ATTRIBUTES:
            return _lines([f"arrayStringConcat({part}({column}), '\\n')" for part in ("mapKeys", "mapValues")])
        case Holds.LISTED_ATTRIBUTES:
            return f"arrayStringConcat(arrayMap(m -> {_joined('m', Holds.ATTRIBUTES)}, {column}), '\\n')"
        case _:
            return column


def _lines(texts: Sequence[str]) -> str:
    joined = ", '\\n', ".join(texts)
    return f"concat({joined})" if len(texts) > 1 else joined


def _replaced(text: str, pattern: str, rewrite: str) -> str:
    return f"replaceRegexpAll({text}, {quote(pattern)}, {quote(rewrite)})"


def _hash(text: str) -> str:
    """As `redaction.hashed`."""
    digest = f"HMAC('sha256', {text}, (SELECT Key FROM {KEY_TABLE}))"  # noqa: S608  a name of ours
    return f"concat('{HASHED}', lower(hex(substring({digest}, 1, {HASH_BYTES}))))"


def _is_card(number: str) -> str:
    """Is its check digit right? (Luhn; ISO/IEC 7812-1, annex B)"""
    digits = f"arrayReverse(arrayMap(digit -> toUInt8(digit), extractAll({number}, '[0-9]')))"
    doubled = "if(nth % 2 = 1, digit, 2 * digit - if(digit > 4, 9, 0))"
    return f"arraySum((digit, nth) -> {doubled}, {digits}, arrayEnumerate({digits})) % 10 = 0"
