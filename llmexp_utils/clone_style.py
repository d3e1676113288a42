"""Can a program's style alone tell who wrote it, or whether it is a clone? (TF-IDF of tokens, logistic regression.)

A student that is trained on generated clones could learn "the LLM's style means clone". It cannot if the same author's
near misses look the same: the label should not be predictable from one program without its partner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from llmexp_utils.code import tokens
from llmexp_utils.errors import StudyError
from llmexp_utils.statistics import DRAWS, interval, resample, rounded


def style_scores(codes: Sequence[str], answers: Sequence[bool], groups: Sequence[int]) -> np.ndarray:
    """Probability of the answer for each program, from a model that has not seen its group.

    Parameters
    ----------
    codes : sequence of str
        Programs.
    answers : sequence of bool
        What is asked of their style.
    groups : sequence of int
        Group of each program in the split: each is held out in turn.

    Returns
    -------
    ndarray, shape (n,)
        Unigrams and bigrams of tokens, TF-IDF, logistic regression with balanced classes.

    Raises
    ------
    StudyError
        If all answers are the same, or there is one group.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline

    truth = np.asarray(answers, bool)
    if truth.all() or not truth.any() or len(set(groups)) < 2:
        raise StudyError("style needs both answers and two groups of problems")
    model = make_pipeline(
        TfidfVectorizer(analyzer=_bigrams, sublinear_tf=True),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    folds = LeaveOneGroupOut()
    return cross_val_predict(model, list(codes), truth, groups=list(groups), cv=folds, method="predict_proba")[:, 1]


def style_table(
    questions: Mapping[str, tuple[pd.DataFrame, Sequence[bool]]],
    groups: Mapping[str, int],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """How well style alone answers each question.

    Parameters
    ----------
    questions : mapping
        Programs (``task_id``, ``code``) and the answer for each, by name of the question.
    groups : mapping
        Group of each problem.
    rng : numpy.random.Generator
        Of the bootstrap.
    draws : int
        Bootstrap draws over problems.

    Returns
    -------
    DataFrame
        ``question``, ``programs``, ``share`` (with the answer yes), ``auc`` (area under the ROC curve: 0.5 is chance),
        ``low``, ``high`` (95 % interval by problem).
    """
    rows = []
    for name, (frame, answers) in questions.items():
        truth = np.asarray(answers, bool)
        scores = style_scores(frame.code.tolist(), truth, frame.task_id.map(groups).tolist())
        sample = resample(frame.task_id, rng, draws)
        place, n_problems = sample.tasks.get_indexer(frame.task_id), len(sample.tasks)
        low, high = interval(_aucs(truth, scores, place, sample.weights))
        auc = _aucs(truth, scores, place, np.ones((1, n_problems))).item()
        row = {"question": name, "programs": len(frame), "share": truth.mean(), "auc": auc}
        rows.append(row | {"low": low, "high": high})
    return pd.DataFrame(rows)


def style_questions(programs: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, Sequence[bool]]]:
    """What style should not tell of the clones and near misses of a pool (see :data:`llmexp_utils.frames.CLONES`).

    Returns
    -------
    dict
        Programs and answers by question: whether a clone is by an LLM or gold; whether a program is a clone, among
        those by LLMs and among those by rule.
    """
    clones = programs[programs["is_clone"] & (programs["source"] != "rule")]
    questions = {"LLM or gold, among clones": (clones, (clones["source"] == "llm").tolist())}
    for source, name in (("llm", "LLM"), ("rule", "rule")):
        rows = programs[programs["source"] == source]
        questions[f"clone or near miss, by {name}"] = (rows, rows["is_clone"].tolist())
    return questions


def _bigrams(code: str) -> list[str]:
    found = tokens(code)
    return [*found, *(f"{one} {two}" for one, two in pairwise(found))]


def _aucs(truth: np.ndarray, scores: np.ndarray, problems: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve for each row of ``weights`` (draws, problems); NaN where a draw has one answer only.

    It is the share of (yes, no) pairs of programs in the right order, ties by half (Mann and Whitney 1947). The pairs
    are counted once for each two problems, which makes thousands of draws cheap.
    """
    yes, no = scores[truth], scores[~truth]
    right = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
    shape = (weights.shape[1],) * 2
    won, met = np.zeros(shape), np.zeros(shape)
    both = (problems[truth][:, None], problems[~truth][None, :])
    np.add.at(won, both, right)
    np.add.at(met, both, 1.0)
    total, pairs = (np.einsum("dp,dp->d", weights @ table, weights) for table in (won, met))
    with np.errstate(invalid="ignore"):
        return rounded(total / pairs)
