"""Kinds of spread that estimators tell apart."""

from __future__ import annotations

from skbayes.utils._suggestions import did_you_mean

#: Of a new observation; of its mean, which more data would shrink; of the noise.
KINDS = ("total", "epistemic", "aleatoric")


def check_kind(kind: str) -> None:
    """Refuse an unknown kind of spread by name."""
    if kind not in KINDS:
        meant = did_you_mean(str(kind), KINDS)
        raise ValueError(f"kind={kind!r} is not known; use one of {list(KINDS)}{meant}")
