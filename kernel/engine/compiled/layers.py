"""Runs some tokens of one sequence through many layers without returning to Python in between.

One token needs a dozen small operations per layer, each shorter than the overhead of a call. Here the threads stay
together for all layers. A layer is a sequence of stages; a stage is divided into tickets, and the next stage begins
when all tickets of this one are done. A thread that is late or descheduled takes the remaining work; the others wait
for it only while it holds a ticket.

Keys and values are float32, weights four-bit; the new tokens are adjacent at the end of the places in use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, float32, int32, int64, njit

from kernel.engine.compiled import AS_IS, GATED, NORMED
from kernel.engine.compiled.functions import (
    CHUNK,
    JIT_OPTIONS,
    exponential,
    multiply_blocks,
    norm_factor,
    quantise_by_group,
)
from kernel.engine.compiled.intrinsics import float_of_bits, next_ticket, pointer, read_counter, spin_hint, yield_core
from kernel.weights.four_bits import BLOCK_COLUMNS as PAIR
from kernel.weights.four_bits import BLOCK_ROWS as ROWS

STAGES = 9  # per layer
COUNTERS = 128  # bytes per stage: tickets taken and tickets done, each in its own cache line
DONE = 64
PATIENCE = 5000  # reads of a counter before the core is yielded: some tens of microseconds
GATED_AT_ONCE = 512  # columns per ticket

# Columns of the table of layers: addresses, 0 where a layer has no such tensor.
_LAYER = """attention_norm qkv qkv_bias out out_bias after_attention feed_norm gate_up gate_up_bias down down_bias
after_feed"""
# Arguments of ``narrow_layers`` in order; the ticket counter is that of the last stage.
_ARGUMENTS = """ticket counters first last tokens layers stores length capacity width heads key_heads head_size inner
epsilon cosine sine state numbers scales qkv mixed added gate_up scores"""
LAYER, ARGUMENTS = tuple(_LAYER.split()), tuple(_ARGUMENTS.split())
OF_A_LAYER, GIVEN = len(LAYER), len(ARGUMENTS)


@njit(**JIT_OPTIONS)
def floats(address: Any, count: Any) -> Any:
    """An array of float32 at an address."""
    return carray(pointer(address), (count,), np.float32)


@njit(**JIT_OPTIONS)
def wait_for_stage(counters: Any, tickets: Any) -> None:
    """Waits until all tickets of a stage are done."""
    looks = 0
    while read_counter(counters + DONE) < tickets:
        looks += 1
        if looks > PATIENCE:
            yield_core()
        else:
            spin_hint()


@njit(**JIT_OPTIONS)
def run_product(
    counters: Any, weights: Any, bias: Any, rows: Any, columns: Any, tokens: Any, numbers: Any, scales: Any, out: Any
) -> None:
    """One stage: a product with four-bit weights."""
    blocks = rows // ROWS
    tickets = (blocks + CHUNK - 1) // CHUNK
    while True:
        ticket = next_ticket(counters)
        if ticket >= tickets:
            break
        first = ticket * CHUNK
        last = min(first + CHUNK, blocks)
        multiply_blocks(first, last, weights, blocks, columns // PAIR, tokens, numbers, scales, out, bias)
        next_ticket(counters + DONE)
    wait_for_stage(counters, tickets)


@njit(**JIT_OPTIONS)
def quantise_at(kind: Any, x: Any, other: Any, columns: Any, epsilon: Any, numbers: Any, scales: Any) -> None:
    """Quantises one token, or a part of it that begins with a group; ``other`` is an address, 0 for none."""
    quantise_by_group(
        kind,
        floats(x, columns),
        floats(other, columns),
        columns,
        epsilon,
        carray(pointer(numbers), (columns,), np.int8),
        carray(pointer(scales), (columns // PAIR, 4), np.float32),
    )


@njit(**JIT_OPTIONS)
def add_residual(state: Any, added: Any, norm: Any, width: Any, epsilon: Any) -> None:
    """``state += added``, after the norm that a layer may have there."""
    x, more = floats(state, width), floats(added, width)
    if norm != 0:
        weight = floats(norm, width)
        factor = norm_factor(more, width, epsilon)
        for i in range(width):
            x[i] += more[i] * weight[i] * factor
    else:
        for i in range(width):
            x[i] += more[i]


@njit(**JIT_OPTIONS)
def rotate(x: Any, cosine: Any, sine: Any, size: Any) -> None:
    """Rotary position of one head, in place."""
    half = size // 2
    left, right = x[:half], x[half:]
    for i in range(half):
        a, b = left[i], right[i]
        left[i] = a * cosine[i] - b * sine[i]
        right[i] = b * cosine[half + i] + a * sine[half + i]


@njit(**JIT_OPTIONS)
def attend(query: Any, keys: Any, values: Any, scores: Any, places: Any, size: Any, out: Any) -> None:
    """Attention of one head of one token over ``places``; ``keys`` and ``values`` (places, size)."""
    scale = float32(1) / np.sqrt(float32(size))
    most = float32(-np.inf)
    for place in range(places):
        key = keys[place]
        total = float32(0)
        for i in range(size):
            total += query[i] * key[i]
        scores[place] = total * scale
        most = max(most, scores[place])
    whole = float32(0)
    for place in range(places):
        scores[place] = exponential(scores[place] - most)
        whole += scores[place]
    for i in range(size):
        out[i] = float32(0)
    for place in range(places):
        share = scores[place] / whole
        value = values[place]
        for i in range(size):
            out[i] += share * value[i]


@njit(**JIT_OPTIONS)
def place_heads(
    tokens: Any,
    heads: Any,
    key_heads: Any,
    size: Any,
    qkv: Any,
    cosine: Any,
    sine: Any,
    keys: Any,
    values: Any,
    length: Any,
    capacity: Any,
) -> None:
    """Rotates queries and keys, and stores keys and values at their places."""
    wide = heads + 2 * key_heads
    for token in range(tokens):
        at = qkv + token * wide * size * 4
        cos, sin = floats(cosine + token * size * 4, size), floats(sine + token * size * 4, size)
        for head in range(heads + key_heads):
            rotate(floats(at + head * size * 4, size), cos, sin, size)
        for head in range(key_heads):
            place = (head * capacity + length + token) * size * 4
            key, value = floats(keys + place, size), floats(values + place, size)
            new_key = floats(at + (heads + head) * size * 4, size)
            new_value = floats(at + (heads + key_heads + head) * size * 4, size)
            for i in range(size):
                key[i] = new_key[i]
                value[i] = new_value[i]


@njit(**JIT_OPTIONS)
def attend_heads(
    counters: Any,
    tokens: Any,
    heads: Any,
    key_heads: Any,
    size: Any,
    qkv: Any,
    keys: Any,
    values: Any,
    scores: Any,
    length: Any,
    capacity: Any,
    mixed: Any,
    numbers: Any,
    scales: Any,
) -> None:
    """One stage: attention of every head of every token up to its own place; the results are quantised."""
    own, wide = heads * size, (heads + 2 * key_heads) * size
    while True:
        ticket = next_ticket(counters)
        if ticket >= heads * tokens:
            break
        token, head = ticket // heads, ticket % heads
        place = head // (heads // key_heads) * capacity * size * 4
        places = length + token + 1
        at = token * own + head * size
        attend(
            floats(qkv + (token * wide + head * size) * 4, size),
            carray(pointer(keys + place), (places, size), np.float32),
            carray(pointer(values + place), (places, size), np.float32),
            floats(scores + ticket * (length + tokens) * 4, places),
            places,
            size,
            floats(mixed + at * 4, size),
        )
        quantise_at(AS_IS, mixed + at * 4, 0, size, float32(0), numbers + at, scales + at // PAIR * 16)
        next_ticket(counters + DONE)
    wait_for_stage(counters, heads * tokens)


@njit(**JIT_OPTIONS)
def gate_pieces(counters: Any, tokens: Any, inner: Any, gate_up: Any, numbers: Any, scales: Any) -> None:
    """One stage: quantises the gated rows."""
    pieces = (inner + GATED_AT_ONCE - 1) // GATED_AT_ONCE
    while True:
        ticket = next_ticket(counters)
        if ticket >= pieces * tokens:
            break
        token, begin = ticket // pieces, ticket % pieces * GATED_AT_ONCE
        count = min(GATED_AT_ONCE, inner - begin)
        gate, at = gate_up + (token * 2 * inner + begin) * 4, token * inner + begin
        quantise_at(GATED, gate, gate + inner * 4, count, float32(0), numbers + at, scales + at // PAIR * 16)
        next_ticket(counters + DONE)
    wait_for_stage(counters, pieces * tokens)


def narrow_layers(arguments: Any) -> None:
    """Argument names are in ``ARGUMENTS``, the columns of the layer table in ``LAYER``.

    ``state`` (tokens, width) is changed in place. ``stores`` has the addresses of keys and values of each layer, each
    (key heads, capacity, head size). All arguments from ``numbers`` on are scratch memory.
    """
    a = carray(arguments, GIVEN)
    counters, first, last, tokens, layers, stores, length, capacity = a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]
    width, heads, key_heads, size, inner = a[9], a[10], a[11], a[12], a[13]
    epsilon = float_of_bits(int32(a[14]))
    cosine, sine, state, numbers, scales = a[15], a[16], a[17], a[18], a[19]
    qkv, mixed, added, gate_up, scores = a[20], a[21], a[22], a[23], a[24]
    own = heads * size
    wide = own + 2 * key_heads * size
    before = int64(0)  # the norm after the previous layer's output
    for number in range(first, last):
        layer = carray(pointer(layers + number * OF_A_LAYER * 8), (OF_A_LAYER,), np.int64)
        store = carray(pointer(stores + number * 2 * 8), (2,), np.int64)

        if next_ticket(counters) == 0:
            for token in range(tokens):
                row = state + token * width * 4
                if number > first:
                    add_residual(row, added + token * width * 4, before, width, epsilon)
                at = token * width
                quantise_at(NORMED, row, layer[0], width, epsilon, numbers + at, scales + at // PAIR * 16)
            next_ticket(counters + DONE)
        wait_for_stage(counters, 1)
        counters += COUNTERS

        run_product(counters, layer[1], layer[2], wide, width, tokens, numbers, scales, qkv)
        counters += COUNTERS

        if next_ticket(counters) == 0:
            place_heads(tokens, heads, key_heads, size, qkv, cosine, sine, store[0], store[1], length, capacity)
            next_ticket(counters + DONE)
        wait_for_stage(counters, 1)
        counters += COUNTERS

        attend_heads(
            counters,
            tokens,
            heads,
            key_heads,
            size,
            qkv,
            store[0],
            store[1],
            scores,
            length,
            capacity,
            mixed,
            numbers,
            scales,
        )
        counters += COUNTERS

        run_product(counters, layer[3], layer[4], width, own, tokens, numbers, scales, added)
        counters += COUNTERS

        if next_ticket(counters) == 0:
            for token in range(tokens):
                row, at = state + token * width * 4, token * width
                add_residual(row, added + at * 4, layer[5], width, epsilon)
                quantise_at(NORMED, row, layer[6], width, epsilon, numbers + at, scales + at // PAIR * 16)
            next_ticket(counters + DONE)
        wait_for_stage(counters, 1)
        counters += COUNTERS

        run_product(counters, layer[7], layer[8], 2 * inner, width, tokens, numbers, scales, gate_up)
        counters += COUNTERS

        gate_pieces(counters, tokens, inner, gate_up, numbers, scales)
        counters += COUNTERS

        run_product(counters, layer[9], layer[10], width, inner, tokens, numbers, scales, added)
        counters += COUNTERS
        before = layer[11]

    if next_ticket(a[0]) == 0:
        for token in range(tokens):
            add_residual(state + token * width * 4, added + token * width * 4, before, width, epsilon)
