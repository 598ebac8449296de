"""Addresses that connections leave from (`source` of a route): each family's own, none shared, one that is not there, a reload."""
import signal

import pytest

import fakedns
import netns
from host import Host, wait_for
from sink import Sink
from test_check import ctl
from test_queue import tool

pytestmark = pytest.mark.root

ZONE = {'mx4.op.test': {'A': ['127.0.0.11']}, 'mx6.op.test': {'AAAA': ['2001:db8:aaaa::1']},
        **{d: {'MX': ['10 mx4.op.test']} for d in ('four.test', 'else.test', 'own.test')},
        **{d: {'MX': ['10 mx6.op.test']} for d in ('six.test', 'six.own.test')},
        'lo6.test': {'MX': ['10 mx.lo6.test']}, 'mx.lo6.test': {'AAAA': ['::1']}}


@pytest.fixture(scope='module', autouse=True)
def own_network():
    netns.enter()
    for a in ('192.0.2.7/32', '192.0.2.8/32', '2001:db8:aaaa::1/128', '2001:db8:aaaa::7/128'):
        netns.add_address(a)


@pytest.fixture
def four():
    with Sink('127.0.0.11', 25) as s:
        yield s


class OneDeliverd(Host):
    """With several, which of them has a connection is chance."""

    def conf_text(self):
        return super().conf_text().replace('processes {', 'processes { deliverd = 1', 1)


def relay_host(conf, queue=''):
    h = OneDeliverd(relay_from=['127.0.0.0/8'], dns=[fakedns.Server(ZONE).start().address], conf=conf)
    h.queue = queue
    return h


def result(h, to, status='delivered'):
    return h.wait_log('delivery.result', id=h.send(to, sender='user@demo.test'), status=status)


def reload(h, conf, count):
    h.extra = conf
    h.write()
    h.proc.send_signal(signal.SIGHUP)
    h.wait_log('mtad.reload.done', count=count)


def test_each_family_leaves_from_its_own(four):
    with Sink('2001:db8:aaaa::1', 25) as six, Sink('::1', 25) as lo6, \
            relay_host('route default { source = [192.0.2.7, 2001:db8:aaaa::7] idle = 60s }\n'
                       'route own.test { source = 192.0.2.8 idle = 60s }\nroute .own.test { source = 192.0.2.8 idle = 60s }\n'
                       'route lo6.test { source = ::1 }') as h:
        for to in ('a@four.test', 'a@own.test', 'a@else.test', 'b@own.test', 'b@four.test'):
            result(h, to)
        # Domains of one operator share connections, but none that leaves from another address.
        assert [m['peer'] for m in four.messages] == ['192.0.2.7', '192.0.2.8', '192.0.2.7', '192.0.2.8', '192.0.2.7']
        assert four.sessions == 2
        result(h, 'a@six.test')
        # A family without an address: as the system chooses.
        result(h, 'a@six.own.test')
        assert six.messages[0]['peer'] == '2001:db8:aaaa::7' and six.messages[1]['peer'] != '2001:db8:aaaa::7'
        result(h, 'a@lo6.test')
        assert lo6.messages[0]['peer'] == '::1'
        assert not h.log_lines('delivery.source.missing') and 'leave from' not in ctl(h, 'check').stdout


def test_an_address_that_is_not_there(four):
    with relay_host('route default { source = 192.0.2.99 idle = 0 }', 'retry = [ 1h ]') as h:
        told = h.wait_log('delivery.source.missing')
        assert 'source=192.0.2.99' in told and 'mansio.conf:' in told, told
        check = ctl(h, 'check')
        assert 'mansio.conf:' in check.stdout and 'no connection can leave from 192.0.2.99' in check.stdout, check.stdout
        lines = [result(h, f'u{i}@four.test', 'deferred') for i in range(6)]
        for line in lines:
            assert 'dsn=4.3.5' in line and 'from 192.0.2.99: this host does not have that address' in line, line
        # Told once, with its place; the destination, which was never asked, does not rest.
        assert len(h.log_lines('delivery.source.missing')) == 1
        assert not h.log_lines('queue.destination.rests') and four.sessions == 0
        wait_for('the trouble', lambda: 'source 192.0.2.99' in ctl(h, 'status').stdout)
        # A shared address comes over to this host.
        netns.add_address('192.0.2.99/32')
        tool(h, 'queue', 'flush', '--all')
        assert {m['peer'] for m in four.wait_messages(6)} == {'192.0.2.99'}
        h.wait_log('delivery.source.back')
        wait_for('no trouble', lambda: 'source 192.0.2.99' not in ctl(h, 'status').stdout)
        assert ctl(h, 'check').stdout.count('192.0.2.99') == 0
        netns.ip('addr del 192.0.2.99/32 dev lo')
        assert 'dsn=4.3.5' in result(h, 'late@four.test', 'deferred')
        h.wait_log('delivery.source.missing', count=2)
        # A reload says it too.
        reload(h, 'route default { source = 192.0.2.98 }', 1)
        where = h.wait_log('mtad.configuration.doubtful')
        assert 'mansio.conf:' in where and 'no connection can leave from 192.0.2.98' in where, where
        assert not h.mailbox(), 'nobody is told of anything'


def test_a_reload_leaves_old_connections_behind(four):
    text = 'route default {{ source = {} idle = 5m }}'
    with relay_host(text.format('192.0.2.7')) as h:
        result(h, 'a@four.test')
        reload(h, text.format('192.0.2.8'), 1)
        h.wait_log('relay.session.ended', source='192.0.2.7', how='shutdown')
        result(h, 'b@four.test')
        assert [m['peer'] for m in four.messages] == ['192.0.2.7', '192.0.2.8'] and four.sessions == 2


def test_a_reload_leaves_old_failures_behind():
    text = 'route default {{ source = {} }}'
    with relay_host(text.format('192.0.2.7'), 'retry = [ 1h ]') as h:
        for i in range(6):
            result(h, f'u{i}@four.test', 'deferred')
        assert 'from 192.0.2.7|mxs mx4.op.test' in h.wait_log('queue.destination.rests')
        # A network that does not let one address through says nothing about another.
        with Sink('127.0.0.11', 25) as four:
            assert 'not tried now' in result(h, 'w@four.test', 'deferred')
            reload(h, text.format('192.0.2.8'), 1)
            result(h, 'x@four.test')
            result(h, 'x@else.test')
            assert {m['peer'] for m in four.messages} == {'192.0.2.8'}
