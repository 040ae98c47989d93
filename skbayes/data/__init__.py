"""Rows on their way to a model: tables, canonical order, scaling, tensors."""

from skbayes.data._columns import COLUMN_KINDS
from skbayes.data._scaling import Standardizer

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (*dict.fromkeys(COLUMN_KINDS.values()), Standardizer)
