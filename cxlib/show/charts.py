"""One function a question: a result frame and metric definitions in, a figure with alt text out.

The functions arrange what the frame holds: intervals, differences and verdicts come from `measure` and `analysis`.
"""

from __future__ import annotations

from cxlib.show.board import framework_board
from cxlib.show.by_segment import every_level
from cxlib.show.canvas import Chart, alt_text, html, save
from cxlib.show.causes import cause_tree
from cxlib.show.change_balance import balance_chart
from cxlib.show.change_effects import designs_chart, since_start_chart
from cxlib.show.compared import importance_compared
from cxlib.show.consistency import consistency_chart
from cxlib.show.control import xmr
from cxlib.show.conversion import funnel_chart
from cxlib.show.delays import by_delay
from cxlib.show.drivers import driver_effects, driver_importance
from cxlib.show.friction import friction_chart
from cxlib.show.hazards import hazard_ratios
from cxlib.show.heat import heatmap
from cxlib.show.intervals import headline
from cxlib.show.leakage import leakage_chart
from cxlib.show.levels import interval_bars
from cxlib.show.lifetime import worth_by_group
from cxlib.show.loyalty import retention
from cxlib.show.migration import flows
from cxlib.show.moments import moments_chart, moments_explained
from cxlib.show.money import link_effect
from cxlib.show.moves import moves_chart
from cxlib.show.overtime import over_time
from cxlib.show.page_loads import page_load_chart
from cxlib.show.partner_funnel import partner_funnel
from cxlib.show.partners import partner_league
from cxlib.show.path_steps import paths_chart
from cxlib.show.priorities import importance_performance
from cxlib.show.promise import promise_chart
from cxlib.show.repeat import repeat_curve
from cxlib.show.say_do import said_and_did, stated_against_done
from cxlib.show.segment_grid import cluster_stability, value_grid
from cxlib.show.segments import segment_profile, segment_sizes
from cxlib.show.standing import standing
from cxlib.show.streams import streams_chart
from cxlib.show.survival import leaving_reasons, survival_curves
from cxlib.show.theme_time import theme_time
from cxlib.show.themes import theme_shares
from cxlib.show.transfers import brand_transfer
from cxlib.show.trends import small_multiples
from cxlib.show.trial_answers import who_answered_chart
from cxlib.show.trial_design import duration_chart, power_chart
from cxlib.show.trial_effects import effect_chart
from cxlib.show.trial_subgroups import subgroups_chart
from cxlib.show.value import predicted_by_class, predicted_over_time, purchases_by_month
from cxlib.show.waterfall import waterfall
from cxlib.show.worth import worth_chart

__all__ = [
    "Chart", "alt_text", "balance_chart", "brand_transfer", "by_delay", "cause_tree", "cluster_stability",
    "consistency_chart", "designs_chart", "driver_effects", "driver_importance", "duration_chart", "effect_chart",
    "every_level", "flows", "framework_board", "friction_chart", "funnel_chart", "hazard_ratios", "headline", "heatmap",
    "html", "importance_compared", "importance_performance", "interval_bars", "leakage_chart", "leaving_reasons",
    "link_effect", "moments_chart", "moments_explained", "moves_chart", "over_time", "page_load_chart",
    "partner_funnel", "partner_league", "paths_chart", "power_chart", "predicted_by_class", "predicted_over_time",
    "promise_chart", "purchases_by_month", "repeat_curve", "retention", "said_and_did", "save", "segment_profile",
    "segment_sizes", "since_start_chart", "small_multiples", "standing", "stated_against_done", "streams_chart",
    "subgroups_chart", "survival_curves", "theme_shares", "theme_time", "value_grid", "waterfall", "who_answered_chart",
    "worth_by_group", "worth_chart", "xmr",
]  # fmt: skip
