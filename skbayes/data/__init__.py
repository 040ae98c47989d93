"""Rows on their way to a model: tables, canonical order, scaling, tensors."""

from skbayes.data._columns import BinaryColumns, LevelColumns, NumberColumns
from skbayes.data._scaling import Standardizer

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (BinaryColumns, LevelColumns, NumberColumns, Standardizer)
