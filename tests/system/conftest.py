"""conftest.py - makes the helpers importable and skips what needs root when there is none."""
import os, sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'peers'))


def pytest_configure(config):
    config.addinivalue_line('markers', 'root: needs root (uids, jails, network namespaces)')
    config.addinivalue_line('markers', 'long: part of the long campaigns')


def pytest_collection_modifyitems(config, items):
    for item in items:
        if 'root' in item.keywords and os.getuid() != 0:
            item.add_marker(pytest.mark.skip(reason='needs root'))
