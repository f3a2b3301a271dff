"""The questions about what customers say that a run answers, as an analyst or a notebook asks them."""

from __future__ import annotations

import pandas as pd

from cxlib.analysis import doors
from cxlib.params.models import Metric
from cxlib.reports import voicing, voicing_scores, voicing_words, voicing_worth
from cxlib.reports.named import Named

_MOST = 1_200  # months; a hundred years


class Voices(Named):
    """What `Run` answers about what customers say in their own words."""

    def themes(self, months: int = 13, window: int = 3) -> pd.DataFrame:
        """Say how many name each theme of the codebook, month by month and in the last months together.

        Parameters
        ----------
        months
            How far back.
        window
            How many months are counted as one besides: rows with `at`, as `3 periods`.

        Returns
        -------
        pandas.DataFrame
            `segment` theme, `level` its title or `any theme`: `theme_share` (of texts, as coded), `theme_corrected`
            (the same corrected for the codebook's measured error, where an audit exists; the note says how many of its
            texts are of that time, where not all are), `theme_precision` and `theme_recall` of the audit,
            `theme_customers` (of customers who wrote), `theme_per_1000_answers`.
        """
        return voicing.counted(self._inputs, _count("months", months), _count("window", window))

    def theme_changes(self, against: str = "year_ago", window: int = 3) -> pd.DataFrame:
        """Say how each theme's share of texts changed, all themes judged as one family.

        Parameters
        ----------
        against
            `previous`, `year_ago` or a period.
        window
            How many months stand on either side, up to the end of the two periods.
        """
        return voicing.moved(self._inputs, self._against(against), _count("window", window))

    def theme_scores(self, metric: str | Metric | None = None, window: int = 3) -> pd.DataFrame:
        """Compare the score of answers that name a theme with that of those that do not.

        Parameters
        ----------
        metric
            A score of answers; the lead metric if left out.
        window
            How many months of answers count.

        Returns
        -------
        pandas.DataFrame
            By theme two levels (`at` named, not named), their difference with a verdict, and `theme_impact`: the
            overall score less that without the theme, which describes and is not what would be gained.
        """
        return voicing_scores.scored(self._inputs, self._metric(metric), _count("window", window))

    def theme_decomposition(self, metric: str | Metric | None = None, against: str = "year_ago") -> pd.DataFrame:
        """Split the change of a score by what answers say, in groups that add up: each answer is in one only.

        Parameters
        ----------
        metric
            As in `theme_scores`.
        against
            `previous`, `year_ago` or a period.

        Returns
        -------
        pandas.DataFrame
            Rows for `charts.waterfall`, segment `theme`.
        """
        return voicing_scores.decomposed(self._inputs, self._metric(metric), self._against(against))

    def sentiment(self, metric: str | Metric | None = None, window: int = 3) -> pd.DataFrame:
        """Say how far the mood of words agrees with the score given, and how the mood is where it does.

        Secondary to the score: shown for a language only where it agrees with it.

        Parameters
        ----------
        metric
            As in `theme_scores`.
        window
            How many months of answers count.

        Returns
        -------
        pandas.DataFrame
            By language; see `analysis.voice.sentiment`.
        """
        return voicing_scores.felt(self._inputs, self._metric(metric), _count("window", window))

    def theme_costs(self, months: int = 13, days: int = 90) -> pd.DataFrame:
        """Say what each theme goes with: what those who name it spent and whether they left, in the days after.

        Parameters
        ----------
        months
            How far back texts count; those whose days are not over are left out.
        days
            How long after a text is looked at what its customer did.

        Returns
        -------
        pandas.DataFrame
            Differences from others who wrote in the same month at the same touchpoint: metric `theme_spend` (those who
            had spent as much before) and `theme_left` (share of subscribers); `theme_spend_in_all`: the first times
            those who name the theme. It goes with the theme, and need not be because of it.
        """
        return voicing_worth.cost(self._inputs, _count("months", months), _count("days", days))

    def quotes(self, window: int = 3, n: int = 2) -> pd.DataFrame:
        """Choose what customers wrote that is typical of each theme, without what tells who they are.

        Parameters
        ----------
        window
            How many months of texts are looked at.
        n
            Quotes of each theme at most.

        Returns
        -------
        pandas.DataFrame
            Metric `quote`, `level` the theme, `at` its place, `against` the language, `note` the words, `n` how many
            customers name the theme: themes of fewer than may be shown have no quote.
        """
        return voicing_words.quoted(self._inputs, _count("window", window), _count("n", n))

    def new_themes(self, months: int = 13) -> pd.DataFrame:
        """Say whether something new turned up among texts that name no theme, and in which words.

        Parameters
        ----------
        months
            The month of the run and those before, which it is held against; at least 7 tell whether texts without a
            theme became more.

        Returns
        -------
        pandas.DataFrame
            See `analysis.voice.novelty`: the alarm first, then what it stands on.
        """
        return voicing_words.new(self._inputs, _count("months", months))

    def theme_candidates(self, window: int = 3, n: int = 6, seed: int = 1) -> pd.DataFrame:
        """Look for themes among the texts that name none, for a person to take into the codebook.

        Parameters
        ----------
        window
            How many months of texts are looked at. Those a month before are, too: what is alike keeps its name.
        n
            Candidates at most.
        seed
            Of the starting values.

        Returns
        -------
        pandas.DataFrame
            See `analysis.voice.Themes`: the candidates, and what became of those of a month before.
        """
        return voicing_words.candidates(self._inputs, _count("window", window), _count("n", n), _seed(seed))

    def codebook_entry(self, theme: str, window: int = 3, n: int = 6, seed: int = 1) -> str:
        """Return a candidate of `theme_candidates` as an entry for `params/codebook.yml`, to be read and mended."""
        return voicing_words.entry(self._inputs, theme, _count("window", window), _count("n", n), _seed(seed))

    def audit_sample(self, n: int = 200, window: int = 3, seed: int = 1) -> pd.DataFrame:
        """Choose texts for people to label, so that the codebook's error can be measured; while exploring only.

        Parameters
        ----------
        n
            How many; half of them name a theme, as many of each as there are.
        window
            How many months they are drawn from.
        seed
            Of the draw.

        Returns
        -------
        pandas.DataFrame
            `response_id`, `text` (redacted), `rater`, a blank column per theme and `weight`. Fill the themes with yes
            or no, take the column `text` out, and keep the rest as `data/audits/<version of the codebook>.csv`: a file
            with texts is refused.

        Raises
        ------
        UsageError
            In a run that is recorded: it may not hold texts of single customers.
        """
        return voicing_words.to_label(self._inputs, _count("n", n), _count("window", window), _seed(seed))


def _count(what: str, number: int) -> int:
    """Return a number of months; `UsageError` where it counts none."""
    return doors.whole(what, number, 1, _MOST)


def _seed(seed: int) -> int:
    return doors.whole("seed", seed, 0, 2**32 - 1)
