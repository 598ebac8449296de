"""peers.py - the two that are measured: Postfix from Debian in a chroot, Mansio from a build directory.

Both stand on the same journalled file system and sync every message before they acknowledge it. What a peer is set up for (its mode):
  hold     mail is queued and stays there
  relay    mail goes on by SMTP to the sink on port 2600
  maildir  mail goes into USERS virtual mailboxes
"""
import os, shutil, socket, subprocess, sys, time

from machine import BUILD, CHECK, FS, HERE, ROOT, Group, sh

USERS = 100
SINK_PORT = 2600


def wait_port(port):
    for _ in range(300):
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f'bench: port {port} never opened')


def mails_in(directory):
    """Messages in the Maildirs below a directory."""
    n = 0
    for box in os.scandir(directory):
        try:
            n += len(os.listdir(f'{box.path}/new'))
        except FileNotFoundError:
            pass
    return n


class Peer:
    RCPT = {'hold': 'a@hold.test', 'relay': 'a@relay.test', 'maildir': 'user%@box.test'}

    def rcpt(self):
        return self.RCPT[self.mode]

    def delivered(self):
        return mails_in(self.boxes)

    def boxes_make(self, owner):
        shutil.rmtree(self.boxes, ignore_errors=True)
        self.boxes.mkdir(parents=True)
        shutil.chown(self.boxes, owner, owner)


class Postfix(Peer):
    name, port = 'postfix', 2525
    root = FS / 'root-postfix'
    boxes = root / 'var/boxes'

    MAIN = '''compatibility_level = 3.6
myhostname = mail.bench.test
mydestination = localhost.bench.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
# a process for each of up to 1000 clients, and no limit that is there against abuse
default_process_limit = 1100
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
message_size_limit = 52428800
smtpd_recipient_restrictions = check_recipient_access hash:/etc/postfix/hold, permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = none
smtp_tls_security_level = none
# as many connections to the sink and writers of mailboxes as Mansio has
default_destination_concurrency_limit = 100
initial_destination_concurrency = 50
transport_maps = hash:/etc/postfix/transport
maximal_queue_lifetime = 5d
virtual_mailbox_domains = box.test
virtual_mailbox_maps = hash:/etc/postfix/boxes
virtual_mailbox_base = /var/boxes
virtual_mailbox_limit = 0
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
'''

    def prepare(self):
        if not (self.root / 'usr/sbin/postfix').exists():
            site = subprocess.run(['apt-get', 'indextargets', '--format', '$(SITE)', 'Created-By: Packages'], capture_output=True, text=True).stdout.split()[0]
            sh('debootstrap', '--variant=minbase', '--include=rsyslog,postfix', 'bookworm', str(self.root), site, stderr=subprocess.DEVNULL)
        etc = self.root / 'etc/postfix'
        (self.root / 'etc/hosts').write_text('127.0.0.1 localhost mail.bench.test\n')
        (etc / 'main.cf').write_text(self.MAIN)
        (etc / 'hold').write_text('hold.test HOLD\n')
        (etc / 'transport').write_text(f'relay.test smtp:[127.0.0.1]:{SINK_PORT}\nhold.test discard:\n')
        (etc / 'boxes').write_text(''.join(f'user{i}@box.test user{i}/\n' for i in range(USERS)))
        master = etc / 'master.cf.debian'
        if not master.exists():
            shutil.copy(etc / 'master.cf', master)
        lines = []
        for line in master.read_text().splitlines():
            w = line.split()
            if w[:2] == ['smtp', 'inet']:
                line = f'127.0.0.1:{self.port} inet n - n - - smtpd'
            elif w and line[0].isalpha() and len(w) > 7 and w[4] == 'y':
                w[4] = 'n'              # it has a root of its own already
                line = ' '.join(w)
            lines.append(line)
        (etc / 'master.cf').write_text('\n'.join(lines) + '\n')
        for m in ('hold', 'transport', 'boxes'):
            sh('chroot', str(self.root), 'postmap', f'hash:/etc/postfix/{m}')
        (self.root / 'etc/rsyslog-bench.conf').write_text(
            'module(load="imuxsock" SysSock.Use="on")\nmodule(load="builtin:omfile" Template="RSYSLOG_TraditionalFileFormat")\n*.* -/var/log/mail.log\n')

    def version(self):
        return 'Postfix ' + subprocess.run(['chroot', str(self.root), 'postconf', '-h', 'mail_version'], capture_output=True, text=True).stdout.strip()

    def command(self, *words):
        return subprocess.run(['chroot', str(self.root), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self, mode):
        self.mode, self.group, self.log = mode, Group('postfix'), Group('postfix-log')
        self.boxes_make(65534)
        for f in ('run/rsyslogd.pid', 'dev/log', 'var/log/mail.log', 'var/spool/postfix/pid/master.pid'):
            (self.root / f).unlink(missing_ok=True)
        self.log.popen(['chroot', self.root, 'rsyslogd', '-n', '-f', '/etc/rsyslog-bench.conf'], stderr=subprocess.DEVNULL)
        for _ in range(100):
            if (self.root / 'dev/log').exists():
                break
            time.sleep(0.05)
        self.group.popen(['chroot', self.root, 'postfix', 'start'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait()
        wait_port(self.port)

    def stop(self):
        self.command('postfix', 'stop')
        self.group.end()
        self.log.end()
        self.command('postsuper', '-d', 'ALL')
        shutil.rmtree(self.boxes, ignore_errors=True)


class Mansio(Peer):
    name, port = 'mansio', 2526
    dir = FS / 'mansio'
    boxes = dir / 'boxes'
    build, options, keep_spool = BUILD, (), False

    def prepare(self):
        sh('sh', str(ROOT / 'etc/create-users.sh'))

    def version(self):
        return 'Mansio ' + subprocess.run([self.build / 'bin/mtad', '--version'], capture_output=True, text=True).stdout.strip().split()[-1]

    def conf(self):
        limits = 'max_sessions_per_client = 20000 max_sessions = 20000 max_commands = 1000000'
        return f'''hostname = mail.bench.test
domains = [ bench.test, box.test ]
listen smtp {{ address = [ "127.0.0.1:{self.port}" ] {limits} }}
relay {{ from = [ 127.0.0.0/8 ] }}
route relay.test {{ via = "127.0.0.1:{SINK_PORT}" max_connections = 100 }}
map boxes {{ type = text source = "{self.dir}/etc/boxes" }}
mailbox virtual {{ lookup = boxes root = "{self.boxes}" owner = mansio-vmail }}
queue {{ directory = "{self.dir}/spool" {"deliver = no" if self.mode == "hold" else ""} }}
processes {{ runtime = "{self.dir}/run" state = "{self.dir}/state" }}
dns {{ servers = [ "127.0.0.1:9" ] timeout = 1s }}
log {{ to = "{self.dir}/log" }}
'''

    def start(self, mode):
        self.mode = mode
        if not self.keep_spool:
            shutil.rmtree(self.dir, ignore_errors=True)
        (self.dir / 'etc').mkdir(parents=True, exist_ok=True)
        self.boxes_make('mansio-vmail')
        (self.dir / 'etc/boxes').write_text(''.join(f'user{i}@box.test user{i}/\n' for i in range(USERS)))
        self.file = self.dir / 'etc/mansio.conf'
        self.file.write_text(self.conf())
        for f in (self.file, self.dir / 'etc/boxes'):
            f.chmod(0o644)
        self.group = Group('mansio')
        r, w = os.pipe()
        with open(self.dir / 'err', 'w') as said:
            self.proc = self.group.popen([self.build / 'bin/mtad', '-c', self.file, '-F', '--ready-fd', w, *self.options], pass_fds=[w], stderr=said)
        os.close(w)
        if not os.read(r, 4096):
            sys.exit(f'bench: mansio did not start: {(self.dir / "err").read_text()}')
        os.close(r)

    def stop(self):
        self.proc.terminate()
        self.proc.wait(120)
        self.group.end()


class SlowPostfix(Postfix):
    """The same delay for Postfix, by a library that the loader puts before libc."""

    def start(self, mode):
        sh('gcc', '-O2', '-shared', '-fPIC', '-o', str(self.root / 'usr/lib/slow_sync.so'), str(HERE / 'slow_sync.c'))
        self.preload = self.root / 'etc/ld.so.preload'
        self.preload.write_text('/usr/lib/slow_sync.so\n')
        super().start(mode)

    def stop(self):
        self.preload.unlink()
        super().stop()


class Slow(Mansio):
    """The check build, in which every sync takes five milliseconds more."""
    build, options = CHECK, ('--sync-delay', '5')
