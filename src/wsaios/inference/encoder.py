"""A BERT encoder on NumPy whose rows do not depend on each other, not even in the last bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsaios.inference.gelu import twice_gelu

# Kernels of BLAS take tokens by four: to multiply a remainder costs more than the zeros that complete it.
_STEP: Final = 4

Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the weights do not say of themselves; names as in a BERT `config.json`."""

    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float


@dataclass(frozen=True, slots=True)
class _Dense:
    weight: Floats  # (n_in, n_out)
    bias: Floats  # (n_out,)

    def into(self, out: Floats, x: Floats) -> None:
        """Write x · weight + bias into out: x (n, n_in), out (n, n_out)."""
        np.matmul(x, self.weight, out=out)
        out += self.bias


@dataclass(frozen=True, slots=True)
class _Norm:
    gain: Floats  # (dim,)
    bias: Floats  # (dim,)
    eps: np.float32

    def apply(self, x: Floats) -> None:
        x -= _mean(x)
        deviation = _mean(x * x)
        deviation += self.eps
        np.sqrt(deviation, out=deviation)
        x /= deviation
        x *= self.gain
        x += self.bias


@dataclass(frozen=True, slots=True)
class _Layer:
    query_key_value: _Dense
    attention_out: _Dense
    attention_norm: _Norm
    widen: _Dense
    narrow: _Dense
    norm: _Norm


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Buffers in which rows take turns; a fresh one for every row would cost a page fault per 4 KiB."""

    projected: Floats  # (n_tokens of the longest row, 3 · dim)
    context: Floats  # (n_tokens, dim), finite from the start: the zeros behind a row meet it
    attended: Floats  # (n_tokens, dim)
    wide: Floats  # (n_tokens, inner)
    gelu: Floats  # (3, n_tokens, inner)


class BertEncoder:
    """Token ids in, one unit vector a row out: the mean over the tokens of the last layer, divided by its length.

    tensors: plain BertModel names, float32; linear weights (n_out, n_in) as PyTorch stores them.
    Source: Devlin et al., "BERT", arXiv 1810.04805; Reimers & Gurevych, "Sentence-BERT", arXiv 1908.10084, section 3.
    """

    def __init__(self, tensors: Mapping[str, Floats], shape: Shape) -> None:
        self._heads = shape.num_attention_heads
        self._words = tensors["embeddings.word_embeddings.weight"]
        self._places = (
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        self.dim = self._words.shape[1]
        eps = np.float32(shape.layer_norm_eps)
        self._norm = _norm(tensors, "embeddings.LayerNorm", eps)
        self._layers = [
            _layer(tensors, f"encoder.layer.{index}", self._heads, eps) for index in range(shape.num_hidden_layers)
        ]

    def embed(self, rows: Sequence[Ids]) -> Floats:
        """Embed rows of 1 to 512 token ids each; returns (n_rows, dim).

        A row has the same bits whatever rows it comes with: BLAS chooses its steps, and so its rounding, by the shape
        of a product and the place in it, so each row is multiplied alone, padded to a multiple of four tokens. That
        takes about a quarter longer than batches padded to their longest row.
        """
        lengths = [len(ids) for ids in rows]
        scratch = self._scratch(max(lengths, default=0) + _STEP)
        hidden = [self._embedded(ids) for ids in rows]
        # Layer by layer: the weights of one fit into a processor's cache beside the rows, those of all do not.
        for layer in self._layers:
            for x, n_tokens in zip(hidden, lengths, strict=True):
                self._attend(layer, x, n_tokens, scratch)
                self._transform(layer, x, scratch)
        return self._pooled([x[:n_tokens] for x, n_tokens in zip(hidden, lengths, strict=True)])

    def _embedded(self, ids: Ids) -> Floats:
        x = np.zeros((len(ids) + -len(ids) % _STEP, self.dim), np.float32)
        np.add(self._words[ids], self._places[: len(ids)], out=x[: len(ids)])
        self._norm.apply(x)
        return x

    def _attend(self, layer: _Layer, x: Floats, n_tokens: int, scratch: _Scratch) -> None:
        projected = scratch.projected[: len(x)]
        context = scratch.context[: len(x)]
        layer.query_key_value.into(projected, x)
        by_head = projected[:n_tokens].reshape(n_tokens, 3, self._heads, -1)
        query, key, value = by_head.transpose(1, 2, 0, 3)  # each (heads, n_tokens, dim / heads), a view
        scores = np.matmul(query, key.transpose(0, 2, 1))
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        np.matmul(scores, value, out=context[:n_tokens].reshape(n_tokens, self._heads, -1).transpose(1, 0, 2))
        attended = scratch.attended[: len(x)]
        layer.attention_out.into(attended, context)
        x += attended
        layer.attention_norm.apply(x)

    def _transform(self, layer: _Layer, x: Floats, scratch: _Scratch) -> None:
        wide = scratch.wide[: len(x)]
        narrow = scratch.attended[: len(x)]
        layer.widen.into(wide, x)
        twice_gelu(wide, scratch.gelu[:, : len(x)])
        layer.narrow.into(narrow, wide)
        x += narrow
        layer.norm.apply(x)

    def _pooled(self, hidden: Sequence[Floats]) -> Floats:
        vectors = np.empty((len(hidden), self.dim), np.float32)
        for row, x in enumerate(hidden):
            mean = x.mean(axis=0)
            vectors[row] = mean / max(np.linalg.norm(mean), 1e-12)
        return vectors

    def _scratch(self, n_tokens: int) -> _Scratch:
        inner = self._layers[0].widen.bias.size
        return _Scratch(
            projected=np.empty((n_tokens, 3 * self.dim), np.float32),
            context=np.zeros((n_tokens, self.dim), np.float32),
            attended=np.empty((n_tokens, self.dim), np.float32),
            wide=np.empty((n_tokens, inner), np.float32),
            gelu=np.empty((3, n_tokens, inner), np.float32),
        )


def _mean(x: Floats) -> Floats:
    total: Floats = np.add.reduce(x, axis=-1, keepdims=True)
    total *= np.float32(1 / x.shape[-1])
    return total


def _dense(weight: Floats, bias: Floats) -> _Dense:
    return _Dense(np.ascontiguousarray(weight.T), bias)


def _norm(tensors: Mapping[str, Floats], name: str, eps: np.float32) -> _Norm:
    return _Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps)


def _layer(tensors: Mapping[str, Floats], name: str, heads: int, eps: np.float32) -> _Layer:
    query, key, value = (
        [tensors[f"{name}.attention.self.{part}.{kind}"] for kind in ("weight", "bias")]
        for part in ("query", "key", "value")
    )
    # Scores are divided by the root of a head's width: done here once instead of for every row.
    scale = np.float32((query[1].size // heads) ** -0.5)
    return _Layer(
        query_key_value=_dense(
            np.concatenate([query[0] * scale, key[0], value[0]]), np.concatenate([query[1] * scale, key[1], value[1]])
        ),
        attention_out=_dense(
            tensors[f"{name}.attention.output.dense.weight"], tensors[f"{name}.attention.output.dense.bias"]
        ),
        attention_norm=_norm(tensors, f"{name}.attention.output.LayerNorm", eps),
        widen=_dense(tensors[f"{name}.intermediate.dense.weight"], tensors[f"{name}.intermediate.dense.bias"]),
        # Halved, and exactly so, because the activation before it leaves its factor of one half to this weight.
        narrow=_dense(tensors[f"{name}.output.dense.weight"] * np.float32(0.5), tensors[f"{name}.output.dense.bias"]),
        norm=_norm(tensors, f"{name}.output.LayerNorm", eps),
    )
