"""mtactl log --peer, --domain: the dialogue with one peer line by line, of nobody else, without secrets, for a while"""
import base64, json, smtplib, subprocess

import pytest

import host
from host import DEADLINE, Raw, wait_for
from sink import Sink
from tls import Authority, TlsHost

SECRET = 'xyzzy-plugh-9'


def log(h, *words, code=0):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--json', 'log', *words], capture_output=True, text=True)
    assert p.returncode == code, p
    return json.loads(p.stdout)


def lines(h, event='smtp.dialogue.line', **keys):
    return h.log_lines(event, **keys)


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mail.demo.test')
    a.host('other.test')
    return a


def test_a_client_is_followed_and_no_other(authority):
    h = TlsHost(authority, auth='require', conf='map logins { type = text source = "@DIR@/etc/logins" }\nauth { users = logins realm = demo.test '
                'mechanisms = [ PLAIN, LOGIN, SCRAM-SHA-256 ] }')
    h.write()
    (h.dir / 'etc/logins').write_text('')
    with h.start():
        subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), 'passwd', '--scram', '--stdin', 'dad'], input=SECRET + '\n',
                       text=True, check=True, capture_output=True)
        assert log(h)['rows'] == [{'kind': 'log', 'level': 'INFO'}]
        h.send('user@demo.test')
        assert not lines(h)
        assert 'is logged for 300 s' in log(h, '--peer', '127.0.0.0/8', '--for', '5m')['message']
        now = [r for r in log(h)['rows'] if r['kind'] == 'follow']
        assert [(r['what'], r['name']) for r in now] == [('peer', '127.0.0.0/8')] and 0 < now[0]['left'] <= 300
        status = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), 'status'], capture_output=True, text=True)
        assert 'peer 127.0.0.0/8' in status.stdout
        c = Raw(h.port)
        c.cmd('EHLO one.test')
        c.cmd('NONSENSE')
        c.send('MAIL FROM:<a@far.test>\r\nRCPT TO:<user@demo.test>\r\nRCPT TO:<no@demo.test>\r\nDATA\r\n')
        assert [c.reply()[0] for _ in range(4)] == [250, 250, 550, 354]
        c.send('Subject: confidential\r\n\r\nsecret words\r\n.\r\n')
        assert c.reply()[0] == 250
        c.cmd('QUIT')
        wait_for('the last reply', lambda: any('line="221' in x for x in lines(h)), explain=h.log_tail)
        said = [(x.split(' from=')[1].split()[0], x.split(' line=')[1].strip('"')) for x in lines(h)]
        only = [(who, line) for who, line in said if '250-' not in line]
        assert ('client', 'EHLO one.test') in only and ('client', 'NONSENSE') in only and ('client', 'QUIT') in only
        for command, code in (('MAIL FROM:<a@far.test>', '250'), ('RCPT TO:<user@demo.test>', '250'), ('RCPT TO:<no@demo.test>', '550'), ('DATA', '354')):
            at = only.index(('client', command))
            assert only[at + 1][0] == 'server' or command != 'DATA', only
            assert any(who == 'server' and line.startswith(code) for who, line in only[at + 1:]), (command, only)
        assert 'confidential' not in h.log() and 'secret words' not in h.log()
        # passwords of every form
        for how in ('auth_login', 'auth_plain'):
            with smtplib.SMTP('127.0.0.1', h.sub, timeout=DEADLINE) as s:
                s._host = 'mail.demo.test'
                s.starttls(context=authority.context())
                s.user, s.password = 'dad', SECRET
                s.ehlo()
                assert s.auth(how[5:].upper(), getattr(s, how), initial_response_ok=how == 'auth_plain')[0] == 235
        text = h.log()
        for form in (SECRET, base64.b64encode(SECRET.encode()).decode(), base64.b64encode(f'\0dad\0{SECRET}'.encode()).decode()):
            assert form not in text
        assert any('********' in x for x in lines(h)) and lines(h, listener='submission')
        # one that is not followed
        log(h, '--peer', '127.0.0.0/8', '--for', '1s')
        wait_for('it ends by itself', lambda: [r['kind'] for r in log(h)['rows']] == ['log'])
        before = len(lines(h))
        h.send('user@demo.test')
        assert len(lines(h)) == before
        log(h, '--peer', '192.0.2.7')
        h.send('user@demo.test')
        assert len(lines(h)) == before
        log(h, '--domain', 'far.test')  # by the name in EHLO: client.far.test
        h.send('user@demo.test')
        assert len(lines(h)) > before
        h.restart()
        assert [r['kind'] for r in log(h)['rows']] == ['log']


def test_a_destination_is_followed_also_by_a_process_that_is_new():
    with Sink() as a, Sink() as b:
        with host.Host(relay_from=['127.0.0.0/8'], conf=f'route a.test {{ via = "127.0.0.1:{a.port}" }}\nroute b.test {{ via = "127.0.0.1:{b.port}" }}') as h:
            log(h, '--domain', 'a.test')
            h.send(['x@a.test'])
            h.send(['x@b.test'])
            a.wait_messages(1), b.wait_messages(1)
            h.wait_log('delivery.result', count=2)
            said = lines(h, 'relay.dialogue.line')
            assert said and all(' dest=a.test ' in x for x in said)
            assert any('line="RCPT TO:<x@a.test>' in x and 'from=client' in x for x in said) and any('from=server' in x and 'line="250' in x for x in said)
            h.kill('deliverd')
            wait_for('others are there', lambda: len(h.log_lines('mtad.child.ready')) >= 2)
            before = len(said)
            h.send(['y@a.test'])
            wait_for('more lines', lambda: len(lines(h, 'relay.dialogue.line')) > before, explain=h.log_tail)


def test_what_cannot_be_followed():
    with host.Host() as h:
        for words in (['--peer'], ['--peer', 'a b'], ['--domain', '192.0.2.1/40'], ['--peer', '192.0.2.1', '--domain', 'a.test'], ['--for', '5m'],
                      ['--peer', 'a.test', '--for', '2d'], ['--peer', 'a.test', '--for', 'x'], ['loud']):
            log(h, *words, code=64)
        for i in range(16):
            log(h, '--peer', f'192.0.2.{i}')
        assert 'end by themselves' in log(h, '--peer', '192.0.2.99', code=75)['message']
        log(h, '--peer', '192.0.2.3', '--for', '1h')  # the same one again has its place
        assert max(r['left'] for r in log(h)['rows'] if r['kind'] == 'follow') > 1000
