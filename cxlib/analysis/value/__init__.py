"""What customers are worth: what they bought, what they will buy, and in money, with the doubt that belongs to it."""

from __future__ import annotations

from cxlib.analysis.value.bg_nbd import BgNbdFit, fit_bg_nbd
from cxlib.analysis.value.calibration import Calibration, calibrate
from cxlib.analysis.value.checks import checks
from cxlib.analysis.value.gamma_gamma import GammaGammaFit, expected_spend, fit_gamma_gamma
from cxlib.analysis.value.historic import HistoricValue, historic_value
from cxlib.analysis.value.lifetime import LifetimeValue, lifetime_value
from cxlib.analysis.value.link import LinkFit, fit_link, link
from cxlib.analysis.value.link_churn import ChurnFit, fit_churn, link_churn
from cxlib.analysis.value.link_evidence import Evidence, evidence
from cxlib.analysis.value.link_money import worth
from cxlib.analysis.value.purchases import expected_purchases, probability_alive
from cxlib.analysis.value.season import season
from cxlib.analysis.value.transactions import summarise_transactions
from cxlib.analysis.value.uncertainty import parameters

__all__ = [
    "BgNbdFit", "Calibration", "ChurnFit", "Evidence", "GammaGammaFit", "HistoricValue", "LifetimeValue", "LinkFit",
    "calibrate", "checks", "evidence", "expected_purchases", "expected_spend", "fit_bg_nbd", "fit_churn",
    "fit_gamma_gamma", "fit_link", "historic_value", "lifetime_value", "link", "link_churn", "parameters",
    "probability_alive", "season", "summarise_transactions", "worth",
]  # fmt: skip
