"""dovecot.py - Debian's Dovecot as an LMTP server of its own: own base directory, own mail directory, no init system."""
import os, pathlib, shutil, signal, socket, subprocess, tempfile

from host import alive, wait_for

PROGRAM = '/usr/sbin/dovecot'
CONF = '''
base_dir = @RUN@/base
state_dir = @RUN@/state
log_path = @RUN@/dovecot.log
instance_name = mansio-test
protocols = lmtp
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
mail_uid = nobody
mail_gid = nogroup
mail_location = maildir:@RUN@/mail/%n
default_internal_user = dovecot
default_login_user = dovenull
auth_username_format = %Ln
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%n @RUN@/users
}
userdb {
  driver = passwd-file
  args = username_format=%n @RUN@/users
  default_fields = uid=nobody gid=nogroup home=@RUN@/mail/%n
}
mail_plugins = quota
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=0
}
protocol lmtp {
  postmaster_address = postmaster@demo.test
  mail_plugins = quota
}
lmtp_save_to_detail_mailbox = no
recipient_delimiter = +
lmtp_rcpt_check_quota = @QUOTA@
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = @PORT@
  }
  unix_listener @RUN@/lmtp {
    mode = 0600
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
'''


class Dovecot:
    """with Dovecot({'ann': '', 'full': 'userdb_quota_rule=*:bytes=1024'}) as d: d.socket, d.port, d.mail('ann')"""

    def __init__(self, users, port, quota_at_rcpt=False):
        self.run = pathlib.Path(tempfile.mkdtemp(prefix='mansio-dovecot-'))
        self.run.chmod(0o755)
        self.socket, self.port = self.run / 'lmtp', port
        for d in ('base', 'state', 'mail'):
            (self.run / d).mkdir()
        shutil.chown(self.run / 'mail', 'nobody', 'nogroup')
        (self.run / 'users').write_text(''.join(f'{u}:{{PLAIN}}x::::::{extra}\n' for u, extra in users.items()))
        conf = CONF.replace('@RUN@', str(self.run)).replace('@PORT@', str(port))
        (self.run / 'dovecot.conf').write_text(conf.replace('@QUOTA@', 'yes' if quota_at_rcpt else 'no'))
        self.proc = None

    def start(self):
        self.proc = subprocess.Popen([PROGRAM, '-F', '-c', str(self.run / 'dovecot.conf')], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for('Dovecot takes connections', self.greets, explain=self.log)
        return self

    def greets(self):
        try:
            with socket.create_connection(('127.0.0.1', self.port), timeout=5) as s:
                return s.recv(100).startswith(b'220')
        except OSError:
            return False

    def pids(self):
        """The master and all below it."""
        found = [self.proc.pid]
        for p in pathlib.Path('/proc').glob('[0-9]*'):
            try:
                if int((p / 'stat').read_text().rsplit(')', 1)[1].split()[1]) == self.proc.pid:
                    found.append(int(p.name))
            except OSError:
                pass
        return found

    def signal(self, sig):
        for pid in self.pids():
            os.kill(pid, sig)

    def kill(self):
        """As if the machine's hand had slipped: no process of it says goodbye."""
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.proc.wait()
        wait_for('Dovecot is gone', lambda: not any(alive(p) for p in pids))

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.signal(signal.SIGCONT)
            self.proc.terminate()
            self.proc.wait(30)

    def mail(self, user):
        return [p.read_bytes() for p in sorted((self.run / 'mail' / user / 'new').glob('*'))]

    def log(self):
        try:
            return (self.run / 'dovecot.log').read_text()[-3000:]
        except OSError:
            return ''

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
        shutil.rmtree(self.run, ignore_errors=True)
