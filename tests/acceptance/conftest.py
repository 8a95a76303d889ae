"""What the acceptance tests share."""

from __future__ import annotations

import functools

import pytest

from support.processes import run_cli

SHOP = """\
def total(order):
    execute('HINCRBY', 'totals', order['customer'], order['amount'])

GearsBuilder('StreamReader', desc='running totals').foreach(total).register('orders:*', batch=10, name='totals')
GearsBuilder('KeysReader').foreach(lambda event: log(event)).register('k*')
print('the script was here')
"""


@pytest.fixture
def geartrain(valkey, tmp_path):
    """Runs `geartrain ARGUMENTS` to its end, in an empty directory, with an empty server as GEARTRAIN_URL."""
    return functools.partial(run_cli, env={"GEARTRAIN_URL": valkey.url}, cwd=tmp_path)


@pytest.fixture
def shop(tmp_path):
    """A script with two registrations, in the directory that `geartrain` runs in."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP)
    return path
