"""mtactl policy says what a real session hears: the same questions asked of the tool and of the server, reply by reply"""
import base64, itertools, json, socket, ssl, subprocess

import pytest

import host
from host import DEADLINE, Host, free_port, wait_for
from tls import Authority

STRANGER, OWN = '127.0.0.1', '127.0.0.2'  # relay.from holds the second one
PASSWORD = 'open-sesame-1'


class Session:
    """A client at an address of its choice that hears whole replies."""

    def __init__(self, h, port, client, implicit):
        self.h = h
        self.s = socket.create_connection(('127.0.0.1', port), timeout=DEADLINE, source_address=(client, 0))
        if implicit:
            self.secure()
        self.buf = b''

    def secure(self):
        self.s = self.h.authority.context().wrap_socket(self.s, server_hostname='mail.demo.test')

    def reply(self):
        lines = []
        while not lines or lines[-1][3:4] == '-':
            while b'\n' not in self.buf:
                got = self.s.recv(65536)
                if not got:
                    return '\n'.join(lines)
                self.buf += got
            line, self.buf = self.buf.split(b'\n', 1)
            lines.append(line.decode().rstrip('\r'))
        return '\n'.join(lines)

    def say(self, text):
        self.s.sendall(text.encode() + b'\r\n')
        return self.reply()


@pytest.fixture(scope='module')
def h(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mail.demo.test')
    ports = {name: free_port() for name in ('plain', 'offer', 'submission', 'implicit')}
    h = Host(conf=f'tls {{ certificate = "{a.dir}/mail.demo.test.pem" key = "{a.dir}/mail.demo.test.key" }}\n'
                  'map logins { type = text source = "@DIR@/etc/logins" }\n'
                  'map senders { type = inline entries = [ "dad@demo.test info@demo.test, @family.test" ] }\n'
                  'map virtual { type = inline entries = [ "gone@demo.test error:5.1.6 has moved" ] }\n'
                  'address { virtual = virtual }\n'
                  'auth { users = logins realm = demo.test senders = senders }\n'
                  'route default { via = "127.0.0.1:1" }', relay_from=[f'{OWN}/32'])
    h.authority, h.ports = a, ports
    h.listen = (f'listen plain {{ address = [ "127.0.0.1:{ports["plain"]}" ] tls = none max_message_size = 1000k }}\n'
                f'listen offer {{ address = [ "127.0.0.1:{ports["offer"]}" ] tls = offer auth = offer }}\n'
                f'listen submission {{ address = [ "127.0.0.1:{ports["submission"]}" ] tls = require auth = require submission = yes }}\n'
                f'listen implicit {{ address = [ "127.0.0.1:{ports["implicit"]}" ] tls = implicit auth = require submission = yes }}')
    h.write()
    (h.dir / 'etc/logins').write_text('')
    (h.dir / 'etc/logins').chmod(0o600)
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), 'passwd', '--stdin', 'dad'], input=PASSWORD + '\n', text=True)
    assert p.returncode == 0
    with h.start():
        yield h


def asked(h, listener, client, sender, to, tls, login):
    """[(command, reply)], what decided, and whether it is accepted."""
    words = ['--client', client, '--helo', 'client.test', '--from', sender or '<>', '--to', to, '--listener', listener]
    words += ['--tls'] * tls + (['--auth', login] if login else [])
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--json', 'policy', *words], capture_output=True, text=True)
    answer = json.loads(p.stdout)
    replies = [r for r in answer['rows'] if r['kind'] == 'reply']
    assert p.returncode in (0, 1) and len(replies) == len(answer['rows']), p
    return [r['reply'].replace('\r', '') for r in replies], replies[-1]['rule'], p.returncode == 0


def heard(h, listener, client, sender, to, tls, login):
    s = Session(h, h.ports[listener], client, listener == 'implicit')
    said = [s.reply(), s.say('EHLO client.test')]
    if tls and listener != 'implicit':
        said.append(s.say('STARTTLS'))
        if said[-1][:3] == '220':
            s.secure()
            said.append(s.say('EHLO client.test'))
    if login and said[-1][0] == '2':
        said.append(s.say('AUTH PLAIN ' + base64.b64encode(f'\0{login}\0{PASSWORD}'.encode()).decode()))
    for line in (f'MAIL FROM:<{sender}>', f'RCPT TO:<{to}>'):
        if said[-1][0] == '2':
            said.append(s.say(line))
    s.s.close()
    return said


RECIPIENTS = ('user@demo.test', 'nobody@demo.test', 'x@far.test', 'gone@demo.test', 'a%b@demo.test', 'postmaster', 'not an address')


@pytest.mark.parametrize('listener', ['plain', 'offer', 'submission', 'implicit'])
def test_the_tool_and_the_server_say_the_same(h, listener):
    refused = accepted = 0
    for client, to, tls, login in itertools.product((STRANGER, OWN), RECIPIENTS, (0, 1), (None, 'dad')):
        question = (listener, client, 'dad@demo.test', to, tls, login)
        if login and not tls and listener != 'implicit':
            continue  # below
        said, rule, well = asked(h, *question)
        real = heard(h, *question)
        assert said == real, question
        assert well == (real[-1][:3] == '250' and len(real) > 2), question
        refused, accepted = refused + (not well), accepted + well
        assert well or rule, question
    assert refused and accepted


@pytest.mark.parametrize('sender,ok', [('dad@demo.test', True), ('info@demo.test', True), ('any@family.test', True), ('', True), ('mum@demo.test', False)])
def test_which_senders_a_login_may_use(h, sender, ok):
    question = ('submission', STRANGER, sender, 'x@far.test', 1, 'dad')
    said, rule, well = asked(h, *question)
    assert said == heard(h, *question) and well == ok
    assert ok or ('auth.senders' in rule and 'mansio.conf:' in rule)


def test_a_login_in_the_clear_is_refused_by_both(h):
    for listener in ('plain', 'offer', 'submission'):
        question = (listener, STRANGER, 'dad@demo.test', 'user@demo.test', 0, 'dad')
        said, _, well = asked(h, *question)
        assert said == heard(h, *question) and not well, listener


def test_nothing_of_it_reaches_the_log_or_the_queue(h):
    before = len(h.log_lines('smtp.rcpt.refused')), len(h.log_lines('smtp.auth.ok'))
    asked(h, 'offer', STRANGER, 'a@b.test', 'x@far.test', 1, None)
    asked(h, 'submission', STRANGER, 'mum@demo.test', 'x@far.test', 1, 'dad')
    assert (len(h.log_lines('smtp.rcpt.refused')), len(h.log_lines('smtp.auth.ok'))) == before
    assert not h.log_lines('queue.message.stored')
