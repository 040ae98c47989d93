"""The example of evidence against polynomial order runs, and its peak is a cubic."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "polynomial_evidence.py"


def test_evidence_has_its_peak_at_a_cubic(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "the evidence prefers order 3" in done.stdout
    assert len(done.stdout.splitlines()) == 12
    picture = (tmp_path / "polynomial_evidence.svg").read_text(encoding="utf-8")
    assert picture.rstrip().endswith("</svg>")
