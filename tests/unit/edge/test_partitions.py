"""Our partitioner is Kafka's."""

import pytest
from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given
from hypothesis import strategies as st

from milepost.bus.partitions import murmur2, partition_of


@given(st.binary(max_size=64))
def test_the_hash_is_the_one_of_other_clients(key: bytes) -> None:
    assert murmur2(key) == theirs(key)


@pytest.mark.parametrize(
    ("key", "expected"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_the_hash_is_the_one_of_kafkas_own_tests(key: bytes, expected: int) -> None:
    """Values of ``UtilsTest.testMurmur2`` in Kafka's sources, which are signed."""
    assert murmur2(key) == expected & 0xFFFFFFFF


@given(st.binary(max_size=64), st.integers(1, 512))
def test_a_key_has_one_partition_within_range(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, partitions) == partition_of(key, partitions)
