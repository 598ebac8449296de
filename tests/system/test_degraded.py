"""test_degraded.py - what `mtactl status` says when something does not work: in words, as JSON, by its exit code and in
the log; and that it is silent again when that is mended"""
import json, os, pathlib, re, shutil, signal, socket, subprocess

import pytest

import fakedns, host
from host import Host, wait_for
from tls import Authority, TlsHost


def ctl(h, *args):
    return subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *args], capture_output=True, text=True,
                          timeout=180)


def degraded(h):
    p = ctl(h, '--json', 'status')
    rows = {r['what']: r for r in json.loads(p.stdout)['rows'] if r['kind'] == 'degraded'}
    assert p.returncode == (1 if rows else 0), p
    return rows


def sick(h, what, *words):
    """Seen: the row, the words, the exit code, the line of the log."""
    row = wait_for(f'{what} is degraded', lambda: degraded(h).get(what), explain=lambda: f'{degraded(h)}\n{h.log_tail()}')
    assert row['advice'] and row['since'] > 1700000000 and row['for'] < 3600, row
    for w in words:
        assert w in row['problem'] + row['advice'], row
    p = ctl(h, 'status')
    assert p.returncode == 1 and 'DEGRADED:' in p.stdout and what in p.stdout and row['advice'] in p.stdout and 'since' in p.stdout, p
    h.wait_log('mtad.degraded', what=what)
    return row


def well(h, what, deadline=host.DEADLINE):
    """Gone, and nothing else is wrong."""
    wait_for(f'{what} is mended', lambda: what not in degraded(h), deadline, explain=lambda: f'{degraded(h)}\n{h.log_tail()}')
    h.wait_log('mtad.mended', what=what)
    p = ctl(h, 'status')
    assert p.returncode == 0 and 'DEGRADED' not in p.stdout and 'all is well' in p.stdout, p


def test_a_table_whose_source_is_bad_keeps_the_old_one():
    with Host() as h:
        assert degraded(h) == {}
        source = h.dir / 'etc/users'
        good = source.read_text()
        source.write_text(good + 'new@demo.test new/\n"unclosed x\n')
        assert ctl(h, 'map', 'reload', 'users').returncode == 65
        sick(h, 'table users', f'{source}:4', 'old table', 'mtactl map reload')
        assert ctl(h, 'map', 'get', 'users', 'new@demo.test').returncode == 1
        assert ctl(h, 'map', 'get', 'users', 'user@demo.test').returncode == 0
        source.write_text(good + 'new@demo.test new/\n')
        assert ctl(h, 'map', 'reload', 'users').returncode == 0
        well(h, 'table users')
        assert ctl(h, 'map', 'get', 'users', 'new@demo.test').returncode == 0


def test_a_table_that_looks_for_changes_itself():
    conf = 'map more { type = text source = "@DIR@/etc/more" auto = yes }'
    h = Host(conf)
    source = h.dir / 'etc/more'
    source.parent.mkdir(parents=True)
    source.write_text('one 1\n')
    with h:
        source.write_text('one 2\n"unclosed\n')
        sick(h, 'table more', f'{source}:2', 'old table')
        assert json.loads(ctl(h, '--json', 'map', 'get', 'more', 'one').stdout)['rows'][0]['value'] == '1'
        os.replace(shutil.copy(source, f'{source}.new'), source)
        source.write_text('one 3\n')
        well(h, 'table more', deadline=60)
        assert json.loads(ctl(h, '--json', 'map', 'get', 'more', 'one').stdout)['rows'][0]['value'] == '3'


class MortalServer(fakedns.Server):
    dead = False

    def answer(self, wire, how):
        return None if self.dead else super().answer(wire, how)


def test_resolvers_that_do_not_answer():
    with MortalServer({'far.test': {'MX': ['10 mx.far.test']}}) as a, MortalServer({}) as b:
        with Host(dns=[a.address, b.address], relay_from=['127.0.0.0/8']) as h:
            a.dead = True
            h.send('x@far.test')
            sick(h, 'resolver', '1 of 2 resolvers do not answer', a.address, 'dns { servers')
            b.dead = True
            h.send('x@other.test')
            wait_for('both are named', lambda: 'no resolver answers (2 of 2)' in degraded(h)['resolver']['problem'])
            a.dead = b.dead = False
            well(h, 'resolver')


def put(authority, name, days):
    authority.host(name, days=days)


def test_certificates(tmp_path):
    authority = Authority(tmp_path / 'ca')
    put(authority, 'mail.demo.test', 300)
    put(authority, 'other.test', 300)
    key, cert = tmp_path / 'ca/mail.demo.test.key', tmp_path / 'ca/mail.demo.test.pem'
    with TlsHost(authority) as h:
        assert degraded(h) == {}
        # Renewal would fail: the file is gone, is not a key, or is another one's.
        good = key.read_bytes()
        key.unlink()
        sick(h, 'certificate', 'No such file', str(key))
        key.write_bytes(b'no key\n')
        wait_for('nonsense', lambda: 'private key' in degraded(h)['certificate']['problem'])
        shutil.copy(tmp_path / 'ca/ca.key', key)
        wait_for('mismatch', lambda: 'does not belong to the certificate' in degraded(h)['certificate']['problem'])
        assert ctl(h, 'reload').returncode == 78
        key.write_bytes(good)
        wait_for('only the refused reload is left', lambda: set(degraded(h)) == {'configuration'})
        assert ctl(h, 'reload').returncode == 0
        well(h, 'certificate')
        # What is in use ends soon, then is over; a newer one lies ready.
        put(authority, 'mail.demo.test', 3)
        assert ctl(h, 'reload').returncode == 0
        sick(h, 'certificate', 'ends at', str(cert), 'renew it')
        put(authority, 'mail.demo.test', 300)
        wait_for('the advice knows', lambda: 'holds a newer one' in degraded(h)['certificate']['advice'])
        assert ctl(h, 'reload').returncode == 0
        well(h, 'certificate')
        put(authority, 'mail.demo.test', -1)
        p = ctl(h, 'reload')
        assert p.returncode == 0 and 'is over since' in p.stdout, 'who reloads is told'
        sick(h, 'certificate', 'is over since')
        put(authority, 'mail.demo.test', 300)
        assert ctl(h, 'reload').returncode == 0
        well(h, 'certificate')


def reloaded(h, **fields):
    for k, v in fields.items():
        setattr(h, k, v)
    h.write()
    return ctl(h, 'reload')


def test_disk_pauses_and_the_configuration_itself():
    with Host() as h:
        assert reloaded(h, queue='reserve = 900000G').returncode == 0
        sick(h, 'disk', 'queue.reserve', '452')
        assert reloaded(h, queue='').returncode == 0
        well(h, 'disk')
        assert ctl(h, 'pause', 'in').returncode == 0
        sick(h, 'acceptance', 'mtactl resume in')
        assert ctl(h, 'pause', 'out').returncode == 0
        assert {'acceptance', 'delivery'} <= set(degraded(h))
        assert ctl(h, 'resume', 'in').returncode == 0 and ctl(h, 'resume', 'out').returncode == 0
        well(h, 'delivery')
        assert reloaded(h, extra='nonsense = 1').returncode == 78
        sick(h, 'configuration', 'refused', 'mansio.conf:', 'mtactl check')
        assert reloaded(h, extra='').returncode == 0
        well(h, 'configuration')


@pytest.mark.skipif(not host.IS_ROOT, reason='drop/ has another owner only under root')
def test_drop_with_a_wrong_mode():
    with Host() as h:
        drop = h.dir / 'spool/drop'
        drop.chmod(0o755)
        sick(h, 'drop', '0755', 'mtactl check --install')
        drop.chmod(0o1730)
        well(h, 'drop')


def test_a_program_that_is_not_there():
    h = Host('mailbox filter { method = pipe user = nobody lookup = filtered command = [ "@DIR@/filter" ] }\n'
             'map filtered { type = inline entries = [ "box@demo.test x" ] }')
    with h:
        what = next(w for w in wait_for('it is seen', lambda: degraded(h)) if w.startswith('program'))
        sick(h, what, f'{h.dir}/filter', 'mansio.conf:', 'No such file')
        (h.dir / 'filter').write_text('#!/bin/sh\n')
        wait_for('not executable', lambda: 'not executable' in degraded(h)[what]['problem'])
        (h.dir / 'filter').chmod(0o755)
        well(h, what)


def test_a_daemon_that_ends_again_and_again():
    with Host() as h:
        for n in (1, 2, 3):
            pids = wait_for('it runs', lambda: h.pids().get('dnsd'))
            os.kill(pids[0], signal.SIGKILL)
            wait_for('another one', lambda: h.pids().get('dnsd') not in (None, pids))
        row = sick(h, 'dnsd[0]', 'times in a row', 'KILL', 'mtad.child.ended')
        assert '3 times' in row['problem']
        well(h, 'dnsd[0]', deadline=60)


@pytest.mark.skipif(not host.IS_ROOT, reason='a directory of another user')
def test_a_mailbox_section_that_stores_nothing():
    with Host() as h:
        box = h.dir / 'mail'
        shutil.chown(box, 'root', 'root')
        for n in range(6):   # whichever deliverd they come to
            h.send('user@demo.test')
        sick(h, 'mailbox demo', 'deliveries in a row failed', 'mtactl check')
        # Who is still being tried is not flushed, and fails after it.
        h.wait_log('delivery.result', count=6, status='deferred')
        shutil.chown(box, 'mansio-vmail', 'mansio-vmail')
        assert ctl(h, 'queue', 'flush', '--all').returncode == 0
        h.wait_mail(count=6)
        well(h, 'mailbox demo')


def test_a_listener_that_is_full():
    port = host.free_port()
    h = Host(listen=f'listen smtp {{ address = [ "127.0.0.1:{port}" ] max_sessions = 4 max_sessions_per_client = 100 crowded_timeout = 5m }}')
    h.port = port
    with h:
        taken = []
        try:
            for _ in range(30):   # more than all processes take together
                taken.append(socket.create_connection(('127.0.0.1', port), timeout=30))
            full = lambda: [w for w, r in degraded(h).items() if w.startswith('listener smtp of smtpd[') and 'refused' in r['problem']]
            what = wait_for('it is full', full, explain=h.log_tail)[0]
            sick(h, what, 'refused', 'max_sessions')
        finally:
            for s in taken:
                s.close()
        wait_for('all listeners have room', lambda: degraded(h) == {})
        well(h, what)


def test_damage_in_the_spool():
    h = Host(f'route default {{ via = "127.0.0.1:{host.free_port()}" }}', relay_from=['127.0.0.0/8'])
    h.start()
    try:
        for _ in range(3):
            h.send('x@far.test')
        h.stop()
        seg = next((h.dir / 'spool/seg').glob('*.seg'))
        data = bytearray(seg.read_bytes())
        at = [m.start() for m in re.finditer(rb'MANSIO1 ', data)]
        data[at[1] + 120] ^= 0xff   # within the first record's data, or its line
        seg.write_bytes(data)
        for side in (h.dir / 'spool').rglob('*.idx'):
            side.unlink()
        h.start()
        sick(h, 'spool', 'damaged', 'backup')
    finally:
        h.stop()
        shutil.rmtree(h.dir)
