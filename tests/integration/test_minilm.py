"""The real model: what it says of published examples, and that no row depends on its batch."""

import random
import threading

import numpy as np
import pytest

from tests.integration.weights import required_weights
from wsaios.inference.minilm import MiniLm
from wsaios.inference.models import resolve
from wsaios.kernel.errors import InvalidInput

WORDS = [
    "open",
    "close",
    "read",
    "file",
    "socket",
    "the",
    "a",
    "parse,",
    "compress!",
    "date?",
    "über",
    "日本",
    "x_1",
    "[SEP]",
]


@pytest.fixture(scope="module")
def model() -> MiniLm:
    return MiniLm(required_weights())


def random_texts(n_texts: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, 14))) for _ in range(n_texts)]


def as_rows(texts: list[str]) -> list[dict[str, object]]:
    return [{"text": text} for text in texts]


def test_similarities_of_the_model_card_are_met_to_four_decimals(model: MiniLm) -> None:
    # Source: the example of usage at sbert.net, repeated in the card of sentence-transformers/all-MiniLM-L6-v2.
    vectors = model.embed(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])
    similarities = vectors @ vectors.T
    assert np.round(similarities.astype(np.float64), 4).tolist() == [
        [1.0, 0.6660, 0.1046],
        [0.6660, 1.0, 0.1411],
        [0.1046, 0.1411, 1.0],
    ]


def test_rounded_results_keep_those_similarities(model: MiniLm) -> None:
    sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    first, second, third = (np.array(result) for result in model(as_rows(sentences)))
    assert [round(float(a @ b), 4) for a, b in ((first, second), (first, third), (second, third))] == [
        0.6660,
        0.1046,
        0.1411,
    ]


def test_a_happy_dog_is_nearer_to_a_happy_person_than_a_sunny_day(model: MiniLm) -> None:
    person, dog, very, day = model.embed(
        ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    )
    assert person @ very > person @ dog > person @ day


def test_five_hundred_rows_have_the_same_results_in_whatever_batches_they_come(model: MiniLm) -> None:
    texts = random_texts(500, seed=1)
    expected = dict(zip(texts, model(as_rows(texts)), strict=True))
    order = list(texts)
    rng = random.Random(2)
    rng.shuffle(order)
    at = 0
    while at < len(order):
        part = order[at : at + rng.choice([1, 2, 3, 7, 32, 50])]
        assert model(as_rows(part)) == [expected[text] for text in part]
        at += len(part)


def test_threads_that_call_at_once_get_the_results_of_one_that_calls_alone(model: MiniLm) -> None:
    parts = [random_texts(20, seed) for seed in range(4)]
    expected = [model(as_rows(part)) for part in parts]
    found: dict[int, list[list[float]]] = {}
    threads = [
        threading.Thread(target=lambda at=at, part=part: found.update({at: model(as_rows(part))}))
        for at, part in enumerate(parts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [found[at] for at in range(4)] == expected


def test_a_result_is_384_numbers_of_six_decimals_and_length_one(model: MiniLm) -> None:
    for result in model(as_rows(["", "x", "a longer text with several words"])):
        assert len(result) == 384
        assert all(number == round(number, 6) for number in result)
        assert np.linalg.norm(result) == pytest.approx(1, abs=1e-5)


def test_a_text_is_not_filled_up_and_the_empty_one_keeps_its_two_marks(model: MiniLm) -> None:
    assert model.token_ids("").tolist() == [101, 102]
    assert model.token_ids("hello world").tolist() == [101, 7592, 2088, 102]


def test_a_long_text_counts_up_to_256_tokens_and_no_further(model: MiniLm) -> None:
    words = ["word"] * 254
    assert len(model.token_ids(" ".join(words[:200]))) == 202
    ids = model.token_ids(" ".join([*words, "unseen"]))
    assert (len(ids), ids[-1]) == (256, 102)
    whole, with_more, with_less = model.embed([" ".join(part) for part in (words, [*words, "more"] * 9, words[:-1])])
    assert np.array_equal(whole, with_more)
    assert not np.array_equal(whole, with_less)


def test_the_limit_of_tokens_can_be_set() -> None:
    assert len(MiniLm(required_weights(), max_tokens=8).token_ids("one two three four five six seven eight")) == 8


def test_no_rows_give_no_results(model: MiniLm) -> None:
    assert model([]) == []


@pytest.mark.parametrize(
    "row, told", [({}, "text: is missing"), ({"text": 7}, "text: is int"), ({"text": None}, "text: is NoneType")]
)
def test_a_row_without_a_text_is_refused_with_the_reason(model: MiniLm, row: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        model([{"text": "fine"}, row])


def test_the_model_is_found_by_name_with_what_a_batch_needs_to_know() -> None:
    required_weights()
    handler = resolve("all-MiniLM-L6-v2")
    assert (handler.name, handler.argument, handler.batch_size, handler.lane) == (
        "all-MiniLM-L6-v2",
        "text",
        32,
        "thread",
    )
    assert len(handler.function([{"text": "found"}])[0]) == 384
