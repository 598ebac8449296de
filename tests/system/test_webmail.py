"""AUTH of many users from one address, and what a stranger learns of logins before and after a restart of mapd."""
import base64, os, smtplib

from host import DEADLINE
from test_tls_auth import authority  # noqa: F401 (a fixture)
from tls import PASSWORD, AuthHost, b64, connect, login

WEBMAIL = '127.0.0.77'


def session(h, authority, source=WEBMAIL):
    s = smtplib.SMTP('127.0.0.1', h.sub, timeout=DEADLINE, local_hostname='client.test', source_address=(source, 0))
    s._host = 'mail.demo.test'
    s.starttls(context=authority.context())
    s.ehlo()
    return s


def try_in_vain(h, authority, user, sessions):
    """Sessions that wait for the answer about a wrong password."""
    for s in sessions:
        s.sock.sendall(f'AUTH PLAIN {b64(chr(0) + user + chr(0) + "wrong")}\r\n'.encode())


def test_one_users_old_password_keeps_nobody_else_out(authority):  # noqa: F811
    with AuthHost(authority) as h:
        login(h, authority, 'dad', PASSWORD, source=WEBMAIL).close()
        waiting = [session(h, authority) for _ in range(12)]
        try_in_vain(h, authority, 'boss', waiting)
        h.wait_log('smtp.auth.failed', count=4, login='boss@demo.test')  # the first ones; the longer they take the more are open
        for s in waiting[:8]:
            s.close()
        again = [session(h, authority) for _ in range(8)]
        try_in_vain(h, authority, 'boss', again)
        inside = login(h, authority, 'dad', PASSWORD, source=WEBMAIL)
        assert isinstance(inside, smtplib.SMTP), inside
        for s in (inside, *waiting, *again):
            s.close()


def salt(h, authority, user):
    with_nonce = 'n,,n=%s,r=%s' % (user, base64.b64encode(os.urandom(12)).decode())
    s = session(h, authority, '127.0.0.78')
    code, text = s.docmd('AUTH', 'SCRAM-SHA-256 ' + b64(with_nonce))
    assert code == 334, text
    s.close()
    return dict(x.split('=', 1) for x in base64.b64decode(text).decode().split(','))['s']


def test_salts_do_not_tell_who_exists(authority):  # noqa: F811
    with AuthHost(authority) as h:
        before = {user: salt(h, authority, user) for user in ('nobody', 'mum', 'dad', 'other')}
        assert len(set(before.values())) == 4
        h.kill('mapd')
        h.wait_log('mapd.map.loaded', map='logins', count=2)
        assert {user: salt(h, authority, user) for user in before} == before
        assert not h.log_lines('mapd.salt.unkept')
