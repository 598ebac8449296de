"""test_mtactl.py - every command of the operator's tool, in words and as JSON; sockets, deadlines, strangers"""
import json, os, pathlib, signal, smtplib, socket, struct, subprocess, time

import pytest

import host
from host import Host, halt, wait_for

ROUTE = 'route default { via = "127.0.0.1:1" }'


def ctl(h, *args, json_too=True, code=0, user=None):
    """Runs it in words, and with --json as well when the command changes nothing; (text, parsed)."""
    base = [str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf')]
    p = subprocess.run([*base, *args], capture_output=True, text=True, timeout=60, user=user)
    assert p.returncode == code, (args, p)
    parsed = None
    if json_too:
        j = subprocess.run([*base, '--json', *args], capture_output=True, text=True, timeout=60, user=user)
        assert j.returncode == code, (args, j)
        parsed = json.loads(j.stdout)
        assert parsed['code'] == code
    return p.stdout + p.stderr, parsed


def change(h, *args, code=0):
    """A command that changes something: once, as JSON."""
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *args, '--json'],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == code, (args, p)
    return json.loads(p.stdout)


def kinds(parsed, kind):
    return [r for r in parsed['rows'] if r['kind'] == kind]


def queue(h):
    return {m['id']: m for m in kinds(ctl(h, 'queue', 'list')[1], 'message')}


def test_status_sandbox_config_check_log():
    with Host() as h:
        text, parsed = ctl(h, 'status')
        assert 'is running' in text and 'all is well' in text and f'127.0.0.1:{h.port}' in text
        daemons = {d['name']: d for d in kinds(parsed, 'daemon')}
        pids = h.pids()
        for name in ('mapd', 'queued', 'cleanup', 'dnsd', 'historyd'):
            assert daemons[name]['pid'] in pids[name] and daemons[name]['state'] == 'ready'
        assert daemons['queued']['memory_kib'] > 0
        assert kinds(parsed, 'listener')[0]['address'] == f'127.0.0.1:{h.port}'
        assert kinds(parsed, 'queue')[0]['messages'] == 0
        if host.IS_ROOT:
            assert daemons['smtpd']['user'] == 'mansio-smtpd' and daemons['smtpd']['uid'] != 0
        text, parsed = ctl(h, 'sandbox')
        threads = [t for t in kinds(parsed, 'thread') if t['daemon'] == 'queued']
        assert len(threads) == 3 and all(t['no_new_privs'] == '1' and t['seccomp'] == '2' for t in threads)
        assert {'kind': 'edge', 'between': 'cleanup', 'and': 'queued'} in parsed['rows'] and 'cleanup' in text
        text, parsed = ctl(h, 'config')
        assert 'hostname = ' in text
        values = {(v['section'], v['name']): v for v in kinds(parsed, 'value')}
        assert values['', 'hostname']['value'].strip('"') == 'mail.demo.test'
        assert values['', 'hostname']['origin'].endswith('mansio.conf:1')
        assert values['queue', 'reserve']['origin'] == 'default'
        assert 'is in order' in ctl(h, 'check')[0]
        bad = h.dir / 'etc/bad.conf'
        bad.write_text('hostnam = x\n')
        assert 'did you mean' in ctl(h, 'check', str(bad), code=78)[0]
        assert 'DEBUG' in ctl(h, 'log', 'debug')[0].upper()
        ctl(h, 'log', 'loud', code=64)
        change(h, 'stop')
        assert h.proc.wait(60) == 0


def test_usage():
    tool = str(host.BUILD / 'bin/mtactl')
    for args, code in (([], 64), (['nonsense'], 64), (['status', 'x'], 64), (['--help'], 0), (['--version'], 0),
                       (['queue', 'delete'], 64), (['queue', 'delete', '--sender'], 64), (['--wait', 'x', 'status'], 64),
                       (['queue', 'hold', '--why', 'x'], 64), (['--command-words'], 0), (['--command-manual'], 0)):
        p = subprocess.run([tool, *args], capture_output=True, text=True, timeout=20)
        assert p.returncode == code and (p.stdout or p.stderr), (args, p)


def test_not_running():
    with Host() as h:
        h.stop()
        text, _ = ctl(h, 'status', code=69)
        assert 'not running' in text


def test_queue_commands():
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        assert 'Mail queue is empty' in ctl(h, 'mailq')[0]
        assert queue(h) == {}
        two = h.send(['a@remote.test', 'b@other.test'], sender='me@demo.test')
        null = h.send('c@remote.test', sender='')
        gone = h.send('d@remote.test', sender='user@demo.test')
        h.wait_log('delivery.result', count=4)
        text, _ = ctl(h, 'mailq')
        assert text.startswith('-Queue ID-') and '(Deferred: connect to' in text and 'MAILER-DAEMON' in text
        assert 'Kbytes in 3 Requests.' in text and 'Total requests: 3' in text
        assert set(queue(h)) == {two, null, gone}

        for selector, want in ((['--sender', '<>'], {null}), (['--sender', 'ME@demo.test'], {two}), ([gone, two], {gone, two}),
                               (['--recipient', 'b@other.test'], {two}), (['--domain', 'OTHER.test'], {two}),
                               (['--older', '1h'], set()), (['--younger', '1h'], {two, null, gone}),
                               (['--reason', 'refused'], {two, null, gone}), (['--reason', 'weather'], set()),
                               (['--state', 'held'], set()), (['--state', 'deferred', '--domain', 'other.test'], {two})):
            _, parsed = ctl(h, 'queue', 'list', *selector)
            assert {m['id'] for m in kinds(parsed, 'message')} == want, selector

        text, parsed = ctl(h, 'queue', 'show', two)
        assert 'sender: me@demo.test' in text and len(kinds(parsed, 'recipient')) == 2
        assert kinds(parsed, 'envelope')[0]['client'] == '127.0.0.1'
        text, parsed = ctl(h, 'queue', 'cat', two)
        assert text.endswith('\n\nhello\n') and kinds(parsed, 'content')[0]['message'].endswith('hello\r\n')
        ctl(h, 'queue', 'show', '0000000000000', code=65)
        ctl(h, 'queue', 'show', 'x', code=65)

        assert change(h, 'queue', 'hold', two, '--why', 'looking')['message'] == '1 message held'
        assert change(h, 'queue', 'hold', two)['rows'] == []
        assert queue(h)[two]['state'] == 'held'
        assert change(h, 'queue', 'bounce', gone, '--why', 'not wanted')['rows'][0]['id'] == gone
        assert b'not wanted' in h.wait_mail('user')[0]
        assert change(h, 'queue', 'delete', '--sender', '<>', '--yes')['rows'] == [{'kind': 'changed', 'id': null, 'change': 'delete'}]
        h.kill('queued')  # what was answered is durable
        h.wait_log('mtad.child.ready', child='queued[0]')
        assert {i: m['state'] for i, m in queue(h).items()} == {two: 'held'}
        assert change(h, 'queue', 'flush', two)['message'] == '0 messages to be tried now (what is held waits for queue release)'
        assert change(h, 'queue', 'release', '--state', 'held')['message'] == '1 message released'
        before = len(h.log_lines('delivery.result', id=two))
        assert change(h, 'queue', 'flush', '--all')['message'] == '1 message to be tried now'
        h.wait_log('delivery.result', count=before + 2, id=two)
        assert change(h, 'queue', 'delete', '--all', '--yes')['message'] == '1 message deleted'
        assert queue(h) == {}


def test_long_list_in_portions():
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        change(h, 'pause', 'out')
        sent = set()
        with h.smtp() as s:
            for i in range(400):
                s.sendmail(f'u{i}@demo.test', [f'r{i}@remote.test'], 'Subject: x\r\n\r\nx\r\n')
        wait_for('400 messages', lambda: len(h.log_lines('queue.message.stored')) == 400)
        assert len(queue(h)) == 400
        assert len(change(h, 'queue', 'delete', '--recipient', 'r7@remote.test', '--yes')['rows']) == 1
        assert len(change(h, 'queue', 'hold', '--all')['rows']) == 399
        assert len(change(h, 'queue', 'delete', '--state', 'held', '--yes')['rows']) == 399


def test_tables_and_the_way_of_an_address():
    h = Host(conf=ROUTE + '\nmap aliases { type = aliases source = "@DIR@/etc/aliases" auto = no }\naddress { aliases = aliases }')
    h.write()
    aliases = h.dir / 'etc/aliases'
    aliases.write_text('# comment\ninfo: user, far@away.test\nlost: nowhere\nround: round\n')
    aliases.chmod(0o644)
    with h.start():
        text, parsed = ctl(h, 'address', 'info@demo.test')
        assert f'{aliases}:2' in text and 'into its mailbox here' in text and 'by route default' in text
        steps = {s['address']: s for s in kinds(parsed, 'step')}
        assert steps['info@demo.test']['by'] == 'aliases' and steps['user@demo.test']['map'] == 'users'
        assert {f['address']: f['goes'] for f in kinds(parsed, 'final')} == {'user@demo.test': 'mailbox', 'far@away.test': 'route'}
        assert '550 5.1.1' in ctl(h, 'address', 'nobody@demo.test', code=67)[0]
        assert '451' in ctl(h, 'address', 'lost@demo.test', code=75)[0]
        ctl(h, 'address', 'a@b@c', code=65)
        assert 'postmaster@demo.test' in ctl(h, 'address', 'postmaster')[0]
        assert h.log_lines('queue.message.stored') == []

        text, parsed = ctl(h, 'map', 'list')
        assert {m['name']: m['type'] for m in kinds(parsed, 'map')}['aliases'] == 'aliases' and 'ready' in text
        assert kinds(ctl(h, 'map', 'get', 'aliases', 'lost')[1], 'entry')[0]['origin'] == f'{aliases}:3'
        assert kinds(ctl(h, 'map', 'get', 'passwd', 'nobody')[1], 'entry')[0]['value'].startswith('65534:')
        ctl(h, 'map', 'get', 'aliases', 'absent', code=1)
        ctl(h, 'map', 'get', 'nomap', 'x', code=65)

        aliases.write_text('new: user\nbroken\n')
        assert f'{aliases}:2' in ctl(h, 'map', 'reload', 'aliases', code=65)[0]
        ctl(h, 'map', 'get', 'aliases', 'info')  # the old table stays
        text, parsed = ctl(h, 'status', code=1)
        assert kinds(parsed, 'degraded')[0]['what'] == 'table aliases' and 'mtactl map reload' in text
        aliases.write_text('new: user\n')
        ctl(h, 'map', 'reload')
        ctl(h, 'map', 'get', 'aliases', 'new')
        ctl(h, 'map', 'get', 'aliases', 'info', code=1)
        assert ctl(h, 'status')[1]['code'] == 0


def test_reload():
    with Host() as h:
        conf = h.dir / 'etc/mansio.conf'
        good = conf.read_text()
        conf.write_text(good + 'nonsense = yes\n')
        text, parsed = ctl(h, '--runtime', str(h.dir / 'run'), 'reload', code=78)
        assert 'nonsense' in text and 'goes on untouched' in text and 'nonsense' in kinds(parsed, 'error')[0]['text']
        conf.write_text(good + 'queue { warn_after = 5h }\n' if 'queue {' not in good else good.replace('queue {', 'queue { warn_after = 5h'))
        ctl(h, 'reload')
        generations = {d['generation'] for d in kinds(ctl(h, 'status')[1], 'daemon') if d['name'] == 'smtpd'}
        assert max(generations) > 1
        h.send('user@demo.test')
        h.wait_mail('user')


def test_policy():
    with Host(relay_from=['10.0.0.0/8'], conf=ROUTE) as h:
        def ask(client, to, code, *more):
            return ctl(h, 'policy', '--client', client, '--from', 'a@far.test', '--to', to, *more, code=code)
        text, parsed = ask('192.0.2.1', 'user@demo.test', 0, '--helo', 'mx.far.test', '--name', 'mx.far.test')
        assert 'accepted' in text and [r['command'] for r in kinds(parsed, 'reply')][1] == 'EHLO mx.far.test'
        text, parsed = ask('192.0.2.1', 'x@away.test', 1)
        assert 'relay.from' in text and kinds(parsed, 'reply')[-1]['reply'].startswith('5')
        ask('10.1.2.3', 'x@away.test', 0)
        assert '5.1.1' in ask('192.0.2.1', 'nobody@demo.test', 1)[0]
        assert ask('192.0.2.1', 'a%b@demo.test', 1)[0]
        ctl(h, 'policy', '--client', 'nonsense', '--from', 'a', '--to', 'b', code=64)
        ctl(h, 'policy', '--client', '192.0.2.1', '--from', 'a\r\nRSET', '--to', 'b', code=64)
        ctl(h, 'policy', '--client', '192.0.2.1', code=64)
        assert not h.log_lines('smtp.rcpt.refused')  # nobody was refused
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            h.send('x@away.test')
        assert len(h.log_lines('smtp.rcpt.refused')) == 1


def test_pause_and_freeze_survive_a_restart():
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        waits = h.send('a@remote.test', sender='bad@demo.test')
        h.wait_log('delivery.result')
        assert len(change(h, 'freeze', 'BAD@demo.test')['rows']) == 1
        change(h, 'pause', 'in')
        change(h, 'pause', 'out')
        h.restart()
        text, parsed = ctl(h, 'status', code=1)
        assert 'resume out' in text and 'resume in' in text and len(kinds(parsed, 'frozen')) == 1
        with pytest.raises(smtplib.SMTPDataError) as e:
            h.send('user@demo.test')
        assert e.value.smtp_code == 451
        change(h, 'resume', 'in')
        new = h.send('b@remote.test', sender='bad@demo.test')
        mine = h.send('user@demo.test')
        assert {i: m['state'] for i, m in queue(h).items()} == {waits: 'held', new: 'held', mine: 'active'}
        change(h, 'resume', 'out')
        assert len(h.wait_mail('user')) == 1
        assert len(change(h, 'thaw', 'bad@demo.test')['rows']) == 2
        h.wait_log('delivery.result', id=new)
        ctl(h, 'pause', 'sideways', code=64)
        h.restart()
        assert ctl(h, 'status')[1]['code'] == 0


def test_status_while_a_daemon_hangs():
    with Host() as h:
        pid = h.pids()['queued'][0]
        halt(pid)
        try:
            began = time.monotonic()
            text, parsed = ctl(h, 'status', code=1)
            assert time.monotonic() - began < 30 and 'queued does not answer' in text
            assert kinds(parsed, 'degraded')[0]['what'] == 'queued'
            began = time.monotonic()
            text, _ = ctl(h, 'mailq', json_too=False)
            assert time.monotonic() - began < 30 and 'does not answer' in text and 'Mail queue is empty' in text
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_daemon_that_restarts_is_told():
    with Host() as h:
        conf = h.dir / 'etc/mansio.conf'
        h.kill('dnsd')
        text = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(conf), 'status'], capture_output=True, text=True).stdout
        assert 'dnsd' in text
        wait_for('all is well again', lambda: subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(conf), 'status'],
                                                            capture_output=True).returncode == 0)


@pytest.mark.root
def test_strangers_are_refused():
    with Host() as h:
        h.dir.chmod(0o755)
        text, _ = ctl(h, '--runtime', str(h.dir / 'run'), 'status', code=77, user='nobody')
        assert 'only root and members of the group mansio-admin' in text
        assert not ctl(h, 'status')[1]['code']


def frames():
    """Malformed frames: name, bytes."""
    call = lambda act, txn=1: struct.pack('>BBHIQ', 1, 0, 0, 0, txn) + act
    yield 'empty header', b'\0' * 16
    yield 'short', b'\1'
    yield 'unknown type', struct.pack('>BBHIQ', 1, 0, 9999, 0, 1)
    yield 'wrong version', struct.pack('>BBHIQ', 77, 0, 1, 0, 1)
    yield 'length lies', struct.pack('>BBHIQ', 1, 0, 1, 60000, 1)
    yield 'setup of mtad', struct.pack('>BBHIQ', 1, 0, 2, 0, 1)
    yield 'field too long', call(b'\0\1\xff\xff\xff\xff')
    yield 'noise', os.urandom(4000)
    yield 'large', b'\1' * 65536


def connect(h, name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here = os.getcwd()
    os.chdir(h.dir / 'run/ctl')
    try:
        s.connect(f'{name}.sock')
    finally:
        os.chdir(here)
    s.settimeout(20)
    return s


def test_malformed_frames_end_that_client_only():
    """INCIDENTS 4: a bad message on a control socket ended OpenSMTPD."""
    with Host() as h:
        # Openers come and go as they are needed.
        daemons = lambda: {name: pids for name, pids in h.pids().items() if name != 'mtad-opener'}
        before = daemons()
        for name in ('mtad', 'queued', 'mapd', 'cleanup', 'smtpd'):
            for what, data in frames():
                s = connect(h, name)
                try:
                    s.send(data)
                    assert s.recv(65536) == b'', (name, what)
                except ConnectionError:
                    pass
                finally:
                    s.close()
            s = connect(h, name)  # descriptors that nobody asked for
            with open('/dev/null') as f, open('/dev/zero') as g:
                socket.send_fds(s, [b'\0' * 16], [f.fileno(), g.fileno()])
            s.close()
            idle = [connect(h, name) for _ in range(60)]  # more than are allowed, saying nothing
            time.sleep(0.1)
            for s in idle:
                s.close()
        assert daemons() == before
        assert ctl(h, 'status')[1]['code'] == 0
        h.send('user@demo.test')
        h.wait_mail('user')


def test_long_runtime_path(tmp_path):
    base = tmp_path / ('x' * 60) / ('y' * 60)
    base.mkdir(parents=True)
    for p in base.relative_to('/').parents:
        with_root = pathlib.Path('/') / p
        if os.stat(with_root).st_uid == os.getuid() and with_root != pathlib.Path('/'):
            with_root.chmod(0o755)
    base.chmod(0o755)
    with Host(base=str(base)) as h:
        assert ctl(h, 'status')[1]['code'] == 0


def test_the_words_of_who_refuses_arrive():
    """mtad tells that a daemon is off, and closes, perhaps with the call unread."""
    with Host(conf='history { keep = 0 }') as h:
        for _ in range(30):
            assert 'history.keep' in ctl(h, 'trace', 'user@demo.test', code=75)[0]
