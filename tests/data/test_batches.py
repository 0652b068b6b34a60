"""In what order: the batches of an epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx.data.batches import BatchPlan, Order, num_steps


def order_of(num_train: int, seed: int = 0, repeat: int = 0, fold: int = 0) -> Order:
    train = np.sort(np.random.default_rng(num_train).choice(1000, size=num_train, replace=False))
    return Order(train, (seed, repeat, fold))


def rows_of(plan: BatchPlan, member: int, epoch: int = 0) -> tuple[np.ndarray, ...]:
    return plan.draw(epoch)[:, member], plan.weights[:, member], plan.active[:, member]


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), batch_size=st.integers(1, 50))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_an_epoch(sizes: list[int], batch_size: int) -> None:
    orders = [order_of(size, seed) for seed, size in enumerate(sizes)]
    plan = BatchPlan(orders, batch_size)
    shape = num_steps(max(sizes), batch_size), len(sizes), batch_size
    assert plan.draw(0).shape == plan.weights.shape == shape
    assert plan.active.shape == shape[:2]
    for member, order in enumerate(orders):
        indices, weights, active = rows_of(plan, member)
        own = num_steps(len(order.train), batch_size)
        assert np.array_equal(np.sort(indices[weights > 0]), order.train)
        assert np.isin(indices, order.train).all()
        assert active.tolist() == [True] * own + [False] * (len(active) - own)
        np.testing.assert_allclose(weights.sum(1), active, rtol=1e-14)
        assert not weights[~active].any()
        for step in range(own):
            examples = weights[step] > 0
            assert len(np.unique(weights[step][examples])) == 1
            assert (np.diff(examples.astype(int)) <= 0).all()  # padding comes last
            assert (indices[step][~examples] == indices[step][0]).all()


@pytest.mark.parametrize(("num_train", "batch_size", "steps"), [(10, 3, 4), (9, 3, 3), (3, 10, 1), (1, 1, 1)])
def test_number_of_steps(num_train: int, batch_size: int, steps: int) -> None:
    assert num_steps(num_train, batch_size) == steps


@pytest.mark.parametrize("batch_size", [7, 20, 33])
def test_company_changes_nothing(batch_size: int) -> None:
    member, company = order_of(20, 3, 1, 2), [order_of(31, 0), order_of(5, 1), order_of(20, 3, 1, 0)]
    alone = BatchPlan([member], batch_size)
    together = BatchPlan([*company, member, member], batch_size)
    for row in (3, 4):
        for mine, theirs in zip(rows_of(alone, 0, 4), rows_of(together, row, 4), strict=True):
            assert np.array_equal(mine, theirs[: len(mine)])


def test_equal_keys_with_other_examples_do_not_mix() -> None:
    orders = [order_of(20), order_of(21)]
    plan = BatchPlan(orders, 21)
    for member, order in enumerate(orders):
        indices, weights, _ = rows_of(plan, member)
        assert np.array_equal(np.sort(indices[weights > 0]), order.train)


@pytest.mark.parametrize("key", [{"seed": 1}, {"repeat": 1}, {"fold": 1}])
def test_each_part_of_the_key_counts(key: dict[str, int]) -> None:
    first, other = (BatchPlan([order], 20).draw(0) for order in (order_of(20), order_of(20, **key)))
    assert not np.array_equal(first, other)


def test_epochs_differ_and_repeat() -> None:
    plan = BatchPlan([order_of(20)], 20)
    epochs = [plan.draw(epoch).tobytes() for epoch in (0, 1, 2, 0)]
    assert len(set(epochs)) == 3
    assert epochs[0] == epochs[3]


def test_every_example_leads_sometimes() -> None:
    order = order_of(5)
    plan = BatchPlan([order], 2)
    firsts = {int(plan.draw(epoch)[0, 0, 0]) for epoch in range(60)}
    assert firsts == set(order.train.tolist())


def test_training_indices_are_left_alone() -> None:
    order = order_of(20)
    before = order.train.copy()
    BatchPlan([order], 6).draw(0)
    assert np.array_equal(order.train, before)
