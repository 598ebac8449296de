"""test_history.py - configurations that were accepted are kept, shown, compared, and can be gone back to; the paths of a
configuration with what is wrong with them"""
import json, os, subprocess

import pytest

import host
from host import Host, wait_for
from tls import Authority, crypted


def ctl(h, *args, code=0):
    """In words and as JSON: (text, rows)."""
    base = [str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf')]
    p = subprocess.run([*base, *args], capture_output=True, text=True, timeout=180)
    assert p.returncode == code, (args, p)
    if args[0] == 'reload':
        return p.stdout + p.stderr, []
    j = subprocess.run([*base, '--json', *args], capture_output=True, text=True, timeout=180)
    assert j.returncode == code, (args, j)
    parsed = json.loads(j.stdout)
    assert parsed['code'] == code
    return p.stdout + p.stderr, parsed['rows']


def reload_as(h, **fields):
    for k, v in fields.items():
        setattr(h, k, v)
    h.write()
    ctl(h, 'reload')


def wait_banner(h, name):
    """The old generation may still take a connection in the moment in which the new one works."""
    wait_for(f'the banner of {name}', lambda: banner(h) == name)
    return True


def banner(h):
    with h.smtp() as s:
        return s.ehlo('x.test')[1].decode().split()[0]


def test_history_diff_and_the_way_back():
    with Host() as h:
        text, rows = ctl(h, 'config', 'history')
        assert [(r['number'], r['how'], r['running'], r['changed']) for r in rows] == [(1, 'start', 'yes', '')], rows
        assert rows[0]['accepted'] > 1700000000 and '*   1' in text
        assert 'say the same' in ctl(h, 'config', 'diff')[0]
        # The same again is not another one.
        ctl(h, 'reload')
        assert len(ctl(h, 'config', 'history')[1]) == 1
        # A file that was changed and not put in place.
        h.hostname = 'two.demo.test'
        h.write()
        text, rows = ctl(h, 'config', 'diff', code=1)
        assert {'kind': 'change', 'name': 'hostname', 'old': 'mail.demo.test', 'new': 'two.demo.test'} in rows, rows
        assert '- hostname = mail.demo.test' in text and '+ hostname = two.demo.test' in text
        ctl(h, 'reload')
        assert wait_banner(h, 'two.demo.test')
        rows = ctl(h, 'config', 'history')[1]
        assert [(r['number'], r['how'], r['running']) for r in rows] == [(2, 'reload', 'yes'), (1, 'start', 'no')]
        assert rows[0]['by'] == f'uid:{os.getuid()}' and 'hostname' in rows[0]['changed']
        reload_as(h, hostname='three.demo.test', relay_from=('10.1.0.0/16',))
        assert {r['name'] for r in ctl(h, 'config', 'diff', '2', '3', code=1)[1]} >= {'hostname', 'relay.from'}
        # Back, and further back; the files stay as they are.
        files = (h.dir / 'etc/mansio.conf').read_text()
        assert 'works' in ctl(h, 'reload', '--previous')[0]
        assert wait_banner(h, 'two.demo.test') and (h.dir / 'etc/mansio.conf').read_text() == files
        text, rows = ctl(h, 'status', code=1)
        degraded = [r for r in rows if r['kind'] == 'degraded']
        assert [r['what'] for r in degraded] == ['configuration'] and 'number 2' in degraded[0]['problem'], degraded
        assert 'older configuration' in text and 'mtactl reload' in text
        h.wait_log('mtad.reload.previous', configuration='2')
        assert {r['number']: r['running'] for r in ctl(h, 'config', 'history')[1]} == {3: 'no', 2: 'yes', 1: 'no'}
        assert any(r['name'] == 'hostname' for r in ctl(h, 'config', 'diff', code=1)[1])
        ctl(h, 'reload', '--previous')
        assert wait_banner(h, 'mail.demo.test')
        assert 'no configuration before' in ctl(h, 'reload', '--previous', code=65)[0]
        h.send('user@demo.test')
        h.wait_mail()
        # The next normal reload is silent about it again; a restart takes the files, too.
        ctl(h, 'reload')
        assert wait_banner(h, 'three.demo.test')
        ctl(h, 'status')
        ctl(h, 'reload', '--previous')
        h.stop()
        h.relay_from = ('10.1.0.0/16',)
        h.start()
        assert wait_banner(h, 'three.demo.test') and len(ctl(h, 'config', 'history')[1]) == 3
        ctl(h, 'status')
        # A configuration of before that does not work any more is refused like any other.
        h.extra = 'mailbox v { lookup = users root = "@DIR@/old" }'
        (h.dir / 'old').mkdir()
        reload_as(h)
        reload_as(h, extra='')
        (h.dir / 'old').rmdir()
        assert 'old' in ctl(h, 'reload', '--previous', code=78)[0] and wait_banner(h, 'three.demo.test')
        ctl(h, 'config', 'diff', '77', code=65)
        ctl(h, 'config', 'diff', 'nonsense', code=64)


def test_only_the_last_ones_are_kept_and_only_root_reads_them():
    with Host() as h:
        for i in range(23):
            reload_as(h, queue=f'max_jobs = {100 + i}')
        rows = ctl(h, 'config', 'history')[1]
        assert len(rows) == 20 and rows[0]['number'] == 24 and rows[-1]['number'] == 5
        assert all('queue.max_jobs' == r['changed'] for r in rows[:-1]), rows
        d = h.dir / 'state/history'
        assert d.stat().st_mode & 0o7777 == 0o700 and all(f.stat().st_mode & 0o7777 == 0o600 for f in d.iterdir()) and len(list(d.iterdir())) == 20


def test_no_secret_is_kept_or_shown(tmp_path):
    secret = crypted('hunter2')
    a = Authority(tmp_path / 'ca')
    a.host('mail.demo.test', days=300)
    conf = (f'tls {{ certificate = "{a.dir}/mail.demo.test.pem" key = "{a.dir}/mail.demo.test.key" }}\n'
            f'map logins {{ type = inline entries = [ "dad {secret}" ] }}\nauth {{ users = logins }}\n')
    with Host(conf) as h:
        reload_as(h, hostname='two.demo.test')
        reload_as(h, extra=conf.replace('dad', 'mum'))
        shown = ctl(h, 'config', 'diff', '1', '2', code=1)[0] + ctl(h, 'config', 'history')[0] + ctl(h, 'config', 'diff')[0] + ctl(h, 'config')[0]
        kept = ''.join(f.read_text() for f in (h.dir / 'state/history').iterdir())
        assert secret not in shown and secret not in kept and 'hostname' in shown
        assert 'held secrets' in ctl(h, 'reload', '--previous', code=65)[0]


def test_every_path_is_listed_with_what_is_wrong(tmp_path):
    a = Authority(tmp_path / 'ca')
    a.host('mail.demo.test', days=300)
    h = Host(f'tls {{ certificate = "{a.dir}/mail.demo.test.pem" key = "{a.dir}/mail.demo.test.key" }}\n'
             'map logins { type = text source = "@DIR@/etc/logins" }\nauth { users = logins }\ninclude "@DIR@/etc/more.conf"\n')
    h.write()
    (h.dir / 'etc/logins').write_text('dad x\n')
    (h.dir / 'etc/logins').chmod(0o600)
    (h.dir / 'etc/more.conf').write_text('relay { to = [ backup.test ] }\n')
    with h:
        text, rows = ctl(h, 'config', '--files')
        by = {r['path']: r for r in rows}
        for p, what in (('etc/mansio.conf', 'configuration'), ('etc/more.conf', 'configuration'), ('etc/users', 'table'), ('etc/logins', 'logins'),
                        ('spool', 'spool'), ('spool/drop', 'local submission'), ('state/mapd', 'compiled tables'), ('state/history', 'kept configurations'),
                        ('mail', 'mailboxes'), ('log/mansio.log', 'log')):
            assert by[f'{h.dir}/{p}']['what'] == what and not by[f'{h.dir}/{p}']['fault'], (p, rows)
            assert f'{h.dir}/{p}' in text
        assert by[f'{a.dir}/mail.demo.test.key']['what'] == 'key'
        faults = [('etc/logins', 0o644, 'chmod o-r'), ('etc/users', 0o666, 'chmod o-w')]
        if host.IS_ROOT:
            faults += [('spool/drop', 0o755, 'chmod 1730'), ('state/mapd', 0o755, 'chmod 0700')]
        for p, mode, fix in faults:
            path = h.dir / p
            old = path.stat().st_mode & 0o7777
            path.chmod(mode)
            row = next(r for r in ctl(h, 'config', '--files', code=1)[1] if r['path'] == str(path))
            assert row['fault'] and row['fix'] == f'{fix} {path}' and row['mode'] == f'{mode:04o}', row
            path.chmod(old)
        (h.dir / 'etc/logins').rename(h.dir / 'etc/away')
        assert next(r for r in ctl(h, 'config', '--files', code=1)[1] if r['path'].endswith('logins'))['fault'] == 'No such file or directory'
        (h.dir / 'etc/away').rename(h.dir / 'etc/logins')
        ctl(h, 'config', '--files')
