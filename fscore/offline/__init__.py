"""Features computed from columns that the caller has, for training."""

from __future__ import annotations

from fscore.offline.evaluate import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
