"""The real galaxies, where they are installed."""

from pathlib import Path

import pytest
import torch
from real_holdout import FOLDER, _label, real_holdout

from largebatch.spaces.errors import UserError


@pytest.mark.parametrize(
    ("hubble_type", "label"),
    [("E0", 0), ("cE2", 0), ("dE5", 0), ("SA(s)bc", 1), ("SB0", None), ("SAB0", None), ("S0-a", None),
     ("(R)SAB(s)ab", 1), ("(R')SB0", None), ("IBm", None), ("", None)],
)  # fmt: skip
def test_hubble_types(hubble_type: str, label: int | None) -> None:
    assert _label(hubble_type) == label


def test_where_it_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="apt-get install stellarium-data"):
        real_holdout(32, tmp_path)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs Debian's stellarium-data")
def test_spirals_and_ellipticals_in_the_middle_of_dark_sky() -> None:
    pytest.importorskip("PIL")
    images, labels = real_holdout(32)
    assert images.shape == (len(labels), 3, 32, 32)
    assert labels.bincount().min() >= 10
    assert images.min() >= 0
    assert images.max() <= 1
    centre, rest = images[:, :, 12:20, 12:20].mean((1, 2, 3)), images.mean((1, 2, 3))
    assert (centre > rest).double().mean() > 0.9
    border = torch.cat([images[:, :, 0], images[:, :, -1]], -1)
    assert border.median() < 0.05
