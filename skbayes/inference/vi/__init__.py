"""Variational engines: `mean_field_vi`, `mc_dropout`."""
