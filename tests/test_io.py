"""Files load to the same bits in a new process, and refuse what they should."""

import json
import os
import random
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skbayes import (
    PPCA,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    ConjugateDensity,
    VariationalGMM,
    io,
)
from skbayes.conjugate import FAMILIES
from skbayes.exceptions import FileFormatError, UntrustedTypeError
from skbayes.inference import INFERENCES, Laplace
from skbayes.likelihoods import LIKELIHOODS
from skbayes.priors import PRIORS, Normal
from tests.engine_configs import cheap_engines

CHEAP = cheap_engines(
    map={"max_iter": 20},
    deep_ensemble={"max_iter": 20},
    hmc={"n_samples": 10, "warmup": 10},
    nuts={"n_samples": 10, "warmup": 10},
)
STRUCTURES = ("full", "diag", "last_layer")
REGRESSION = tuple(a[:60] for a in load_diabetes(return_X_y=True))
IRIS = load_iris(return_X_y=True)

#: Loads every file of a folder and stores what it predicts, as a user's next process would.
READER = """
import sys, pathlib, numpy as np
from skbayes import io
X = dict(np.load(sys.argv[1] + "/rows.npz"))
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.skbayes")):
    estimator = io.load(path)
    rows = X["classes" if hasattr(estimator, "classes_") else "numbers"]
    predict = getattr(estimator, "predict_proba", estimator.predict)
    np.save(path.with_suffix(".npy"), predict(rows))
"""


def regressor(engine="map", **params):
    return BayesianMLPRegressor((3,), inference=CHEAP[engine], random_state=0, **params)


def classifier(engine="map", **params):
    return BayesianMLPClassifier((3,), inference=CHEAP[engine], random_state=0, **params)


def fitted_estimators():
    """Every engine, structure, prior and likelihood, and the common wrappers."""
    numbers = {name: regressor(name) for name in INFERENCES}
    for structure in STRUCTURES:
        engine = Laplace(structure=structure, max_iter=10)
        numbers[f"laplace_{structure}"] = regressor().set_params(inference=engine)
    numbers |= {f"prior_{name}": regressor(prior=name) for name in PRIORS}
    numbers["float64"] = regressor(dtype="float64")
    grid = {"standardscaler__with_mean": [True, False]}
    pipe = make_pipeline(StandardScaler(), regressor("laplace"))
    numbers["pipeline"] = pipe
    numbers["search"] = GridSearchCV(pipe, grid, cv=2)
    numbers["scored_search"] = GridSearchCV(pipe, grid, cv=2, scoring="r2")
    numbers["prior_object"] = regressor(prior=Normal(scale=0.5))
    numbers["target"] = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    classes = {"iris": classifier("laplace"), "binary": classifier("deep_ensemble")}
    classes["class_search"] = GridSearchCV(classifier(), {"prior": ["normal", "laplace"]}, cv=2)
    for name, kind in LIKELIHOODS.items():
        if kind.target == "numeric":
            numbers[f"likelihood_{name}"] = regressor(likelihood=name)
        elif name != "bernoulli":
            classes[f"likelihood_{name}"] = classifier(likelihood=name)
    X, y = IRIS
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    classes = {
        name: clf.fit(X, labels == "setosa" if name == "binary" else labels)
        for name, clf in classes.items()
    }
    numbers = {name: reg.fit(*REGRESSION) for name, reg in numbers.items()}
    return numbers | classes | {"frozen": FrozenEstimator(numbers["laplace"])}


def predict(estimator):
    if hasattr(estimator, "classes_"):
        return estimator.predict_proba(IRIS[0])
    return estimator.predict(REGRESSION[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of saved estimators and of what a new process made of them."""
    folder = tmp_path_factory.mktemp("files")
    np.savez(folder / "rows.npz", classes=IRIS[0], numbers=REGRESSION[0])
    estimators = fitted_estimators()
    for name, estimator in estimators.items():
        io.save(estimator, folder / f"{name}.skbayes")
    subprocess.run([sys.executable, "-c", READER, str(folder)], check=True)
    return folder, estimators


def test_another_process_predicts_the_same_bits(folder):
    folder, estimators = folder
    assert set(INFERENCES) <= set(CHEAP) & set(estimators)
    for name, estimator in estimators.items():
        assert_array_equal(np.load(folder / f"{name}.npy"), predict(estimator), err_msg=name)


def test_every_file_holds_trusted_types_only(folder):
    folder, estimators = folder
    for name in estimators:
        content = (folder / f"{name}.skbayes").read_bytes()
        assert set(skops.io.get_untrusted_types(data=content)) <= io._trusted(content), name


@pytest.mark.parametrize("name", ["hmc", "laplace", "mc_dropout", "iris", "likelihood_student_t"])
def test_whole_contract_after_loading(folder, name):
    folder, estimators = folder
    old, new = estimators[name], io.load(folder / f"{name}.skbayes")
    X = IRIS[0] if name == "iris" else REGRESSION[0]
    assert_array_equal(new.predict_std(X), old.predict_std(X))
    assert_array_equal(new.sample_y(X, 2), old.sample_y(X, 2))
    draws = old.sample_posterior(n_samples=2, random_state=0)
    for key, draw in new.sample_posterior(n_samples=2, random_state=0).items():
        assert_array_equal(draw, draws[key])
    assert new.diagnostics_ == old.diagnostics_
    assert new.evidence_kind_ == old.evidence_kind_
    assert repr(new) == repr(old)
    if old.evidence_kind_ == "laplace":
        assert new.score_evidence() == old.score_evidence()


def test_loaded_estimator_can_be_fitted_again(folder):
    folder, estimators = folder
    again = io.load(folder / "laplace.skbayes").fit(*REGRESSION)
    assert_array_equal(predict(again), predict(estimators["laplace"]))


def test_feature_names_survive(tmp_path):
    X = pd.DataFrame(REGRESSION[0]).rename(columns="column {}".format)
    reg = regressor().fit(X, REGRESSION[1])
    io.save(reg, tmp_path / "named")
    again = io.load(tmp_path / "named")
    assert_array_equal(again.feature_names_in_, X.columns)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X.rename(columns=str.upper))


# --- refusals -----------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "estimator.skbayes"
    io.save(regressor().fit(*REGRESSION), path)
    return path


def foreign_function(X):
    return X


def test_foreign_types_are_refused_by_name(tmp_path):
    path, name = tmp_path / "foreign", f"{__name__}.foreign_function"
    pipe = make_pipeline(FunctionTransformer(foreign_function), regressor()).fit(*REGRESSION)
    io.save(pipe, path)
    with pytest.raises(UntrustedTypeError, match=rf"\['{name}'\].*trusted="):
        io.load(path)
    assert_array_equal(io.load(path, trusted=[name]).predict(REGRESSION[0]), predict(pipe))


def members_of(content):
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members):
    """A whole archive of these members, as a program would write it that means no harm."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_file_cannot_call_what_it_names(path):
    """A schema rewritten to name os.system, its hash in order, builds nothing."""
    members = members_of(path.read_bytes())
    schema = json.loads(members["schema.json"])
    schema["__module__"], schema["__class__"] = "os", "system"
    members["schema.json"] = json.dumps(schema)
    with zipfile.ZipFile(BytesIO(packed(members))) as archive:
        header = json.loads(members["skbayes.json"]) | {"sha256": io._hash(archive)}
    path.write_bytes(packed(members | {"skbayes.json": json.dumps(header)}))
    with pytest.raises(UntrustedTypeError, match=r"os\.system"):
        io.load(path)


def rewrite_header(path, **changes):
    members = members_of(path.read_bytes())
    header = json.loads(members["skbayes.json"]) | changes
    path.write_bytes(packed(members | {"skbayes.json": json.dumps(header)}))


@pytest.mark.parametrize(
    ("number", "release", "remedy"),
    [(io.FORMAT + 1, "9.9", "upgrade"), (io.FORMAT - 1, "0.0.1", r"load it with skbayes 0\.0\.1")],
    ids=["newer", "older"],
)
def test_another_format_names_both_versions(path, number, release, remedy):
    rewrite_header(path, format=number, versions={"skbayes": release})
    message = (
        rf"format {number}, written by skbayes {release}.*reads format {io.FORMAT}; .*{remedy}"
    )
    with pytest.raises(FileFormatError, match=message):
        io.load(path)


def test_every_room_with_a_list_is_known():
    """A room that holds classes of files and that `io` does not know would load nothing."""
    package = Path(io.__file__).parent
    assert {
        path.parent.name for path in package.glob("*/__init__.py") if "STATE" in path.read_text()
    } == set(io._ROOMS)


def test_a_file_gets_the_classes_of_the_rooms_that_it_names(tmp_path):
    X = IRIS[0]
    io.save(PPCA(2).fit(X), tmp_path / "ppca")
    named = {
        name.split(".")[1]
        for name in io._trusted((tmp_path / "ppca").read_bytes())
        if name.startswith("skbayes")
    }
    assert named == {"decomposition"}


def test_header_records_format_and_versions(path):
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("skbayes.json"))
    assert header["format"] == io.FORMAT
    assert set(header["versions"]) == {"skbayes", "scikit-learn", "torch", "numpy"}
    assert len(header["sha256"]) == 64


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileFormatError, match="damaged"):
        io.load(path)


def test_flipped_bits_are_noticed(path):
    """Every member is checksummed: no flip inside one loads silently."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    content = path.read_bytes()
    for member in members:
        # A local header is 30 bytes and the name (and what little skops adds).
        start = member.header_offset + 30 + len(member.filename)
        damaged = bytearray(content)
        damaged[start + member.compress_size // 2] ^= 0x10
        path.write_bytes(bytes(damaged))
        with pytest.raises(FileFormatError, match="damaged"):
            io.load(path)


def test_file_of_another_library(tmp_path):
    skops.io.dump(StandardScaler(), tmp_path / "other")
    with pytest.raises(FileFormatError, match=r"not written by skbayes\.io\.save"):
        io.load(tmp_path / "other")


def test_text_file(tmp_path):
    (tmp_path / "text").write_text("not a model")
    with pytest.raises(FileFormatError, match="damaged or no skbayes file"):
        io.load(tmp_path / "text")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.load(tmp_path / "nowhere")


def test_failed_save_keeps_the_old_file(path):
    before = path.read_bytes()
    reg = regressor().fit(*REGRESSION)
    reg.unsaveable_ = (row for row in ())
    with pytest.raises(Exception, match="generator"):
        io.save(reg, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_threads_that_save_to_one_path_leave_a_whole_file(path):
    reg = io.load(path)
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: io.save(reg, path), range(4)))
        io.load(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="modes and links")
def test_modes_are_kept_and_links_followed(path):
    reg = io.load(path)
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path)
    io.save(reg, link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    io.load(path)
    before = os.umask(0o027)
    try:
        io.save(reg, path.with_name("new"))
    finally:
        os.umask(before)
    assert path.with_name("new").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_missing_is_named_not_the_file_beside_it(path):
    nowhere = path.parent / "nowhere" / "model"
    with pytest.raises(FileNotFoundError) as caught:
        io.save(io.load(path), nowhere)
    assert caught.value.filename == str(nowhere)
    assert ".tmp" not in str(caught.value)


def test_another_release_is_said(path):
    rewrite_header(path, versions={"skbayes": "0.0.1"})
    with pytest.warns(UserWarning, match=r"written by skbayes 0\.0\.1.*save the estimator again"):
        io.load(path)


@pytest.mark.parametrize(
    "header",
    [[], {}, {"format": "x"}, {"format": io.FORMAT}, {"format": io.FORMAT, "versions": 3}, None],
)
def test_headers_without_a_version_are_damaged(path, header):
    members = members_of(path.read_bytes())
    path.write_bytes(packed(members | {"skbayes.json": json.dumps(header)}))
    with pytest.raises(FileFormatError, match="damaged"):
        io.load(path)


def spoil_bytes(content, rng):
    """Overwritten, cut out, put in, cut off or added at a place."""
    # The places that name and order the members are at the end: half the damage is there.
    low = len(content) - 2000 if rng.random() < 0.5 else 0
    at, noise = rng.randrange(max(low, 0), len(content)), rng.randbytes(rng.randrange(1, 64))
    before, after = content[:at], content[at:]
    ends = [noise + after[len(noise) :], after[len(noise) :], noise + after, b"", after + noise]
    return before + rng.choice(ends)


def spoil_members(content, rng):
    """A whole archive that lacks a member, or holds another's or noise in its place."""
    members = members_of(content)
    one, other = rng.sample(sorted(members), 2)
    kind = rng.randrange(3)
    if kind == 0:
        del members[one]
    elif kind == 1:
        members[one], members[other] = members[other], members[one]
    else:
        members[one] = rng.randbytes(50)
    return packed(members)


def spoil_array(content, rng):
    """An array of another shape or type, which is an array all the same."""
    members, buffer = members_of(content), BytesIO()
    array = rng.choice([np.zeros((2, 3, 5)), np.zeros(0), np.array(["a", "b"]), np.full(3, np.nan)])
    np.save(buffer, array)
    name = rng.choice([name for name in sorted(members) if name.endswith(".npy")])
    return packed(members | {name: buffer.getvalue()})


def spoil_json(content, rng):
    """A value of schema or header that is gone, or of another type."""
    members = members_of(content)
    name = rng.choice(["schema.json", "skbayes.json"])
    tree = json.loads(members[name])
    at = tree
    while isinstance(at, dict) and at:
        above, key = at, rng.choice(sorted(at))
        at = at[key]
        if rng.random() < 0.3:
            break
    if rng.random() < 0.3:
        del above[key]
    else:
        above[key] = rng.choice([None, -1, "x", [], {}, True, 1e300])
    return packed(members | {name: json.dumps(tree)})


SPOILS = [spoil_bytes, spoil_members, spoil_array, spoil_json]
SPOILT = {
    "network": (BayesianMLPRegressor((2,), inference="map", random_state=0), "predict"),
    "ppca": (PPCA(2), "transform"),
    "mixture": (VariationalGMM(2, random_state=0), "score_samples"),
}


@pytest.mark.filterwarnings("ignore:.*was written by skbayes x:UserWarning")
@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("model", SPOILT)
def test_every_damage_is_named(model, spoil, tmp_path):
    """An error by name, or what was saved, to the bit."""
    estimator, verb = SPOILT[model]
    X, y = REGRESSION[0][:, :4], REGRESSION[1]
    io.save(clone(estimator).fit(X, y), tmp_path / "whole")
    content, rng = (tmp_path / "whole").read_bytes(), random.Random(model)
    expected, n_named = getattr(io.load(tmp_path / "whole"), verb)(X), 0
    for _ in range(25):
        (tmp_path / "damaged").write_bytes(spoil(content, rng))
        try:
            again = io.load(tmp_path / "damaged")
        except FileFormatError:
            n_named += 1
        else:
            assert_array_equal(getattr(again, verb)(X), expected)
    assert n_named >= 10


@pytest.mark.parametrize(
    "estimator", [PPCA(2), *(ConjugateDensity(name) for name in FAMILIES)], ids=repr
)
def test_densities_need_no_further_trust(tmp_path, estimator):
    X = np.random.default_rng(0).integers(0, 2, size=(30, 4))
    io.save(estimator.fit(X), tmp_path / "density")
    again = io.load(tmp_path / "density")
    assert_array_equal(again.score_samples(X), estimator.score_samples(X))
    assert again.score_evidence() == estimator.score_evidence()
