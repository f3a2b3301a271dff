"""What customers say: without what tells who they are, which themes they name, how often, and what is new."""

from cxlib.analysis.redaction import redact, redact_series, spans
from cxlib.analysis.redaction_shapes import Span
from cxlib.analysis.voice.accuracy import accuracy, agreement
from cxlib.analysis.voice.audit import audit_sample, labels, settled
from cxlib.analysis.voice.book import book
from cxlib.analysis.voice.coding import code, definition, plain
from cxlib.analysis.voice.corrected import corrected_rate
from cxlib.analysis.voice.embeddings import embed, embedder
from cxlib.analysis.voice.novelty import novelty
from cxlib.analysis.voice.quotes import quotable, quotes
from cxlib.analysis.voice.sentiment import sentiment
from cxlib.analysis.voice.stability import stability
from cxlib.analysis.voice.themes import Themes, themes
from cxlib.params import Codebook, Theme

__all__ = [
    "Codebook", "Span", "Theme", "Themes", "accuracy", "agreement", "audit_sample", "book", "code",
    "corrected_rate", "definition", "embed",
    "embedder", "labels", "novelty", "plain", "quotable", "quotes", "redact", "redact_series", "sentiment", "settled",
    "spans", "stability", "themes",
]  # fmt: skip
