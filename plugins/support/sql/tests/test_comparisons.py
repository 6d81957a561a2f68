"""Filters as comparisons: what a typed column selects is what the reference says."""

import operator

from hypothesis import given
from hypothesis import strategies as st

from ergaster.contracts.storage import Table
from ergaster.filters import And, Eq, In, Range, matches
from ergaster_support_sql.comparisons import compare
from ergaster_support_storage import check_query

TABLE = Table("t", (("whole", "integer"), ("number", "number"), ("text", "text"), ("flag", "boolean")))
OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

edges = st.sampled_from(
    [2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400, -(10**400), 1e308, float("inf"), 0.1]
)
wholes = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
doubles = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53) | st.sampled_from([2**60, -(2**60)])
scalars = (
    st.integers() | st.floats(allow_nan=False) | edges | st.sampled_from(["", "a", "b"]) | st.booleans() | st.integers(-3, 3)
)
values = st.fixed_dictionaries(
    {}, optional={"whole": wholes, "number": doubles, "text": st.sampled_from(["", "a", "b"]), "flag": st.booleans()}
)
fields = st.sampled_from(["whole", "number", "text", "flag"])
bounds = st.none() | scalars
conditions = (
    st.builds(Eq, fields, st.none() | scalars)
    | st.builds(In, fields, st.lists(scalars, max_size=4).map(tuple))
    | st.builds(Range, fields, bounds, bounds, bounds, bounds)
)


def stored(field, value):
    return float(value) if field == "number" and value is not None else value


def selects(comparisons, record):
    """Say whether an engine with typed columns selects the record."""
    if comparisons is None:
        return False
    for each in comparisons:
        found = stored(each.field, record.get(each.field))
        if each.operator == "is null":
            holds = found is None
        elif each.operator == "is not null":
            holds = found is not None
        elif each.operator == "in":
            holds = found is not None and found in each.values
        else:
            holds = found is not None and OPERATORS[each.operator](found, each.values[0])
        if not holds:
            return False
    return True


@given(st.lists(conditions, max_size=3).map(lambda each: And(tuple(each))), values)
def test_columns_select_what_the_reference_matches(where, record):
    query = check_query(TABLE, "t", where=where, order=None, limit=1, cursor=None)
    comparisons = compare(query)

    assert selects(comparisons, record) == matches(where, record)
    for each in comparisons or ():
        kind = dict(TABLE.indexes)[each.field]
        expected = {"integer": int, "number": float, "text": str, "boolean": bool}[kind]
        assert all(type(value) is expected for value in each.values)
