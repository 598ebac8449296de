"""mailq and sendmail -q: the familiar columns, root's look into the spool of a host that is down or hangs, selectors."""
import json, os, re, signal, subprocess, time

import pytest

from host import BUILD, Host, halt, wait_for
from test_sendmail import sendmail

TEMPFAIL = 75
DEAD = 'route default { via = "127.0.0.1:1" }'
# A destination each: behind one dead host one message would speak for all.
DEAD_EACH = ''.join(f'route {name}.test {{ via = "127.0.0.1:1" }}\n' for name in ('one', 'two', 'three'))


def mailq(h, *options, status=0, **kw):
    """(stdout, stderr) of mtactl mailq."""
    r = subprocess.run([str(BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--wait', '2', *options, 'mailq'], capture_output=True, text=True,
                       timeout=60, env=dict(os.environ, TZ='UTC'), **kw)
    assert r.returncode == status, r
    return r.stdout, r.stderr


GOLDEN = """\
-Queue ID-      --Size-- ---Arrival Time---- -Sender/Recipient------
IIIIIIIIIIIII  123456789 Day Mon dd hh:mm:ss MAILER-DAEMON
      (Deferred: connect to [127.0.0.1]:1: Connection refused)
                                             c@remote.test

IIIIIIIIIIIII  123456789 Day Mon dd hh:mm:ss me@demo.test
      (Deferred: connect to [127.0.0.1]:1: Connection refused)
                                             a@remote.test
      (Deferred: connect to [127.0.0.1]:1: Connection refused)
                                             b@remote.test

IIIIIIIIIIIII! 123456789 Day Mon dd hh:mm:ss held@demo.test
                                             d@remote.test

-- 1 Kbytes in 3 Requests.
"""


def golden(text):
    """What differs from run to run made the same, its width kept; messages sorted by what stays."""
    text = re.sub(r'^[0-9A-Z]{13}', 'I' * 13, text, flags=re.M)
    text = re.sub(r'[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d', 'Day Mon dd hh:mm:ss', text)
    text = re.sub(r'^(I{13}. )[ \d]{9} ', r'\g<1>123456789 ', text, flags=re.M)
    head, rest = text.split('\n', 1)
    body, tail = rest.split('\n\n-- ', 1)
    return '\n'.join([head, *sorted(body.split('\n\n')), '-- ' + tail])


def same_columns(text, drop='', total=3):
    assert golden(text) == golden(GOLDEN + drop + f'\t\tTotal requests: {total}\n')


def queue_of_three(h):
    h.send(['a@remote.test', 'b@remote.test'], sender='me@demo.test')
    h.send('c@remote.test', sender='')
    subprocess.run([str(BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), 'freeze', 'held@demo.test'], check=True, capture_output=True)
    h.send('d@remote.test', sender='held@demo.test')
    h.wait_log('delivery.result', count=3)
    h.send('user@demo.test')
    h.wait_mail()
    wait_for('one is done', lambda: 'in 3 Requests' in mailq(h)[0])


def files(h):
    return {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in (h.dir / 'spool').rglob('*') if p.is_file()}


def test_columns_while_it_runs_hangs_and_is_down():
    with Host(relay_from=['127.0.0.0/8'], conf=DEAD) as h:
        assert mailq(h) == ('Mail queue is empty\n\t\tTotal requests: 0\n', '')
        queue_of_three(h)
        text, said = mailq(h)
        same_columns(text)
        assert said == ''
        for name in ('queued', 'mtad'):
            pids = h.pids().get(name) or [h.proc.pid]
            for pid in pids:
                halt(pid)
            try:
                began = time.monotonic()
                text, said = mailq(h)
                assert time.monotonic() - began < 30 and 'this is what its spool says' in said
                same_columns(text)
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
        h.stop()
        before = files(h)
        text, said = mailq(h)
        assert 'is not running' in said and 'spool' in said
        same_columns(text)
        sendmail(h, 'user', message=b'Subject: waits\n\n')
        sendmail(h, 'user', message=b'Subject: waits\n\n')
        text, _ = mailq(h)
        same_columns(text, '2 more in drop/, submitted here and not taken yet\n', total=5)
        rows = json.loads(mailq(h, '--json')[0])
        assert rows['code'] == 0 and 'spool' in rows['message'] and {'kind': 'drop', 'messages': 2} in rows['rows']
        assert sorted(r['recipient'] for r in rows['rows'] if r['kind'] == 'recipient') == [f'{c}@remote.test' for c in 'abcd']
        assert sorted(r['state'] for r in rows['rows'] if r['kind'] == 'message') == ['deferred', 'deferred', 'held']
        after = files(h)
        assert all(after[p] == was for p, was in before.items()), 'looking changed the spool'
        # sendmail's own words for it
        assert 'in 3 Requests' in sendmail(h, '-bp')
        (h.dir / 'mailq').symlink_to(BUILD / 'bin/sendmail')
        assert 'in 3 Requests' in sendmail(h, argv0=str(h.dir / 'mailq'))
        # a record that cannot be read is told as that, and costs no other
        segment = next(p for p in (h.dir / 'spool/seg').glob('*.seg') if b'sender: me@demo.test' in p.read_bytes())
        segment.write_bytes(segment.read_bytes().replace(b'sender: me@demo.test', b'sender: mX@demo.test', 1))
        text, _ = mailq(h)
        assert ' ?\n' in text and 'me@demo.test' not in text and 'in 3 Requests' in text


@pytest.mark.root
def test_mailq_of_an_ordinary_user_is_refused():
    with Host() as h:
        h.dir.chmod(0o755)
        _, said = mailq(h, status=77, user='nobody')
        assert 'only root and members of the group mansio-admin' in said
        h.stop()
        out, said = mailq(h, status=77, user='nobody')
        assert out == '' and 'only root' in said


def test_flush_selects_and_says_when_it_cannot():
    with Host(relay_from=['127.0.0.0/8'], conf=DEAD_EACH) as h:
        ids = {name: h.send(f'{name}@{name}.test', sender=sender) for name, sender in (('one', 'Me@demo.test'), ('two', ''), ('three', 'you@demo.test'))}
        h.wait_log('delivery.result', count=3)
        tried = {name: 1 for name in ids}

        def flush(*args, who=()):
            assert sendmail(h, *args) == '', 'it is silent'
            for name in who:
                tried[name] += 1
            for name, times in tried.items():
                h.wait_log('delivery.result', count=times, id=ids[name]) if times > 1 else h.wait_log('delivery.result', id=ids[name])

        flush('-qRONE.te', who=['one'])
        flush('-qSme@', who=['one'])
        flush('-qS<>', who=['two'])
        flush('-qI' + ids['three'], who=['three'])
        flush('-qRnobody')
        flush('-q', who=['one', 'two', 'three'])
        for name, times in tried.items():
            assert len(h.log_lines('delivery.result', id=ids[name])) == times, name
        sendmail(h, '-qIx', status=64)
        h.stop()
        assert 'is not running' in sendmail(h, '-q', status=TEMPFAIL)
        assert 'is not running' in sendmail(h, '-qRx', status=TEMPFAIL)
        assert 'when it starts' in sendmail(h, '-bi')


def test_newaliases_and_address():
    conf = 'map aliases { type = aliases  source = "@DIR@/etc/aliases" }\naddress { aliases = aliases }'
    h = Host(conf=conf)
    (h.dir / 'etc').mkdir()
    (h.dir / 'etc/aliases').write_text('first: user\n')
    with h:
        assert 'user@demo.test' in sendmail(h, '-bv', 'first')
        (h.dir / 'etc/aliases').write_text('first: user\nsecond: user\n')
        (h.dir / 'newaliases').symlink_to(BUILD / 'bin/sendmail')
        sendmail(h, argv0=str(h.dir / 'newaliases'))
        sendmail(h, 'second', message=b'Subject: second\n\n')
        assert b'Delivered-To: user@demo.test' in h.wait_mail()[0]
        sendmail(h, '-bv', status=64)
        assert 'nosuch' in sendmail(h, '-bv', 'nosuch', status=67)
