#!/usr/bin/env python3
"""Whether the soak works; how much is held is for tools/soak, which runs longer."""
import os
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

from soak import COLUMNS, growth, soak  # noqa: E402

from harness import claim, main  # noqa: E402
from plain import comment, same  # noqa: E402


@claim(timeout=120)
def mixed_work_goes_through_and_is_sampled():
    """tools/soak."""
    lines = []
    rounds, _ = soak(8, lines.append)
    comment('\n'.join(lines))
    assert rounds > 0
    same(len(lines), 1 + 4 * len(COLUMNS), 'lines of the table')


@claim
def what_grows_is_told_from_what_is_flat():
    """tools/soak."""
    flat = [{'descriptors': 20 + number % 3} for number in range(100)]
    rising = [{'descriptors': 20 + number} for number in range(100)]
    same((growth(flat, 'descriptors')[1], growth(rising, 'descriptors')[1]), (False, True))


main()
