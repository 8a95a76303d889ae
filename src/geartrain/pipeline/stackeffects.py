"""How many values an instruction takes from the stack and how many it puts there (Python 3.11 to 3.13).

`dis.stack_effect` gives only the difference, which does not say which values remain.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

_FIXED: Mapping[tuple[int, int], str] = {
    (0, 0): "NOP RESUME CACHE PRECALL KW_NAMES MAKE_CELL COPY_FREE_VARS EXTENDED_ARG DELETE_FAST JUMP_FORWARD"
    " JUMP_BACKWARD",
    (0, 1): "LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR LOAD_CLOSURE",
    (0, 2): "LOAD_FAST_LOAD_FAST",
    (1, 0): "POP_TOP STORE_FAST STORE_DEREF STORE_GLOBAL DELETE_ATTR RETURN_VALUE POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE"
    " POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_TRUE"
    " POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE LIST_APPEND LIST_EXTEND SET_ADD SET_UPDATE DICT_UPDATE"
    " DICT_MERGE",
    (1, 1): "UNARY_NEGATIVE UNARY_NOT UNARY_INVERT TO_BOOL CONVERT_VALUE FORMAT_SIMPLE GET_ITER LIST_TO_TUPLE"
    " CALL_INTRINSIC_1 STORE_FAST_LOAD_FAST",
    (2, 0): "STORE_ATTR DELETE_SUBSCR STORE_FAST_STORE_FAST MAP_ADD",
    (2, 1): "BINARY_OP BINARY_SUBSCR COMPARE_OP IS_OP CONTAINS_OP FORMAT_WITH_SPEC SET_FUNCTION_ATTRIBUTE",
    (3, 0): "STORE_SUBSCR",
    (3, 1): "BINARY_SLICE",
    (4, 0): "STORE_SLICE",
}

_BY_NAME: Mapping[str, tuple[int, int]] = {name: counts for counts, names in _FIXED.items() for name in names.split()}

_BY_ARGUMENT: Mapping[str, Callable[[int], tuple[int, int]]] = {
    "BUILD_TUPLE": lambda count: (count, 1),
    "BUILD_LIST": lambda count: (count, 1),
    "BUILD_SET": lambda count: (count, 1),
    "BUILD_STRING": lambda count: (count, 1),
    "BUILD_SLICE": lambda count: (count, 1),
    "BUILD_MAP": lambda count: (2 * count, 1),
    "BUILD_CONST_KEY_MAP": lambda count: (count + 1, 1),
    # The code; before 3.13 also what the flags tell of (defaults, annotations, closure).
    "MAKE_FUNCTION": lambda flags: (1 + flags.bit_count(), 1),
    "END_FOR": lambda _: (1 if sys.version_info >= (3, 13) else 2, 0),
    "FORMAT_VALUE": lambda flags: (2 if flags & 4 else 1, 1),
    # The callable, the place for `self`, the arguments; then the names of those by keyword, or a dict of them.
    "CALL": lambda count: (count + 2, 1),
    "CALL_KW": lambda count: (count + 3, 1),
    "CALL_FUNCTION_EX": lambda flags: (3 + (flags & 1), 1),
}


def effect(name: str, arg: int, *, jumps: bool) -> tuple[int, int] | None:
    """How many values go and how many come; None: not known here."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in _BY_ARGUMENT:
        return _BY_ARGUMENT[name](arg)
    if name in {"JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP"}:
        return (1, 1) if jumps else (1, 0)
    if name == "FOR_ITER":  # at the end: 3.11 drops the iterator; later versions leave both to END_FOR
        return (1, 0) if jumps and sys.version_info < (3, 12) else (0, 1)
    return None
