"""Who may send what where: listen.auth, relay.from, AUTH, and whose domain the recipient's is; and who may use which sender.
Each cell is the exact reply."""
import pytest

from host import Raw, free_port
from tls import PASSWORD, AuthHost, Authority, b64

OK, RELAY, NEED = '250 2.1.5 Recipient ok', '550 5.7.1 Relaying denied', '530 5.7.0 Authentication required'
OWN_CLIENT, STRANGER = '127.0.0.1', '127.0.0.2'


class ThreeListeners(AuthHost):
    """auth = none, offer and require, each with STARTTLS; 587 as most hosts have it."""

    def __init__(self, authority):
        super().__init__(authority, more='', relay_from=(OWN_CLIENT,))
        self.ports = {auth: free_port() for auth in ('none', 'offer', 'require')}
        self.listen = '\n'.join(f'listen {auth} {{ address = [ "127.0.0.1:{port}" ] tls = offer auth = {auth} submission = {"no" if auth == "none" else "yes"} }}'
                                for auth, port in self.ports.items())

    def conf_text(self):
        return super().conf_text().replace('relay { from', 'relay { to = [ backup.test ] from')


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mail.demo.test')
    a.host('other.test')
    return a


@pytest.fixture(scope='module')
def host(authority):
    with ThreeListeners(authority) as h:
        yield h


class Client(Raw):
    def __init__(self, host, authority, auth, source, secure=False):
        import socket
        self.s = socket.create_connection(('127.0.0.1', host.ports[auth]), timeout=30, source_address=(source, 0))
        self.buf = b''
        assert self.reply()[0] == 220
        assert self.cmd('EHLO client.test')[0] == 250
        if secure:
            assert self.cmd('STARTTLS')[0] == 220
            self.s = authority.context().wrap_socket(self.s, server_hostname='mail.demo.test')
            assert self.cmd('EHLO client.test')[0] == 250

    def login(self, user='dad'):
        return self.cmd('AUTH PLAIN ' + b64(f'\0{user}\0{PASSWORD}'))[1]


RCPTS = ('user@demo.test', 'a@backup.test', 'a@foreign.test')

# (listen.auth, client is in relay.from, logged in): the replies for own domain, relay.to, foreign
TABLE = {
    ('none', False, False): (OK, OK, RELAY),
    ('none', True, False): (OK, OK, OK),
    ('offer', False, False): (OK, OK, RELAY),
    ('offer', True, False): (OK, OK, OK),
    ('offer', False, True): (OK, OK, OK),
    ('offer', True, True): (OK, OK, OK),
    ('require', False, False): (NEED, NEED, NEED),
    ('require', True, False): (NEED, NEED, NEED),       # what the operator demands, he demands of his own hosts, too
    ('require', False, True): (OK, OK, OK),
    ('require', True, True): (OK, OK, OK),
}


@pytest.mark.parametrize('secure', [False, True], ids=['clear', 'tls'])
@pytest.mark.parametrize('auth,own,logged_in', TABLE, ids=lambda v: str(v))
def test_who_may_send_where(host, authority, auth, own, logged_in, secure):
    if logged_in and not secure:
        pytest.skip('no password travels in the clear')
    c = Client(host, authority, auth, OWN_CLIENT if own else STRANGER, secure)
    if logged_in:
        assert c.login() == '235 2.7.0 Authenticated'
    for rcpt, want in zip(RCPTS, TABLE[auth, own, logged_in]):
        first = c.cmd('MAIL FROM:<dad@demo.test>')[1]
        if want == NEED:
            assert first == NEED
            assert c.cmd(f'RCPT TO:<{rcpt}>')[0] == 503
            continue
        assert first == '250 2.1.0 Sender ok'
        assert c.cmd(f'RCPT TO:<{rcpt}>')[1] == want
        assert c.cmd('RSET')[0] == 250
    c.close()


def test_none_knows_no_auth(host, authority):
    c = Client(host, authority, 'none', STRANGER, secure=True)
    assert 'AUTH' not in c.cmd('EHLO a.test')[1]
    assert c.login().startswith('502 5.5.1')


# account: sender -> may it? boss is granted @demo.test and other@far.test by auth.senders.
SENDERS = [
    ('dad', 'dad@demo.test', True), ('dad', 'DAD@Demo.Test', True), ('dad', '', True), ('dad', 'mum@demo.test', False), ('dad', 'dad@far.test', False),
    ('dad', 'dad+tag@demo.test', False), ('dad', 'dad@demo.test.far.test', False), ('dad', '"dad"@demo.test', True),
    ('boss', 'boss@demo.test', True), ('boss', 'anybody@demo.test', True), ('boss', 'other@far.test', True), ('boss', 'third@far.test', False),
    ('boss', 'x@sub.demo.test', False), ('boss', 'x@xdemo.test', False),
]


@pytest.mark.parametrize('user,sender,good', SENDERS)
def test_who_may_use_which_sender(host, authority, user, sender, good):
    c = Client(host, authority, 'require', STRANGER, secure=True)
    assert c.login(user).startswith('235')
    want = '250 2.1.0 Sender ok' if good else '553 5.7.1 This sender address is not yours'
    assert c.cmd(f'MAIL FROM:<{sender}>')[1] == want
    if not good:
        assert c.cmd('RCPT TO:<user@demo.test>')[0] == 503
        assert c.cmd('MAIL FROM:<>')[0] == 250          # the refusal leaves the session as it was


def test_what_recipients_see_of_a_login(host, authority):
    """ESMTPSA says that there was one; whose it was is in the log, and in no header."""
    c = Client(host, authority, 'require', STRANGER, secure=True)
    assert c.login('boss').startswith('235')
    c.cmd('MAIL FROM:<other@far.test>')
    c.cmd('RCPT TO:<user@demo.test>')
    assert c.cmd('DATA')[0] == 354
    assert c.cmd('Subject: x\r\n\r\nhello\r\n.')[0] == 250
    host.wait_log('smtp.message.accepted', login='boss@demo.test', sender='other@far.test')
    message = host.wait_mail()[-1]
    assert b'with ESMTPSA' in message and b'boss' not in message
    head = message.split(b'\n\n')[0]                     # completed, as submissions are
    for field in (b'\nDate: ', b'\nMessage-ID: ', b'\nFrom: other@far.test'):
        assert field in head, head
