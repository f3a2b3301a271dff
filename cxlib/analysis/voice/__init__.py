"""What customers say: without what tells who they are, which themes they name, how often, and what is new."""

from cxlib.analysis.redaction import redact, redact_series, spans
from cxlib.analysis.redaction_shapes import Span
from cxlib.analysis.voice.coding import mentions, plain

__all__ = ["Span", "mentions", "plain", "redact", "redact_series", "spans"]
