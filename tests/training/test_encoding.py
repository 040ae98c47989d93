"""What is encoded comes back; what differs has another hash."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

from skbayes.training._encoding import Codec, digest


@dataclass
class Point:
    """A state with all that states hold."""

    where: torch.Tensor
    generator: torch.Generator
    told: dict
    others: list


def test_what_is_encoded_comes_back():
    generator = torch.Generator().manual_seed(3)
    inner = Point(torch.ones(2, dtype=torch.float64), generator, {}, [])
    point = Point(torch.arange(6.0)[::2], generator, {"a": 1, "b": (0.1, None)}, [inner, np.inf])
    tree = Codec([Point]).encode(point)
    expected = torch.rand(4, generator=generator)
    fresh = torch.Generator()
    again = Codec([Point]).decode(tree, fresh)
    assert torch.equal(again.where, point.where)
    assert again.told == point.told
    assert again.others[1] == np.inf
    assert again.others[0].where.dtype == torch.float64
    assert again.generator is again.others[0].generator is fresh
    assert torch.equal(torch.rand(4, generator=fresh), expected)


def test_a_view_does_not_take_its_storage_along():
    tree = Codec([]).encode(torch.zeros(1000)[:2])
    assert tree.untyped_storage().nbytes() == 8


def test_other_classes_are_not_built():
    tree = Codec([Point]).encode(Point(torch.ones(1), torch.Generator(), {}, []))
    with pytest.raises(KeyError, match="Point"):
        Codec([]).decode(tree, torch.Generator())


def test_an_object_with_other_attributes_is_not_built():
    tree = Codec([Point]).encode(Point(torch.ones(1), torch.Generator(), {}, []))
    del tree["items"]["told"]
    with pytest.raises(KeyError, match="attributes of Point"):
        Codec([Point]).decode(tree, torch.Generator())


DIFFERENT = [
    1, 1.0, True, "1", b"1", None, [1], (1,), [[1]], [1, 1], {1}, {"a": 1}, {"b": 1}, slice(1),
    np.ones(1), np.ones((1, 1)), np.ones(1, np.float32), np.zeros(1), -0.0, 0.0,
    torch.float32, torch.float64, torch.tanh, np.tanh, partial(max, 1), partial(min, 1),
    torch.nn.Tanh(), Point(1, 2, 3, 4), Point(1, 2, 4, 3),
]  # fmt: skip


def test_what_differs_has_another_hash():
    hashes = [digest(value) for value in DIFFERENT]
    assert len(set(hashes)) == len(DIFFERENT)
    assert digest([1], [2]) != digest([1, [2]]) != digest([[1], 2])


def test_what_is_equal_has_the_same_hash():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(np.int64(3)) == digest(3)
    assert digest(np.arange(6.0)[::2]) == digest(np.array([0.0, 2.0, 4.0]))
    assert digest(torch.arange(3.0)) == digest(np.arange(3, dtype=np.float32))


def test_an_object_that_holds_itself_has_a_hash():
    first, second = Point(1, 2, {}, []), Point(1, 2, {}, [])
    for point in (first, second):
        point.others.append(point)
    assert digest(first) == digest(second)


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(TypeError, match="cannot tell one"):
        digest(object())
