"""test_check.py - `mtactl check` finds what would not work, with file:line and what mends it; and a reload of each kind of
broken configuration is refused while what runs goes on untouched"""
import json, os, shutil, socket, subprocess

import pytest

import host
from host import Host, free_port, wait_for
from tls import Authority, crypted

ROOT = pytest.mark.skipif(not host.IS_ROOT, reason='users and owners are looked at under root')


def ctl(h, *args):
    return subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *args], capture_output=True, text=True,
                          timeout=180)


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mail.demo.test', days=300)
    a.host('other.test', days=300)
    a.host('old.test', 'mail.demo.test', days=-1)
    return a


ALIASES = 'map aliases { type = aliases source = "@DIR@/etc/aliases" }\naddress { aliases = aliases }\n'
TLS = 'tls { certificate = "%s.pem" key = "%s.key" }\nlisten more { address = [ "127.0.0.1:@FREE@" ] tls = offer }\n'


def prepared(tmp_path, authority, conf, **kw):
    conf = conf.replace('@CA@', str(authority.dir)).replace('@FREE@', str(free_port()))
    h = Host(conf, base=tmp_path, **kw)
    h.write()
    (tmp_path / 'etc/aliases').write_text('postmaster: root\nroot: user@demo.test\n')
    return h


def line_of(h, text):
    lines = (h.dir / 'etc/mansio.conf').read_text().splitlines()
    return next(i + 1 for i, l in enumerate(lines) if l.startswith(text))


def test_a_good_configuration(tmp_path, authority):
    h = prepared(tmp_path, authority, ALIASES + TLS % (('@CA@/mail.demo.test',) * 2))
    p = ctl(h, 'check')
    assert p.returncode == 0 and p.stdout.endswith('is in order\n'), p
    with h:
        # What the host itself listens on is not taken by somebody else.
        p = ctl(h, 'check')
        assert p.returncode == 0 and 'is in order' in p.stdout, p
        assert json.loads(ctl(h, '--json', 'check').stdout) == {'rows': [], 'code': 0, 'message': f'{h.dir}/etc/mansio.conf is in order'}


# name, configuration, exit code, level, where (a word of the line of the configuration, or a file and a line), words
CASES = [
    ('no certificate', TLS % ('@CA@/none', '@CA@/none'), 78, 'error', 'tls {', ['none.pem', 'No such file']),
    ('key of another', TLS % ('@CA@/mail.demo.test', '@CA@/other.test'), 78, 'error', 'tls {', ['does not belong to the certificate']),
    ('it is over', TLS % (('@CA@/old.test',) * 2), 1, 'fault', 'tls {', ['is over since', 'renew it']),
    ('another name', TLS % (('@CA@/other.test',) * 2), 0, 'advice', 'tls {', ['no certificate holds the name mail.demo.test']),
    ('open key', TLS % ('@DIR@/etc/open', '@DIR@/etc/open'), 1, 'fault', 'tls {', ['readable by everybody', 'chmod o-r']),
    ('port taken', 'listen busy { address = [ "127.0.0.1:@BUSY@" ] }', 78, 'error', 'listen busy', ['Address already in use', 'python']),
    ('foreign address', 'listen far { address = [ "192.0.2.7:@FREE@" ] }', 78, 'error', 'listen far', ['does not have that address']),
    ('open relay', 'relay { from = [ "8.0.0.0/7" ] }', 1, 'fault', 'relay {', ['8.0.0.0/7', 'open relay']),
    ('open relay to all', 'relay { from = [ "0.0.0.0/0" ] }', 78, 'error', 'relay {', ['open relay']),
    ('open relay 6', 'relay { from = [ "2000::/3" ] }', 1, 'fault', 'relay {', ['open relay']),
    ('no root alias', ALIASES, 0, 'advice', 'etc/aliases', ['root has no alias', 'root: you@']),
    ('alias loop', ALIASES, 1, 'fault', 'etc/aliases:3', ['closes a loop']),
    ('alias twice', ALIASES, 1, 'fault', 'etc/aliases:4', ['line 1', 'never used']),
    ('an alias with a domain', ALIASES, 78, 'error', 'etc/aliases:2', ['virtual']),
    ('broken source', 'map x { type = text source = "@DIR@/etc/broken" }', 78, 'error', 'etc/broken:2', ['']),
    ('no source', 'map x { type = text source = "@DIR@/etc/none" }', 78, 'error', 'map x', ['No such file']),
    ('no program', 'map p { type = inline entries = [ "a@demo.test x" ] }\n'
                   'mailbox p { lookup = p method = pipe user = nobody command = [ /usr/bin/not-there ] }', 1, 'fault', 'mailbox p {', ['/usr/bin/not-there']),
    pytest.param('no user', 'map p { type = inline entries = [ "a@demo.test x" ] }\n'
                 'mailbox p { lookup = p method = pipe user = nobody-at-all command = [ /bin/cat ] }', 78, 'error', 'mailbox p {',
                 ['nobody-at-all', 'useradd'], marks=ROOT),
    pytest.param('no group', 'users { drop = no-such-group }', 78, 'error', 'users {', ['groupadd'], marks=ROOT),
    ('no root directory', 'mailbox v { lookup = users root = "@DIR@/gone" }', 78, 'error', 'mailbox v', ['gone', 'No such file']),
    pytest.param('foreign root directory', 'mailbox v { lookup = users root = "@DIR@/foreign" }', 1, 'fault', 'mailbox v', ['chown mansio-vmail'], marks=ROOT),
    ('open secrets', TLS % (('@CA@/mail.demo.test',) * 2) + 'map logins { type = text source = "@DIR@/etc/logins" }\nauth { users = logins }', 1, 'fault',
     'map logins', ['secrets of logins', 'chmod o-r']),
    pytest.param('hidden configuration', '', 1, 'fault', 'etc/mansio.conf', ['takes no mail', 'chgrp mansio-drop'], marks=ROOT),
    ('local name', '', 0, 'advice', 'hostname', ['mail.demo.local']),
]


@pytest.mark.parametrize('name, conf, code, level, where, words', CASES)
def test_what_is_found(tmp_path, authority, name, conf, code, level, where, words):
    with socket.socket() as busy:
        busy.bind(('127.0.0.1', 0))
        busy.listen()
        h = prepared(tmp_path, authority, conf.replace('@BUSY@', str(busy.getsockname()[1])),
                     **({'hostname': 'mail.demo.local'} if name == 'local name' else {}))
        etc = tmp_path / 'etc'
        shutil.copy(authority.dir / 'mail.demo.test.both.pem', etc / 'open.pem')
        shutil.copy(authority.dir / 'mail.demo.test.key', etc / 'open.key')
        (etc / 'open.key').chmod(0o644)
        (etc / 'broken').write_text('a b\n"unclosed c\n')
        (etc / 'logins').write_text(f'dad {crypted("x")}\n')
        (tmp_path / 'foreign').mkdir()
        if name.startswith('hidden'):
            (etc / 'mansio.conf').chmod(0o640)
        if name.startswith('alias'):
            (etc / 'aliases').write_text('root: bob\nBob: robert\nrobert: bob\nroot: eve\n')
        if name == 'an alias with a domain':
            (etc / 'aliases').write_text('root: bob\na@demo.test: bob\n')
        if name == 'no root alias':
            (etc / 'aliases').write_text('postmaster: user@demo.test\n# root: x\n')
        p = ctl(h, 'check')
        j = json.loads(ctl(h, '--json', 'check').stdout)
    assert p.returncode == code == j['code'], (p, j)
    at = f'{etc}/mansio.conf:{line_of(h, where)}' if 'etc/' not in where else f'{tmp_path}/{where}'
    found = [r for r in j['rows'] if r['level'] == level and r['where'].startswith(at) and all(w in r['problem'] + r['fix'] for w in words)]
    assert found, j
    assert at in p.stdout + p.stderr and found[0]['problem'] in p.stdout + p.stderr, p


def test_mistakes_of_the_language_as_json(tmp_path, authority):
    h = prepared(tmp_path, authority, 'lisen x { }')
    j = json.loads(ctl(h, '--json', 'check').stdout)
    assert j['code'] == 78 and j['rows'][0]['level'] == 'error' and 'did you mean "listen"' in j['rows'][0]['problem']
    other = tmp_path / 'other.conf'
    other.write_text('hostname = mail.demo.test\ndomains = [ demo.test ]\nprocesses { runtime = "/nowhere" }\n')
    assert ctl(h, 'check', str(other)).returncode == 0
    assert ctl(h, 'check', str(tmp_path / 'none.conf')).returncode == 78


# ---- a reload checks all of it first ----

BROKEN = [
    ('unknown name', 'nonsense = 1', 'unknown name'),
    ('unclosed', 'relay { from = [ "10.0.0.0/8"', 'mansio.conf:'),
    ('wrong type', 'queue { max_jobs = many }', 'mansio.conf:'),
    ('out of range', 'processes { smtpd = 100000 }', 'out of range'),
    ('map without a name', 'address { aliases = nomap }', 'there is no map'),
    ('section twice', 'listen smtp { address = [ "127.0.0.1:@FREE@" ] }', 'stands already'),
    ('tls without certificate', 'listen t { address = [ "127.0.0.1:@FREE@" ] tls = offer }', 'certificate'),
    ('certificate missing', TLS % ('@CA@/none', '@CA@/none'), 'No such file'),
    ('certificate is none', TLS % ('@DIR@/etc/users', '@DIR@/etc/users'), 'mansio.conf:'),
    ('key of another', TLS % ('@CA@/mail.demo.test', '@CA@/other.test'), 'does not belong'),
    ('port taken', 'listen busy { address = [ "127.0.0.1:@BUSY@" ] }', 'cannot listen on'),
    ('address not here', 'listen far { address = [ "192.0.2.7:@FREE@" ] }', 'cannot listen on'),
    ('source missing', 'map x { type = text source = "@DIR@/etc/none" }', 'No such file'),
    ('source broken', 'map x { type = text source = "@DIR@/etc/broken" }', 'etc/broken:2'),
    ('root missing', 'mailbox v { lookup = users root = "@DIR@/gone" }', 'gone'),
    ('include missing', 'include "@DIR@/etc/none.conf"', 'none.conf'),
    ('domain that is not own', 'mailbox d { domains = [ other.test ] }', 'not one of the own domains'),
    ('overlong command', 'mailbox c { method = command command = [ relative ] }', 'mansio.conf:'),
    pytest.param('user missing', 'users { smtpd = no-such-user }', 'no-such-user', marks=ROOT),
    pytest.param('group missing', 'mailbox g { lookup = users root = "@DIR@/mail" owner = mansio-vmail group = no-such-group }', 'no-such-group', marks=ROOT),
    pytest.param('writable by others', None, 'written by others', marks=ROOT),
    ('needs a restart', 'processes { mapd_workers = 7 }', 'needs a restart'),
]


@pytest.fixture(scope='module')
def live(authority):
    h = Host()
    with h:
        (h.dir / 'etc/broken').write_text('a b\n"unclosed c\n')
        yield h


def merged(h, extra):
    """A section that exists already is replaced: a second one of it would be another mistake."""
    text = (h.dir / 'etc/mansio.conf').read_text()
    for kind in ('processes', 'queue', 'relay', 'users'):
        if extra.startswith(kind + ' {') and extra.count('{') == 1 and '}' in extra:
            old = next((l for l in text.splitlines() if l.startswith(kind + ' {')), None)
            if old:
                return text.replace(old, old.rstrip(' }') + ' ' + extra.split('{', 1)[1])
    return text + extra + '\n'


@pytest.mark.parametrize('name, extra, words', BROKEN)
def test_a_broken_configuration_is_refused_and_changes_nothing(live, authority, name, extra, words):
    conf = live.write()
    good = conf.read_text()
    # The reload that ended the case before drains its old generation: only what is left then may be asked to stay.
    wait_for('one generation', lambda: len(live.pids().get('cleanup', [])) == 1)
    pids = live.pids()
    with socket.socket() as busy:
        busy.bind(('127.0.0.1', 0))
        busy.listen()
        if extra is None:
            conf.chmod(0o666)
        else:
            extra = extra.replace('@CA@', str(authority.dir)).replace('@FREE@', str(free_port())).replace('@DIR@', str(live.dir))
            conf.write_text(merged(live, extra.replace('@BUSY@', str(busy.getsockname()[1]))))
        p = ctl(live, 'reload')
    assert p.returncode in (75, 78) and words in p.stdout + p.stderr, p
    assert 'mansio.conf' in p.stdout + p.stderr or 'etc/broken:2' in p.stderr or 'restart' in p.stdout, p
    # What runs is what ran: the same processes (those of a try that failed late are gone), the same listener, mail arrives.
    assert live.pids()['smtpd'] and set(pids['smtpd']) <= set(live.pids()['smtpd']) and set(pids['mapd']) == set(live.pids()['mapd'])
    before = len(live.mailbox())
    live.send('user@demo.test')
    live.wait_mail(count=before + 1)
    rows = [r for r in json.loads(ctl(live, '--json', 'status').stdout)['rows'] if r['kind'] == 'degraded']
    assert [r['what'] for r in rows] == ['configuration'], rows
    conf.chmod(0o644)
    conf.write_text(good)
    p = ctl(live, 'reload')
    assert p.returncode == 0, p
    assert ctl(live, 'status').returncode == 0
