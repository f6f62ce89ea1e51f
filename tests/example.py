"""The example's paths: an online shop's definitions and clickstream, which several suites load."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
EXAMPLE = CHECKOUT / "examples" / "ecommerce"
CLICKSTREAM = EXAMPLE / "data" / "ecom.csv.gz"
