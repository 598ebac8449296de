"""The client's confirmed PTR name: in log and Received when it leads back, absent otherwise, never in the way."""
import time

import pytest

import fakedns
from host import Host

GOOD = {'1.0.0.127.in-addr.arpa': {'PTR': ['client.far.test']}, 'client.far.test': {'A': ['127.0.0.1']}}
CASES = {
    'confirmed': (GOOD, 'client.far.test'),
    'does not lead back': ({'1.0.0.127.in-addr.arpa': {'PTR': ['liar.far.test']}, 'liar.far.test': {'A': ['192.0.2.1']}}, None),
    'no PTR': ({}, None),
    'servfail': ({'1.0.0.127.in-addr.arpa': 'SERVFAIL'}, None),
    'silence': ({'1.0.0.127.in-addr.arpa': 'TIMEOUT'}, None),
}


@pytest.mark.parametrize('kind', CASES)
def test_client_name(kind):
    zone, name = CASES[kind]
    with fakedns.Server(zone) as dns, Host(dns=[dns.address]) as h:
        t0 = time.monotonic()
        h.send('user@demo.test')
        assert time.monotonic() - t0 < 30, 'a silent resolver costs seconds at most'
        stored = h.wait_mail()[0].decode()
        received = stored[stored.index('Received:'):stored.index('\tby ') if '\tby ' in stored else stored.index('by ')]
        line = h.wait_log('smtp.session.ended')
        if name:
            assert name in received and f'client_name={name}' in line, (received, line)
        else:
            assert 'liar' not in received and 'client_name=' not in line, (received, line)
