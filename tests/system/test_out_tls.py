"""Deliveries under TLS and with a login: opportunistic and required TLS, smart hosts, and servers that cheat."""
import base64, json, os, re, shutil, socket, ssl, subprocess, threading

import pytest

import fakedns
from host import BUILD, IS_ROOT, ROOT, Host, free_port
from sink import Sink

from tls import Authority, TlsHost
from tlssink import TlsSink

CANARY = 'c4nary-Pa55w0rd'
ZONE = {'far.test': {'MX': ['10 mx1.far.test', '20 mx2.far.test']}, 'mx1.far.test': {'A': ['127.0.0.11']}, 'mx2.far.test': {'A': ['127.0.0.12']},
        'one.test': {'MX': ['10 mx1.far.test']}, 'isp.test': {'A': ['127.0.0.11']}}


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mx1.far.test', 'isp.test')
    a.host('other.test')
    a.host('me.demo.test')
    a.host('ip.test', 'IP:127.0.0.11')
    a.host('late.test', 'isp.test', days=-1)
    a.stranger = Authority(a.dir / 'stranger')
    a.stranger.host('mx1.far.test')
    a.mail = a.host('mail.demo.test')
    return a


class Relay(Host):
    """A host that relays for loopback; route: fields of route default."""

    def __init__(self, route, conf='', zone=ZONE, queue='', secret=None, **kw):
        self.server = fakedns.Server(zone).start()
        super().__init__(relay_from=['127.0.0.0/8'], dns=[self.server.address], conf=f'route default {{ {route} }}\n{conf}', **kw)
        self.queue, self.secret = queue, secret

    def write(self):
        path = super().write()
        if self.secret is not None:
            d = self.dir / 'etc/private'
            d.mkdir(exist_ok=True)
            d.chmod(0o700)
            (d / 'secret').write_text(self.secret + '\n')
            (d / 'secret').chmod(0o600)
        return path

    def mail(self, to='a@far.test'):
        return self.send(to, sender='user@demo.test')

    def deferred(self, qid):
        return self.wait_log('delivery.result', id=qid, status='deferred')

    def delivered(self, qid):
        return self.wait_log('delivery.result', id=qid, status='delivered')


def mtactl(h, *args, code=0):
    r = subprocess.run([str(BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *args], capture_output=True, text=True, timeout=60)
    assert code is None or r.returncode == code, r
    return r.stdout + r.stderr


def mailq(h):
    return mtactl(h, 'mailq')


def login(port, how='require', more='', host='isp.test', user='me@isp.test'):
    """Fields of a route to a smart host with a login, and its section."""
    return (f'via = "{host}:{port}" tls = {how} auth = isp {more}', f'secret isp {{ user = "{user}" file = "@DIR@/etc/private/secret" }}')


# ---- opportunistic ----

def test_offered_tls_is_used_whatever_the_certificate_is(authority):
    with TlsSink(authority.stranger.server('mx1.far.test'), '127.0.0.11') as s, Relay(f'port = {s.port} idle = 0') as h:
        h.delivered(h.mail('a@one.test'))
        m = s.wait_messages(1)[0]
        assert m['tls'] == 'TLSv1.3' and s.in_clear() == ['EHLO', 'STARTTLS']
        assert [line[:4] for secure, line in m['session'].lines if secure][:2] == ['EHLO', 'MAIL']
        line = h.wait_log('relay.session.ended')
        assert 'tls="TLSv1.3 TLS_' in line and 'verified=yes' not in line and 'verified="' in line


def test_good_certificate_is_said_to_be_one(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11') as s, Relay(f'port = {s.port} ca = "{authority.ca}" idle = 0') as h:
        h.delivered(h.mail('a@one.test'))
        assert 'verified=yes' in h.wait_log('relay.session.ended')


@pytest.mark.parametrize('how', ['none', 'refuse'])
def test_no_tls_is_no_reason_to_wait(authority, how):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', how=how) as s, Relay(f'port = {s.port} idle = 0') as h:
        h.delivered(h.mail('a@one.test'))
        assert s.wait_messages(1)[0]['tls'] is None and len(s.sessions) == 1
        assert 'tls=' not in h.wait_log('relay.session.ended')


@pytest.mark.parametrize('how', ['garbage', 'close'])
def test_broken_tls_is_followed_by_plain_text_in_the_same_attempt(authority, how):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', how=how) as s, Relay(f'port = {s.port}') as h:
        qid = h.mail('a@one.test')
        h.delivered(qid)
        assert s.wait_messages(1)[0]['tls'] is None and len(s.sessions) == 2
        assert 'STARTTLS' not in [line for _, line in s.sessions[1].lines]
        h.wait_log('relay.tls.plain', id=qid, dest='one.test')
        assert not h.log_lines('delivery.result', id=qid, status='deferred')


def test_never(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11') as s, Relay(f'port = {s.port} tls = none') as h:
        h.delivered(h.mail('a@one.test'))
        assert s.wait_messages(1)[0]['tls'] is None


def test_one_connection_for_several_messages(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11') as s, Relay(f'port = {s.port} idle = 30s') as h:
        for i in range(3):
            h.delivered(h.mail('a@one.test'))
        assert len(s.wait_messages(3)) == 3 and len(s.sessions) == 1


def test_only_old_tls_is_plain_text(authority):
    old = authority.server('mx1.far.test')
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers('ALL:@SECLEVEL=0')
    with TlsSink(old, '127.0.0.11') as s, Relay(f'port = {s.port}') as h:
        h.delivered(h.mail('a@one.test'))
        assert s.wait_messages(1)[0]['tls'] is None


# ---- required ----

REQUIRE = 'tls = require'


@pytest.mark.parametrize('name,how,words', [
    ('mx1.far.test', 'none', 'does not offer STARTTLS'),
    ('mx1.far.test', 'refuse', '454 4.7.0 TLS is not available'),
    ('mx1.far.test', 'garbage', 'handshake with isp.test'),
    ('other.test', 'ok', 'hostname mismatch'),
    ('late.test', 'ok', 'certificate has expired'),
    ('stranger', 'ok', 'unable to get local issuer certificate'),
])
def test_required_or_it_waits(authority, name, how, words):
    server = authority.stranger.server('mx1.far.test') if name == 'stranger' else authority.server(name)
    with TlsSink(server, '127.0.0.11', how=how) as s, Relay(f'via = "isp.test:{s.port}" {REQUIRE} ca = "{authority.ca}"') as h:
        qid = h.mail()
        line = h.deferred(qid)
        assert words.lower() in line.lower() and re.search(r'dsn=4\.7\.[045] ', line), line
        assert not set(s.in_clear()) - {'EHLO', 'STARTTLS', 'QUIT'} and not s.messages
        assert words.lower() in ' '.join(mailq(h).split()).lower()


def test_required_and_good(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11') as s, Relay(f'via = "isp.test:{s.port}" {REQUIRE} ca = "{authority.ca}" idle = 0') as h:
        h.delivered(h.mail())
        assert s.wait_messages(1)[0]['tls'] == 'TLSv1.3' and 'verified=yes' in h.wait_log('relay.session.ended')


def test_required_of_mx_hosts_tries_the_next_one(authority):
    port = free_port('127.0.0.11')
    authority.host('mx2.far.test')
    with TlsSink(authority.server('other.test'), '127.0.0.11', port) as bad, TlsSink(authority.server('mx2.far.test'), '127.0.0.12', port) as good, \
            Relay(f'port = {port} {REQUIRE}', f'tls {{ ca = "{authority.ca}" }}') as h:
        h.delivered(h.mail())
        assert good.wait_messages(1)[0]['tls'] and not bad.messages and bad.in_clear() == ['EHLO', 'STARTTLS']


def test_names_and_addresses(authority):
    """tls_name overrules the host's name; without any name it is the address; SNI carries a name."""
    asked = []
    context = authority.server('other.test')
    context.sni_callback = lambda sock, name, ctx: asked.append(name)
    with TlsSink(context, '127.0.0.11') as s, Relay(f'via = "127.0.0.11:{s.port}" {REQUIRE} tls_name = other.test ca = "{authority.ca}"') as h:
        h.delivered(h.mail())
    with TlsSink(authority.server('ip.test'), '127.0.0.11') as s, Relay(f'via = "127.0.0.11:{s.port}" {REQUIRE} ca = "{authority.ca}"') as h:
        h.delivered(h.mail())
    assert asked == ['other.test']


def test_implicit(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', implicit=True) as s, \
            Relay(f'via = "isp.test:{s.port}" tls = implicit ca = "{authority.ca}"') as h:
        h.delivered(h.mail())
        assert s.wait_messages(1)[0]['tls'] == 'TLSv1.3' and not s.in_clear()
    with Sink('127.0.0.11') as s, Relay(f'via = "isp.test:{s.port}" tls = implicit ca = "{authority.ca}"') as h:
        assert 'handshake with isp.test' in h.deferred(h.mail())
        assert not s.messages


def test_policy_of_one_route_is_not_lent_to_another(authority):
    """WISHES 16: an open connection under other terms to the same server is not used."""
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11') as s, \
            Relay(f'via = "isp.test:{s.port}" tls = none idle = 1m', f'route strict.test {{ via = "isp.test:{s.port}" tls = require ca = "{authority.ca}" idle = 1m }}') as h:
        h.delivered(h.mail('a@loose.test'))
        h.delivered(h.mail('a@strict.test'))
        h.delivered(h.mail('b@loose.test'))
        assert [m['tls'] for m in s.wait_messages(3)] == [None, 'TLSv1.3', None] and len(s.sessions) == 2


def test_client_certificate(authority):
    with TlsSink(authority.server('mx1.far.test', verify=True), '127.0.0.11') as s:
        with Relay(f'via = "isp.test:{s.port}" {REQUIRE} ca = "{authority.ca}"') as h:
            assert 'certificate' in h.deferred(h.mail())
        with Relay(f'via = "isp.test:{s.port}"') as h:      # TLS 1.3 says so behind the handshake
            h.delivered(h.mail())
            assert s.messages.pop()['tls'] is None
            assert 'certificate' in h.wait_log('relay.tls.plain')
        private = authority.dir / 'private'
        private.mkdir(exist_ok=True)
        shutil.copy(authority.dir / 'me.demo.test.key', private / 'key.pem')
        (private / 'key.pem').chmod(0o600)
        private.chmod(0o700)
        with Relay(f'via = "isp.test:{s.port}" {REQUIRE} ca = "{authority.ca}" certificate = "{authority.dir}/me.demo.test.pem" key = "{private}/key.pem"') as h:
            h.delivered(h.mail())
            subject = s.wait_messages(1)[0]['session'].certificate['subject']
            assert (('commonName', 'me.demo.test'),) in subject


# ---- INCIDENTS 6 and 9 ----

@pytest.mark.parametrize('policy', ['offer', 'require'])
def test_injected_plain_text_ends_the_connection(authority, policy):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', how='inject') as s, Relay(f'via = "isp.test:{s.port}" tls = {policy} ca = "{authority.ca}"') as h:
        assert 'in the clear where TLS begins' in h.deferred(h.mail())
        assert set(s.in_clear()) <= {'EHLO', 'STARTTLS'} and not s.messages


@pytest.mark.parametrize('how', ['notify', 'reset', 'cleartext'])
@pytest.mark.parametrize('at', ['EHLO', 'MAIL', 'DATA', '.'])
def test_what_follows_the_end_of_tls_is_nobodys_word(authority, how, at):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', how=how, at=at) as s, \
            Relay(f'via = "isp.test:{s.port}" {REQUIRE} ca = "{authority.ca}"') as h:
        line = h.deferred(h.mail())
        assert 'yes, in the clear' not in line
        assert ('it may have been delivered' in line) == (at == '.')
        assert not set(s.in_clear()) - {'EHLO', 'STARTTLS'}


def test_clear_text_right_behind_the_handshake(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', how='clear') as s, Relay(f'via = "isp.test:{s.port}" {REQUIRE} ca = "{authority.ca}"') as h:
        assert 'injected' not in h.deferred(h.mail())
        assert not s.messages


VECTORS = ROOT.parent / 'shared/data/starttls-client/cases.json'


class Vector:
    """A misbehaving server of "Why TLS is better without STARTTLS" (USENIX Security 2021)."""

    def __init__(self, case, context):
        self.case, self.context, self.clear, self.secure = case, context, [], []
        self.listener = socket.create_server(('127.0.0.11', 0), backlog=50)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=[s], daemon=True).start()

    def talk(self, s):
        try:
            self.play(s)
        except (OSError, ValueError):
            pass
        finally:
            s.close()

    def play(self, s):
        case, tls, override = self.case, False, {k.upper(): v for k, v in self.case['override_response'].items()}
        s.sendall(case['greeting'].encode())
        data, buf = False, b''
        while True:
            while b'\n' not in buf:
                got = s.recv(4096)
                if not got:
                    return
                buf += got
            line, buf = buf.split(b'\n', 1)
            verb = line.decode('latin-1').strip().split(' ')[0].upper()
            if data:
                if verb == '.':
                    data = False
                    s.sendall(b'250 taken\r\n')
                continue
            (self.secure if tls else self.clear).append(verb)
            if tls and verb in [v.upper() for v in case['ignore_commands_tls']]:
                continue
            if verb in override and not tls:
                s.sendall(override[verb].encode())
            elif verb == 'EHLO':
                caps = ['x.test', *(case['capabilities_tls'] if tls else case['capabilities'])]
                s.sendall(''.join(f'250{"-" if i < len(caps) - 1 else " "}{c}\r\n' for i, c in enumerate(caps)).encode())
            elif verb == 'STARTTLS':
                s.sendall(case['stls_response'].encode())
                if case['stls_make_transition']:
                    s, tls, buf = self.context.wrap_socket(s, server_side=True), True, b''
            elif verb == 'DATA':
                data = True
                s.sendall(b'354 go\r\n')
            elif verb == 'QUIT':
                return s.sendall(b'221 bye\r\n')
            else:
                s.sendall(b'250 ok\r\n')


@pytest.mark.skipif(not VECTORS.exists(), reason='the shared vectors are not here')
@pytest.mark.parametrize('policy', ['offer', 'require'])
def test_servers_that_cheat(authority, policy):
    servers = [Vector(c, authority.server('ip.test')) for c in json.loads(VECTORS.read_text()).values()]
    routes = ''.join(f'route v{i}.test {{ via = "127.0.0.11:{v.port}" tls = {policy} ca = "{authority.ca}" timeout = 3s }}\n' for i, v in enumerate(servers))
    with Relay('', routes) as h:
        for i in range(len(servers)):
            h.mail(f'a@v{i}.test')
        h.wait_log('delivery.result', count=len(servers))
        for i, v in enumerate(servers):
            said = set(v.clear) & {'MAIL', 'RCPT', 'DATA', 'AUTH', 'RSET'}   # a ClientHello may be among the rest
            assert policy == 'offer' or not said, (i, v.case, v.clear)
            delivered = bool(h.log_lines('delivery.result', to=f'a@v{i}.test', status='delivered'))
            assert not delivered or policy == 'offer' or v.case['stls_make_transition'], v.case
            assert not h.log_lines('delivery.result', to=f'a@v{i}.test', status='failed')
            assert 'AUTH' not in v.clear + v.secure
        assert len(h.pids()['deliverd']) == 2 and not h.log_lines('mtad.child.ended')


# ---- logins ----

@pytest.mark.parametrize('mechanisms', [['PLAIN'], ['LOGIN'], ['SCRAM-SHA-256'], ['CRAM-MD5', 'LOGIN', 'PLAIN', 'SCRAM-SHA-256']])
def test_login(authority, mechanisms):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', auth=mechanisms, clear_auth=['PLAIN'], users={'me@isp.test': CANARY}, need_auth=True) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret=CANARY) as h:
            h.delivered(h.mail())
            m = s.wait_messages(1)[0]
            assert m['user'] == 'me@isp.test' and set(s.in_clear()) == {'EHLO', 'STARTTLS'}
            used = [line.split()[1] for _, line in m['session'].lines if line.startswith('AUTH')]
            assert used == ['SCRAM-SHA-256' if 'SCRAM-SHA-256' in mechanisms else mechanisms[-1]]


def test_login_in_the_file_and_implicit(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', auth=['PLAIN'], implicit=True, users={'me': 'a:b c'}, need_auth=True) as s:
        route, _ = login(s.port, 'implicit', f'ca = "{authority.ca}"')
        with Relay(route, 'secret isp { file = "@DIR@/etc/private/secret" }', secret='me:a:b c') as h:
            h.delivered(h.mail())


def test_a_server_that_does_not_know_the_password_is_not_believed(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', how='liar', auth=['SCRAM-SHA-256'], users={'me@isp.test': CANARY}) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret=CANARY) as h:
            assert 'does not prove that it knows the password' in h.deferred(h.mail())
            assert not s.messages


def test_wrong_password_makes_mail_wait_and_noise(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', auth=['PLAIN'], users={'me@isp.test': CANARY}, need_auth=True) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret='wr0ng-' + CANARY, queue='retry = [ 1s ]') as h:
            line = h.deferred(h.mail())
            assert 'dsn=4.7.8' in line and '535 5.7.8' in line
            event = h.wait_log('relay.login.refused', secret='isp')
            assert 'rule=' in event and 'mansio.conf:' in event
            assert '535 5.7.8' in mailq(h)
            # Not again for each message: servers lock accounts.
            other = h.mail('b@far.test')
            assert '535 5.7.8' in h.deferred(other)
            assert len([1 for x in s.sessions for _, line in x.lines if line.startswith('AUTH')]) == 1
            assert 'login isp' in mtactl(h, 'status', code=None)
            # Mended and reloaded: it goes out.
            (h.dir / 'etc/private/secret').write_text(CANARY + '\n')
            mtactl(h, 'reload')
            assert {m['user'] for m in s.wait_messages(2)} == {'me@isp.test'}


@pytest.mark.parametrize('reply,words', [('454 4.7.0 try later', '454 4.7.0'), ('421 4.3.2 bye', '421 4.3.2'), ('334 !!!', 'challenge makes no sense'),
                                         ('235', 'welcome')])
def test_odd_answers_to_auth(authority, reply, words):
    mechanism = 'SCRAM-SHA-256' if reply == '235' else 'PLAIN'
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', auth=[mechanism], auth_reply='235 2.7.0 welcome' if reply == '235' else reply) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret=CANARY) as h:
            line = h.deferred(h.mail())
            assert ('before it has proved' if reply == '235' else words) in line
            assert not s.messages and CANARY not in h.log()


def test_no_auth_and_no_tls_give_no_password(authority):
    """AUTH that is offered in the clear only, by whoever stripped STARTTLS."""
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', how='none', clear_auth=['PLAIN', 'LOGIN']) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret=CANARY) as h:
            assert 'does not offer STARTTLS' in h.deferred(h.mail())
            assert 'AUTH' not in s.in_clear()
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11') as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret=CANARY) as h:
            assert 'offers no AUTH' in h.deferred(h.mail())
            assert not s.messages


def test_login_on_this_very_host_needs_no_tls():
    with TlsSink(clear_auth=['LOGIN'], users={'me@isp.test': CANARY}, need_auth=True) as s:
        route, section = login(s.port, 'none', host='127.0.0.1')
        with Relay(route, section, secret=CANARY) as h:
            h.delivered(h.mail())
            assert s.wait_messages(1)[0]['user'] == 'me@isp.test'


def test_our_own_server_as_smart_host(authority):
    hashed = subprocess.run(['openssl', 'passwd', '-6', CANARY], capture_output=True, text=True, check=True).stdout.strip()
    conf = f'map logins {{ type = inline  entries = [ "me@mail.demo.test {hashed}" ] }}\nauth {{ users = logins }}\n'
    with TlsHost(authority, auth='require', conf=conf) as smart:
        for port, how in ((smart.sub, 'require'), (smart.subs, 'implicit')):
            route, section = login(port, how, f'tls_name = mail.demo.test ca = "{authority.ca}"', '127.0.0.1', 'me@mail.demo.test')
            before = len(smart.mailbox('user'))
            with Relay(route, section, secret=CANARY, domains=['elsewhere.test'], hostname='client.elsewhere.test', demo_mailbox=False) as h:
                qid = h.send('user@demo.test', sender='me@mail.demo.test')
                h.delivered(qid)
                assert b'with ESMTPSA' in smart.wait_mail('user', before + 1)[-1]
                assert CANARY not in h.log()
        assert CANARY not in smart.log()


# ---- secrets ----

def test_the_password_is_nowhere_but_in_its_file(authority):
    """INCIDENTS 24: everything that the host says and keeps, while the login works and while it does not."""
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', auth=['PLAIN', 'LOGIN'], users={'me@isp.test': CANARY}, need_auth=True) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret=CANARY) as h:
            h.delivered(h.mail())
            s.users = {}
            s.sessions[0].plain.shutdown(socket.SHUT_RDWR)
            h.wait_log('relay.session.ended')
            h.deferred(h.mail('b@far.test'))
            out = ''
            for args in (['config'], ['status'], ['status', '--json'], ['queue', 'list'], ['check'], ['sandbox'], ['mailq']):
                out += mtactl(h, *args, code=None)
            assert 'secret isp' in out
            needles = [CANARY.encode(), base64.b64encode(CANARY.encode()), base64.b64encode(b'\0me@isp.test\0' + CANARY.encode())]
            places = [out.encode(), h.log().encode()]
            for base in ('spool', 'state', 'run', 'mail'):
                places += [p.read_bytes() for p in (h.dir / base).rglob('*') if p.is_file()]
            if IS_ROOT:
                for name, pids in h.pids().items():
                    for pid in pids:
                        places.append(open(f'/proc/{pid}/environ', 'rb').read() + open(f'/proc/{pid}/cmdline', 'rb').read())
            assert not [n for n in needles for p in places if n in p]


@pytest.mark.skipif(not IS_ROOT, reason='reads the memory of other users\' processes')
def test_only_deliverd_knows_the_password(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', auth=['PLAIN'], users={'me@isp.test': CANARY}, need_auth=True) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret=CANARY) as h:
            h.delivered(h.mail())
            for name, pids in h.pids().items():
                if name == 'deliverd':
                    continue
                for pid in pids:
                    fds = os.listdir(f'/proc/{pid}/fd')
                    for fd in fds:
                        try:
                            target = os.readlink(f'/proc/{pid}/fd/{fd}')
                            if 'memfd:' in target:
                                assert CANARY.encode() not in open(f'/proc/{pid}/fd/{fd}', 'rb').read(), (name, target)
                        except OSError:
                            pass


def test_a_secret_that_all_can_read_is_told(authority):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', auth=['PLAIN'], users={'me@isp.test': CANARY}, need_auth=True) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        h = Relay(route, section, secret=CANARY)
        write = h.write

        def open_one():
            path = write()
            (h.dir / 'etc/private/secret').chmod(0o644)
            return path
        h.write = open_one
        with h:
            line = h.wait_log('mtad.secret.open')
            assert 'mansio.conf:' in line and 'etc/private/secret' in line
            out = mtactl(h, 'check', code=None)
            assert re.search(r'mansio.conf:\d+.*etc/private/secret: the password is readable by everybody; chmod o-r', out), out


@pytest.mark.parametrize('text,words', [('', 'neither a password nor'), ('a\tb', 'control characters')])
def test_bad_secret_files_stop_the_start(authority, text, words):
    route, section = login(25, more=f'ca = "{authority.ca}"')
    h = Relay(route, section, secret=text)
    with pytest.raises(AssertionError) as e:
        h.start()
    assert words in str(e.value) and 'mansio.conf:' in str(e.value)
    shutil.rmtree(h.dir, ignore_errors=True)


def test_certificates_change_at_reload(authority):
    """The file of authorities is read again; the old process keeps what it had."""
    ca = authority.dir / 'changing.pem'
    shutil.copy(authority.stranger.ca, ca)
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11') as s, Relay(f'via = "isp.test:{s.port}" {REQUIRE} ca = "{ca}"', queue='retry = [ 1s ]') as h:
        qid = h.mail()
        assert 'issuer' in h.deferred(qid)
        shutil.copy(authority.ca, ca)
        mtactl(h, 'reload')
        h.delivered(qid)
