"""mtactl passwd: logins set, removed and listed while the host runs; what clients may do then; files that stay whole"""
import base64, hashlib, hmac, json, os, pty, select, signal, smtplib, subprocess

import pytest

import host
from host import DEADLINE, Host, free_port
from tls import Authority

SECRET = 'correct-horse-9'


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mail.demo.test')
    return a


class Login(Host):
    def __init__(self, authority, map_='type = text source = "@DIR@/etc/logins"', mechanisms='[ PLAIN ]', users='logins'):
        self.sub = free_port()
        super().__init__(conf=f'tls {{ certificate = "{authority.dir}/mail.demo.test.pem" key = "{authority.dir}/mail.demo.test.key" }}\n'
                              f'map logins {{ {map_} }}\n'
                              f'auth {{ users = "{users}" realm = demo.test mechanisms = {mechanisms} }}')
        self.authority = authority
        self.listen = (f'listen smtp {{ address = [ "127.0.0.1:{self.port}" ] }}\n'
                       f'listen submission {{ address = [ "127.0.0.1:{self.sub}" ] tls = require auth = require submission = yes }}')

    def write(self):
        conf = super().write()
        self.logins = self.dir / 'etc/logins'
        if not self.logins.exists():
            self.logins.write_text('# who may send\n')
            self.logins.chmod(0o600)
        return conf

    def passwd(self, *args, secret=None, code=0):
        p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(self.dir / 'etc/mansio.conf'), 'passwd', *args, '--json'],
                           input=(secret + '\n') if secret else '', capture_output=True, text=True, timeout=90)
        assert p.returncode == code, (args, p)
        assert not secret or secret not in p.stdout + p.stderr
        return json.loads(p.stdout) if p.stdout else p.stderr

    def may(self, login, secret):
        with smtplib.SMTP('127.0.0.1', self.sub, timeout=DEADLINE) as s:
            s._host = 'mail.demo.test'
            s.starttls(context=self.authority.context())
            try:
                s.login(login, secret)
                return True
            except smtplib.SMTPAuthenticationError:
                return False


def test_set_list_delete_while_the_host_runs(authority):
    with Login(authority) as h:
        assert not h.may('dad', SECRET)
        r = h.passwd('--stdin', 'Dad', secret=SECRET)
        assert 'running host knows' in r['message'] and r['rows'] == [
            {'kind': 'login', 'login': 'dad@demo.test', 'change': 'added', 'secret': 'yescrypt'}]
        assert h.may('dad', SECRET) and h.may('dad@demo.test', SECRET) and not h.may('dad', SECRET + 'x')
        assert h.passwd('--stdin', 'dad', secret='another-1')['rows'][0]['change'] == 'replaced'
        assert h.may('dad', 'another-1') and not h.may('dad', SECRET)
        h.passwd('--scram', '--stdin', 'mum@demo.test', secret=SECRET)
        assert h.may('mum', SECRET)
        logins = h.passwd('--list')['rows']
        assert [(x['login'], x['secret'], x['origin']) for x in logins] == [
            ('dad@demo.test', 'yescrypt', f'{h.logins}:2'), ('mum@demo.test', 'scram-sha-256', f'{h.logins}:3')]
        assert 'hash' not in json.dumps(logins) and '$y$' not in json.dumps(logins)
        h.passwd('--delete', 'dad')
        assert not h.may('dad', 'another-1') and h.may('mum', SECRET)
        h.passwd('--delete', 'dad', code=65)
        assert h.logins.stat().st_mode & 0o7777 == 0o600 and h.logins.read_text().startswith('# who may send\n')
        assert SECRET not in h.log() and 'another-1' not in h.log()


def test_scram_is_the_default_where_it_is_offered(authority):
    with Login(authority, mechanisms='[ SCRAM-SHA-256, PLAIN ]') as h:
        assert h.passwd('--stdin', 'dad', secret=SECRET)['rows'][0]['secret'] == 'scram-sha-256'
        assert h.may('dad', SECRET)
        stored = h.logins.read_text().split('}')[1].strip()
        iterations, salt, key, server = stored.split(',')
        salted = hashlib.pbkdf2_hmac('sha256', SECRET.encode(), base64.b64decode(salt), int(iterations))
        assert base64.b64decode(server) == hmac.digest(salted, b'Server Key', 'sha256')
        assert base64.b64decode(key) == hashlib.sha256(hmac.digest(salted, b'Client Key', 'sha256')).digest()
        h.passwd('--scram', '--stdin', 'mum', secret='pässword', code=65)
        h.passwd('--crypt', '--stdin', 'mum', secret='pässword')
        assert h.passwd('--list')['rows'][1]['secret'] == 'yescrypt'


def test_a_compiled_map_and_a_file_that_is_not_there_yet(authority):
    with Login(authority, map_='type = lmdb source = "@DIR@/etc/logins"') as h:
        h.passwd('--stdin', 'dad', secret=SECRET)
        assert h.may('dad', SECRET)
        h.stop()
        h.logins.unlink()
        r = h.passwd('--stdin', 'mum', secret=SECRET)
        assert 'not running' in r['message'] and h.logins.stat().st_mode & 0o7777 == 0o600
        h.start()
        assert h.may('mum', SECRET)


def test_many_at_once_lose_nobody(authority):
    h = Login(authority)
    h.write()
    tool = [str(host.BUILD / 'bin/mtactl'), '--wait', '60', '-c', str(h.dir / 'etc/mansio.conf'), 'passwd', '--scram', '--stdin']
    started = [subprocess.Popen([*tool, f'u{i}'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for i in range(16)]
    for p in started:
        out, _ = p.communicate(b'secret-word\n', timeout=90)
        assert p.returncode == 0, out
    assert {x['login'] for x in h.passwd('--list')['rows']} == {f'u{i}@demo.test' for i in range(16)}
    assert not [p for p in (h.dir / 'etc').iterdir() if '.new-' in p.name]


def test_asked_twice_without_echo(authority):
    h = Login(authority)
    h.write()

    def session(*words):
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(str(host.BUILD / 'bin/mtactl'), ['mtactl', '-c', str(h.dir / 'etc/mansio.conf'), 'passwd', '--scram', 'dad'])
        seen = b''

        def more():
            assert select.select([fd], [], [], DEADLINE)[0], seen
            return os.read(fd, 1000)

        try:
            for i, word in enumerate(words):
                while seen.count(b'dad@demo.test: ') <= i:
                    seen += more()
                os.write(fd, word)
            while got := more():
                seen += got
        except OSError:
            pass
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()

    code, seen = session(b'typed-secret\n', b'typed-secret\n')
    assert code == 0 and 'was added' in seen and 'typed' not in seen
    code, seen = session(b'typed-secret\n', b'other-secret\n')
    assert code == 65 and 'not the same' in seen and 'secret\r' not in seen
    code, seen = session(b'\x03')
    assert code == -2
    assert len(h.passwd('--list')['rows']) == 1


def test_what_is_refused(authority):
    h = Login(authority)
    h.write()
    for args, code in ((['--list', 'x'], 64), (['--delete', '--stdin', 'x'], 64), (['a', 'b'], 64), (['--nonsense', 'a'], 64),
                       (['--delete'], 64), (['dad'], 64), (['--stdin', 'a b'], 65), (['--stdin', '#a'], 65), (['--stdin', 'dad'], 66)):
        h.passwd(*args, code=code)
    for secret in ('a\tb', 'x' * 600):
        h.passwd('--stdin', 'dad', secret=secret, code=65)
    assert h.logins.read_text() == '# who may send\n'
    os.link(h.logins, h.dir / 'etc/other')
    assert 'several names' in h.passwd('--stdin', 'dad', secret=SECRET, code=75)['message']


@pytest.mark.parametrize('map_,users,words', [
    ('type = inline entries = [ "dad x" ]', 'logins', 'mansio.conf:'),
    ('type = lmdb syntax = aliases source = "@DIR@/etc/logins"', 'logins', 'type = text'),
    ('type = text source = "@DIR@/etc/logins"', '', 'auth { users = logins }'),
])
def test_maps_that_cannot_be_edited(authority, map_, users, words):
    h = Login(authority, map_=map_, users=users)
    h.write()
    # nothing is asked of a listener that wants logins which nobody could have
    conf = h.dir / 'etc/mansio.conf'
    conf.write_text(conf.read_text().replace('auth = require submission = yes', ''))
    assert words in h.passwd('--stdin', 'dad', secret=SECRET, code=78)['message']


@pytest.mark.root
def test_somebody_else_may_not(authority):
    h = Login(authority)
    h.write()
    for d in (h.dir, h.dir / 'etc'):
        d.chmod(0o755)
    for args, words in ((['--list'], ''), (['--delete', 'dad'], '')):
        p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), 'passwd', *args],
                           capture_output=True, text=True, user='nobody')
        assert p.returncode == 77 and 'Permission denied' in p.stderr, p
