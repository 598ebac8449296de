#!/usr/bin/env python3
"""old_spool.py - writes the spool that tests/unit/queued/test_upgrade.c reads, with the programs of an older build.

    MANSIO_BUILD=/path/of/the/older/build/with/fault/points/or/not tests/support/old_spool.py tests/data/spool-0.1.tar.gz

One message of each kind, named in the file `about` beside the spool's own ("kind id" lines and "made MS"). As root. The
archive keeps holes: a segment of 64 MiB is a few KiB in it. docs/QUEUE.md says when a new one is to be made.
"""
import contextlib, json, os, pathlib, re, signal, subprocess, sys, tempfile, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
import host  # noqa: E402
from host import Host, wait_for  # noqa: E402
from sink import Sink  # noqa: E402

STARTS = 17  # a journal of more files than that is told anew: a snapshot
BIG = 'line of a large body\r\n' * 20000
LATER, GONE = '450 4.2.1 come again', '550 5.1.1 nobody of that name'
sinks = Sink(replies={'RCPT': {'later@a.test': LATER, 'gone@a.test': GONE}})
ids = {}


def ctl(h, *words):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--json', *words], capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, p
    return json.loads(p.stdout)['rows']


def put(h, kind, to, results=1, body=None, sender='user@demo.test'):
    ids[kind] = h.send(to, f'Subject: {kind}\r\n\r\n' + (body or f'body of {kind}\r\n'), sender=sender)
    if results:
        h.wait_log('delivery.result', count=results, id=ids[kind])
    return ids[kind]


def put_with(h, kind, mail, rcpt):
    with h.smtp() as s:
        s.ehlo()
        for command in (f'MAIL FROM:<user@demo.test>{mail}', f'RCPT TO:{rcpt}'):
            code, text = s.docmd(command)
            assert code == 250, text
        code, text = s.data(f'Subject: {kind}\r\n\r\nbody of {kind}\r\n')
        assert code == 250, text
        ids[kind] = re.search(rb'[0-9A-Z]{13}', text).group().decode()


def before_the_snapshot(h):
    put(h, 'finished', 'ok@a.test')
    put(h, 'deferred', 'later@a.test')
    ctl(h, 'queue', 'flush', ids['deferred'])
    h.wait_log('delivery.result', count=2, id=ids['deferred'])
    put(h, 'partial', ['user@demo.test', 'ok@a.test', 'gone@a.test', 'later@a.test'], results=4)
    put(h, 'held', 'later@a.test')
    put(h, 'released', 'later@a.test')
    ctl(h, 'queue', 'hold', ids['held'], ids['released'], '--why', 'looking at it')
    put(h, 'deleted', 'later@a.test')
    put(h, 'big', 'later@a.test', body=BIG)
    put_with(h, 'asked', ' RET=HDRS ENVID=QQ314159', '<later@a.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;Later+2BX@a.test')
    h.wait_log('delivery.result', id=ids['asked'])
    # Its sender cannot be told now: the notice waits as a message of its own.
    put(h, 'told', 'gone@a.test', sender='later@a.test')
    ids['notice'] = wait_for('the notice', lambda: [m['id'] for m in ctl(h, 'queue', 'list', '--sender', '<>') if m['kind'] == 'message'])[0]
    h.wait_log('delivery.result', id=ids['notice'])
    h.wait_mail('user', 2)  # his copy of `partial`, and the notice of the one who is gone
    ctl(h, 'freeze', 'bad@demo.test')
    put(h, 'frozen', 'later@a.test', results=0, sender='bad@demo.test')


def behind_the_snapshot(h):
    ctl(h, 'queue', 'delete', ids['deleted'])
    ctl(h, 'queue', 'release', ids['released'])
    ctl(h, 'queue', 'flush', ids['released'])
    h.wait_log('delivery.result', count=2, id=ids['released'])
    put(h, 'owed', 'later@a.test')
    ctl(h, 'pause', 'out')
    put_with(h, 'receipt', '', '<user@demo.test> NOTIFY=SUCCESS')
    h.kill('cleanup', signal.SIGSTOP)  # so nobody composes notices
    ctl(h, 'resume', 'out')
    h.wait_log('delivery.result', id=ids['receipt'])
    ctl(h, 'queue', 'bounce', ids['owed'], '--why', 'not wanted')
    ctl(h, 'pause', 'out')


def kill_all(h):
    pids = [p for ps in h.pids().values() for p in ps]
    for pid in (h.proc.pid, *pids):
        os.kill(pid, signal.SIGKILL)
    h.proc.wait()
    h.proc = None
    wait_for('the end', lambda: not [p for p in pids if host.alive(p)])


def has_snapshot(state):
    for p in state.glob('*.jnl'):
        with contextlib.suppress(FileNotFoundError):
            if re.search(rb'\n[0-9a-f]{8} E', p.read_bytes()):
                return True
    return False


def make(h):
    before_the_snapshot(h)
    for _ in range(STARTS):
        h.restart()
    wait_for('a snapshot', lambda: has_snapshot(h.dir / 'spool/state'), explain=h.log_tail)
    behind_the_snapshot(h)


def pack(spool, out):
    (spool / 'about').write_text(f'made {time.time_ns() // 1000000}\n' + ''.join(f'{k} {i}\n' for k, i in ids.items()))
    # Holes in place of the zeros that queued allocates.
    with tempfile.TemporaryDirectory(prefix='mansio-test-') as copy:
        subprocess.run(['cp', '-a', '--sparse=always', f'{spool}/.', copy], check=True)
        subprocess.run(['tar', '-C', copy, '--sparse', '--numeric-owner', '--exclude=./lock', '--exclude=./state/spare', '--sort=name', '-czf', out, '.'],
                       check=True)


def main(out):
    with sinks as sink:
        h = Host(relay_from=['127.0.0.0/8'], conf=f'route default {{ via = "127.0.0.1:{sink.port}" tls = none }}')
        h.queue = 'retry = [1h]'
        with h:
            make(h)
            kill_all(h)
            pack(h.dir / 'spool', out)


if __name__ == '__main__':
    main(os.path.abspath(sys.argv[1]))
