"""test_dialogs.py - every dialog against the real daemons: whole groups, and a byte per write."""
import pathlib, sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'system')]
from host import Host, free_port
from run_dialog import Dialog, play

FILES = sorted(HERE.glob('*.dlg'))


@pytest.fixture(scope='module')
def host():
    port = free_port()
    limits = 'max_message_size = 65536 max_recipients = 100 max_errors = 30 max_commands = 300'
    h = Host(hostname='mx.own.test', domains=('own.test', 'other.test'), users=('user', 'a'),
             listen=f'listen smtp {{ address = [ "127.0.0.1:{port}" ] {limits} }}',
             conf='relay { from = [ 127.0.0.1 ] to = [ backup.test ] }')
    h.port = port
    with h:
        yield h


@pytest.mark.parametrize('piece', [0, 1], ids=['whole', 'bytes'])
@pytest.mark.parametrize('path', FILES, ids=[f.stem for f in FILES])
def test_dialog(host, path, piece):
    d = Dialog(path)
    if d.only_engine or (piece and sum(len(s[2]) for s in d.steps if s[1] == 'send') > 5000):
        pytest.skip('needs the fake cleanup' if d.only_engine else 'too long for a byte per write')
    play(d, '127.0.0.1', host.port, '127.0.0.1' if d.own else '127.0.0.2', piece)


def test_refusals_are_logged(host):
    """One line is enough to act on at three in the morning."""
    play(Dialog(HERE / 'relay-plain.dlg'), '127.0.0.1', host.port, '127.0.0.2')
    line = host.wait_log('smtp.rcpt.refused', rcpt='a@elsewhere.test', client='127.0.0.2', helo='stranger.far.test')
    for part in ('sid=', 'id=', 'listener=smtp', 'client=127.0.0.2', 'helo=stranger.far.test', 'sender=a@far.test',
                 'reply="550 5.7.1 Relaying denied"', 'rule="relay.from ', 'mansio.conf:'):
        assert part in line, (part, line)
