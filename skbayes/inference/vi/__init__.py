"""Variational engines: `mean_field_vi`, `gaussian_vi`, `mc_dropout`."""
