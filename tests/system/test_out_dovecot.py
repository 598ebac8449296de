"""Debian's Dovecot as a smart host with STARTTLS, implicit TLS and AUTH: it passes on what a login may send."""
import os

import pytest

from dovecot import Dovecot
from host import Host, free_port
from sink import Sink
from tls import Authority

pytestmark = [pytest.mark.root,
              pytest.mark.skipif(not os.path.exists('/usr/lib/dovecot/submission'), reason='dovecot-submissiond is not installed')]

CONF = '''
base_dir = @RUN@/base
state_dir = @RUN@/state
log_path = @RUN@/dovecot.log
instance_name = mansio-submission
protocols = submission
listen = 127.0.0.1
ssl = required
ssl_cert = <@CERT@
ssl_key = <@KEY@
ssl_min_protocol = TLSv1.2
first_valid_uid = 1
mail_uid = nobody
mail_gid = nogroup
mail_location = maildir:@RUN@/mail/%n
default_internal_user = dovecot
default_login_user = dovenull
auth_mechanisms = @MECHANISMS@
auth_failure_delay = 0
hostname = smart.test
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u @RUN@/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=@RUN@/mail/%n
}
submission_relay_host = 127.0.0.1
submission_relay_port = @SINK@
service submission-login {
  inet_listener submission {
    port = @PORT@
  }
  inet_listener submissions {
    port = @IMPLICIT@
    ssl = yes
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
'''
PASSWORD = 's3cret of Dovecot'


class Submission(Dovecot):
    def __init__(self, authority, sink, mechanisms):
        super().__init__({}, free_port())
        self.implicit = free_port()
        cert, key = authority.host('smart.test')
        (self.run / 'users').write_text(f'me@smart.test:{{PLAIN}}{PASSWORD}\n')
        conf = CONF.replace('@MECHANISMS@', mechanisms).replace('@CERT@', str(cert)).replace('@KEY@', str(key))
        for name, value in (('@RUN@', self.run), ('@PORT@', self.port), ('@IMPLICIT@', self.implicit), ('@SINK@', sink.port)):
            conf = conf.replace(name, str(value))
        (self.run / 'dovecot.conf').write_text(conf)


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('ca'))


class Relay(Host):
    def __init__(self, authority, port, how, password=PASSWORD):
        super().__init__(relay_from=['127.0.0.0/8'],
                         conf=f'route default {{ via = "127.0.0.1:{port}" tls = {how} tls_name = smart.test ca = "{authority.ca}" auth = smart idle = 0 }}\n'
                              'secret smart { user = "me@smart.test" file = "@DIR@/etc/secret" }')
        self.password = password

    def write(self):
        path = super().write()
        (self.dir / 'etc/secret').write_text(self.password + '\n')
        (self.dir / 'etc/secret').chmod(0o600)
        return path


@pytest.mark.parametrize('mechanisms', ['plain', 'login', 'scram-sha-256', 'plain login scram-sha-256'])
def test_every_mechanism(authority, mechanisms):
    with Sink() as sink, Submission(authority, sink, mechanisms) as d:
        for port, how in ((d.port, 'require'), (d.implicit, 'implicit')):
            with Relay(authority, port, how) as h:
                qid = h.send('a@far.test', sender='user@demo.test')
                h.wait_log('delivery.result', id=qid, status='delivered')
                assert 'verified=yes' in h.wait_log('relay.session.ended')
        assert [m['rcpt'] for m in sink.wait_messages(2)] == [['a@far.test']] * 2


def test_wrong_password(authority):
    with Sink() as sink, Submission(authority, sink, 'plain scram-sha-256') as d, Relay(authority, d.port, 'require', 'wrong') as h:
        line = h.wait_log('delivery.result', id=h.send('a@far.test', sender='user@demo.test'))
        assert 'status=deferred' in line and 'dsn=4.7.8' in line and '535 5.7.8' in line
        h.wait_log('relay.login.refused', secret='smart')
        assert not sink.messages
