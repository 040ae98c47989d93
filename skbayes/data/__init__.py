"""Rows on their way to a model: tables, canonical order, scaling, tensors."""
