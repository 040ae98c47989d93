"""The example of evidence against polynomial order runs, and its peak is a cubic."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "linear" / "plot_polynomial_evidence.py"


def test_evidence_has_its_peak_at_a_cubic():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    assert "the evidence prefers order 3" in done.stdout
    assert len(done.stdout.splitlines()) == 12
