"""drop/: a user with thousands of submissions holds up nobody else's, and what waits there is shown."""
import json, os, re, subprocess

import pytest

import host
from host import Host, wait_for

MESSAGE = b'mansio-drop: 1\nsender: root\nrcpt: user\n\nSubject: t\n\nx\n'


def plant(h, name, uid):
    """A complete file in drop/, as postdrop makes it for this user."""
    hidden = h.dir / f'spool/drop/.{name}'
    hidden.write_bytes(MESSAGE)
    hidden.chmod(0o444)
    os.chown(hidden, uid, -1)
    hidden.rename(h.dir / f'spool/drop/{name}')


def mtactl(h, *args, code=0):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *args], capture_output=True, text=True, timeout=60)
    assert p.returncode == code, p
    return p.stdout


def shown(h):
    return [r for r in json.loads(mtactl(h, '--json', 'mailq'))['rows'] if r['kind'] == 'drop']


@pytest.mark.root
def test_users_take_turns():
    h = Host()
    h.queue = 'deliver = no'
    with h:
        h.stop()
        for i in range(5000):   # more than are known of one user at a time
            plant(h, f'MANY{i:05}', 60001)
        plant(h, 'SINGLE', 60002)
        for i in range(5):
            plant(h, f'FEW{i}', 60003)
        h.start()
        wait_for('all are taken', lambda: len(os.listdir(h.dir / 'spool/drop')) == 1, 60, step=0.2, explain=h.log_tail)
        order = [line.split(' origin=drop/')[1].split(' ')[0] for line in h.log_lines('queue.message.stored')]
        assert len(order) == len(set(order)) == 5006
        # 32 are under way at once, and each of the others has one of every three turns.
        assert order.index('SINGLE') < 64 and max(order.index(f'FEW{i}') for i in range(5)) < 96, (order.index('SINGLE'), order[:96])
        assert not shown(h)


@pytest.mark.root
def test_what_waits_and_what_is_of_no_use_is_shown():
    h = Host()
    h.queue = 'reserve = 900000G'   # new mail finds no room
    with h:
        assert not shown(h) and 'in drop/' not in mtactl(h, 'mailq')
        for i in range(3):
            plant(h, f'WAITS{i}', 60001)
        wait_for('it was tried', lambda: len(h.log_lines('queue.drop.deferred')) == 3, explain=h.log_tail)
        assert [r['messages'] for r in shown(h)] == [3]
        assert '3 more in drop/' in mtactl(h, 'mailq') and '3 submissions wait in drop/' in mtactl(h, 'status', code=1)
        (h.dir / 'spool/drop/.x').write_text('x')
        (h.dir / 'spool/drop/.x').rename(h.dir / 'spool/drop/bad-name')
        h.wait_log('queue.drop.bad', file='bad-name')
        assert [r['bad'] for r in shown(h)] == [1] and '1 in drop/bad' in mtactl(h, 'mailq')
        wait_for('the status says so', lambda: 'lie in drop/bad' in mtactl(h, 'status', code=1))
        for state, n in (('waiting', 3), ('bad', 1)):
            wait_for(f'{n} {state} in the metrics', lambda: re.search(rf'^mansio_queue_drop_files{{[^}}]*state="{state}"[^}}]*}} {n}$', mtactl(h, 'metrics'), re.M))
        for p in (h.dir / 'spool/drop/bad').iterdir():
            p.unlink()
        h.queue = ''
        h.write()
        mtactl(h, 'reload')
        wait_for('it goes', lambda: not shown(h), 60, explain=h.log_tail)
        h.wait_mail(count=3)
        wait_for('all is well', lambda: 'in drop/bad' not in subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), 'status'], capture_output=True, text=True).stdout)
