"""A small encoder with random weights, beside a plain one in double precision."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from wsaios.inference.encoder import BertEncoder, Ids, Shape

WORDS, PLACES, DIM, INNER = 50, 32, 24, 40
SHAPE = Shape(num_hidden_layers=2, num_attention_heads=3, layer_norm_eps=1e-12)
Doubles = NDArray[np.float64]


def random_tensors(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    sizes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (WORDS, DIM),
        "embeddings.position_embeddings.weight": (PLACES, DIM),
        "embeddings.token_type_embeddings.weight": (2, DIM),
        "embeddings.LayerNorm.weight": (DIM,),
        "embeddings.LayerNorm.bias": (DIM,),
    }
    for layer in range(SHAPE.num_hidden_layers):
        name = f"encoder.layer.{layer}"
        linear = {f"attention.self.{part}": (DIM, DIM) for part in ("query", "key", "value")}
        linear |= {"attention.output.dense": (DIM, DIM), "intermediate.dense": (INNER, DIM)}
        linear |= {"output.dense": (DIM, INNER)}
        for part, size in linear.items():
            sizes |= {f"{name}.{part}.weight": size, f"{name}.{part}.bias": size[:1]}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            sizes |= {f"{name}.{part}.weight": (DIM,), f"{name}.{part}.bias": (DIM,)}
    return {name: rng.standard_normal(size, dtype=np.float32) for name, size in sizes.items()}


def plain_vector(tensors: dict[str, NDArray[np.float32]], ids: Ids) -> Doubles:
    """The textbook's encoder, for one row, in double precision."""
    double = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def linear(name: str, x: Doubles) -> Doubles:
        y: Doubles = x @ double[f"{name}.weight"].T + double[f"{name}.bias"]
        return y

    def norm(name: str, x: Doubles) -> Doubles:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled: Doubles = centred / np.sqrt(x.var(axis=-1, keepdims=True) + SHAPE.layer_norm_eps)
        return scaled * double[f"{name}.weight"] + double[f"{name}.bias"]

    def attention(name: str, x: Doubles) -> Doubles:
        query, key, value = (linear(f"{name}.{part}", x) for part in ("query", "key", "value"))
        width = DIM // SHAPE.num_attention_heads
        parts = []
        for head in range(SHAPE.num_attention_heads):
            own = slice(head * width, (head + 1) * width)
            weights = np.exp(query[:, own] @ key[:, own].T / math.sqrt(width))
            parts.append(weights / weights.sum(axis=1, keepdims=True) @ value[:, own])
        return np.concatenate(parts, axis=1)

    gelu = np.vectorize(lambda value: value * 0.5 * (1 + math.erf(value / math.sqrt(2))))
    places = double["embeddings.position_embeddings.weight"][: len(ids)]
    x = double["embeddings.word_embeddings.weight"][ids] + places + double["embeddings.token_type_embeddings.weight"][0]
    x = norm("embeddings.LayerNorm", x)
    for layer in range(SHAPE.num_hidden_layers):
        name = f"encoder.layer.{layer}"
        attended = linear(f"{name}.attention.output.dense", attention(f"{name}.attention.self", x))
        x = norm(f"{name}.attention.output.LayerNorm", x + attended)
        transformed = linear(f"{name}.output.dense", gelu(linear(f"{name}.intermediate.dense", x)))
        x = norm(f"{name}.output.LayerNorm", x + transformed)
    mean: Doubles = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def random_rows(lengths: list[int], seed: int = 1) -> list[Ids]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, WORDS, length, dtype=np.int64) for length in lengths]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 17, PLACES])
def test_a_row_of_any_length_has_the_vector_that_the_textbook_gives(length: int) -> None:
    tensors = random_tensors()
    (row,) = random_rows([length])
    assert BertEncoder(tensors, SHAPE).embed([row])[0] == pytest.approx(plain_vector(tensors, row), abs=2e-5)


def test_vectors_come_in_the_order_of_the_rows_and_have_length_one() -> None:
    tensors = random_tensors(2)
    rows = random_rows([9, 1, 30, 4, 9])
    vectors = BertEncoder(tensors, SHAPE).embed(rows)
    assert vectors.shape == (5, DIM)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    for vector, row in zip(vectors, rows, strict=True):
        assert vector == pytest.approx(plain_vector(tensors, row), abs=2e-5)


def test_the_bits_of_a_row_do_not_depend_on_the_rows_around_it() -> None:
    encoder = BertEncoder(random_tensors(3), SHAPE)
    rows = random_rows([length % PLACES + 1 for length in range(0, 200, 7)])
    together = encoder.embed(rows)
    assert np.array_equal(together, np.concatenate([encoder.embed([row]) for row in rows]))
    assert np.array_equal(together[::-1], encoder.embed(rows[::-1]))


def test_no_rows_give_no_vectors() -> None:
    assert BertEncoder(random_tensors(), SHAPE).embed([]).shape == (0, DIM)
